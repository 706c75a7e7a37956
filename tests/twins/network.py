"""A dense network, forward and backward, in float64.

Weights are [kernel (inputs, units), bias (units,), kernel, bias, ...], as `Model.get_weights()` gives them.
"""

from __future__ import annotations

import numpy as np

from twins import activations, losses


class Dense:
    """A network of dense layers with biases; `names` holds one activation a layer."""

    def __init__(self, names):
        self.names = names

    def forward(self, weights, x):
        """x (n, inputs) -> outputs of every layer, x first."""
        outputs = [np.asarray(x, dtype=np.float64)]
        for i, name in enumerate(self.names):
            kernel, bias = weights[2 * i], weights[2 * i + 1]
            outputs.append(activations.VALUE[name](outputs[-1] @ kernel + bias))
        return outputs

    def loss_and_gradients(self, weights, x, target, loss, sample_weight=None, reduction="mean"):
        """The loss of the batch and a gradient for each weight array."""
        outputs = self.forward(weights, x)
        value, delta = losses.reduced(loss, outputs[-1], target, sample_weight, reduction)
        gradients = []
        for i in reversed(range(len(self.names))):
            delta = activations.BACKWARD[self.names[i]](delta, outputs[i + 1])  # (n, units), dL/dz
            gradients[:0] = [outputs[i].T @ delta, delta.sum(axis=0)]
            delta = delta @ weights[2 * i].T  # (n, inputs of the layer), dL/da
        return value, gradients


def train(network, weights, batches, loss, rule, **options):
    """Weights after one update for each (x, target) of `batches`."""
    weights = [np.array(w, dtype=np.float64) for w in weights]
    states = [{} for _ in weights]
    for t, (x, target) in enumerate(batches, start=1):
        _, gradients = network.loss_and_gradients(weights, x, target, loss)
        for i, (state, g) in enumerate(zip(states, gradients, strict=True)):
            weights[i] = rule(weights[i], g, state, t, **options)
    return weights


def central_differences(f, arrays, step=1e-6):
    """Numerical gradient of the number f() with respect to every element of `arrays`, which f reads."""
    gradients = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            above = f()
            array[index] = kept - step
            below = f()
            array[index] = kept
            gradient[index] = (above - below) / (2 * step)
        gradients.append(gradient)
    return gradients
