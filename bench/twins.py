"""What a good NumPy programmer would write by hand: everything in place, nothing allocated in the step.

Parameters, gradients and moments are flat arrays with views, so an update is one pass of each ufunc over all.
Cutting that update into cache-sized chunks was slower than whole arrays at 100 k parameters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.cases import KEPT, Case, Weights


class Twin:
    """The case's network with forward, backward and update written out in NumPy, float32."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: Weights, seed: int = 0) -> None:
        """Allocate everything; start from a copy of weights."""
        self.case, self.x, self.y = case, x, y
        self.generator = np.random.default_rng(seed)
        batch = case.batch
        self.flat, self.gradient, self.m, self.v, self.scratch = (
            np.zeros(case.parameters, np.float32) for _ in range(5)
        )
        self.kernels, self.biases = views(case, self.flat)
        self.kernel_gradients, self.bias_gradients = views(case, self.gradient)
        self.values = [np.empty((batch, width), np.float32) for width in case.widths]
        self.deltas = [np.empty((batch, width), np.float32) for width in case.widths]
        self.slopes = [np.empty((batch, width), np.float32) for width in case.widths]
        self.labels = np.empty((batch, *y.shape[1:]), y.dtype)
        self.row_starts = np.arange(batch) * case.widths[-1]
        self.picked = np.empty(batch, np.int64)
        self.column, self.picked_logits = np.empty((batch, 1), np.float32), np.empty(batch, np.float32)
        self.loss = self.cross_entropy if case.loss == "cross_entropy" else self.squared_error
        self.activate = getattr(self, case.activation)
        self.derive = getattr(self, f"{case.activation}_derivative")
        self.update = getattr(self, case.optimizer)
        self.reset(weights)

    def reset(self, weights: Weights) -> None:
        """Copy the weights in and forget the moments."""
        for mine, given in zip(self.weights(), weights, strict=True):
            mine[...] = given
        self.m[...] = self.v[...] = 0
        self.t = 0

    def weights(self) -> Weights:
        """Views of the parameters, layer by layer."""
        return [array for pair in zip(self.kernels, self.biases, strict=True) for array in pair]

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        """Train; returns the loss of each batch, (epochs, steps)."""
        case = self.case
        losses = np.empty((epochs, case.steps))
        order = np.arange(case.rows)
        for epoch in range(epochs):
            if shuffle:
                self.generator.shuffle(order)
            for step, rows in enumerate(order.reshape(case.steps, case.batch)):
                losses[epoch, step] = self.step(rows)
        return losses

    def step(self, rows: NDArray[np.int64]) -> float:
        """One batch: gather, forward, loss, backward, update."""
        values, deltas, kernels = self.values, self.deltas, self.kernels
        # mode="raise" would gather into a temporary copy of out.
        np.take(self.x, rows, axis=0, out=values[0], mode="clip")
        np.take(self.y, rows, axis=0, out=self.labels, mode="clip")
        last = len(kernels)
        for i in range(last):
            z = np.matmul(values[i], kernels[i], out=values[i + 1])
            np.add(z, self.biases[i], out=z)
            if i + 1 < last:
                self.activate(z)
        loss = self.loss(values[last], deltas[last])
        for i in range(last - 1, -1, -1):
            np.matmul(values[i].T, deltas[i + 1], out=self.kernel_gradients[i])
            np.add.reduce(deltas[i + 1], axis=0, out=self.bias_gradients[i])
            if i:
                np.matmul(deltas[i + 1], kernels[i].T, out=deltas[i])
                self.derive(values[i], self.slopes[i])
                np.multiply(deltas[i], self.slopes[i], out=deltas[i])
        self.update()
        return loss

    def relu(self, z: NDArray) -> None:
        """max(z, 0)."""
        np.maximum(z, 0, out=z)

    def relu_derivative(self, a: NDArray, slope: NDArray) -> None:
        """1 where a > 0: a float mask and a product, copyto(where=...) and putmask are ten times slower."""
        np.greater(a, 0, out=slope, casting="unsafe")

    def sigmoid(self, z: NDArray) -> None:
        """1 / (1 + exp(−z)) as (1 + tanh(z / 2)) / 2, which does not overflow."""
        np.multiply(z, 0.5, out=z)
        np.tanh(z, out=z)
        np.multiply(z, 0.5, out=z)
        np.add(z, 0.5, out=z)

    def sigmoid_derivative(self, a: NDArray, slope: NDArray) -> None:
        """(1 − a) a."""
        np.subtract(1, a, out=slope)
        np.multiply(slope, a, out=slope)

    def cross_entropy(self, logits: NDArray, delta: NDArray) -> float:
        """Mean of log(Σ exp(z)) − z[label]; its gradient (softmax − one-hot) / batch goes into delta."""
        column, batch = self.column, self.case.batch
        np.maximum.reduce(logits, axis=1, keepdims=True, out=column)
        np.subtract(logits, column, out=logits)
        np.exp(logits, out=delta)
        np.add.reduce(delta, axis=1, keepdims=True, out=column)
        np.add(self.row_starts, self.labels, out=self.picked)
        np.take(logits.reshape(-1), self.picked, out=self.picked_logits, mode="clip")
        np.divide(delta, column, out=delta)
        delta.reshape(-1)[self.picked] -= 1
        np.multiply(delta, 1 / batch, out=delta)
        np.log(column, out=column)
        return float(np.add.reduce(column, axis=None) - np.add.reduce(self.picked_logits)) / batch

    def squared_error(self, outputs: NDArray, delta: NDArray) -> float:
        """Mean of (output − target)²; its gradient 2 (output − target) / size goes into delta."""
        np.subtract(outputs, self.labels, out=delta)
        flat = delta.reshape(-1)
        loss = float(np.dot(flat, flat)) / flat.size
        np.multiply(delta, 2 / flat.size, out=delta)
        return loss

    def sgd(self) -> None:
        """w ← w − η g."""
        np.multiply(self.gradient, self.case.learning_rate, out=self.gradient)
        np.subtract(self.flat, self.gradient, out=self.flat)

    def momentum(self) -> None:
        """b ← μ b + g, w ← w − η b."""
        np.multiply(self.m, KEPT, out=self.m)
        np.add(self.m, self.gradient, out=self.m)
        np.multiply(self.m, self.case.learning_rate, out=self.scratch)
        np.subtract(self.flat, self.scratch, out=self.flat)

    def rmsprop(self, epsilon: float = 1e-8) -> None:
        """s ← ρ s + (1 − ρ) g², w ← w − η g / (√s + ε)."""
        v, g, scratch = self.v, self.gradient, self.scratch
        np.multiply(g, g, out=scratch)
        np.multiply(scratch, 1 - KEPT, out=scratch)
        np.multiply(v, KEPT, out=v)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.add(scratch, epsilon, out=scratch)
        np.divide(g, scratch, out=scratch)
        np.multiply(scratch, self.case.learning_rate, out=scratch)
        np.subtract(self.flat, scratch, out=self.flat)

    def adam(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8) -> None:
        """Kingma & Ba 2015, algorithm 1; (1 − β) moves into the step's scalars, two passes fewer."""
        self.t += 1
        m, v, g, scratch = self.m, self.v, self.gradient, self.scratch
        m_scale = (1 - beta_1) / (1 - beta_1**self.t)
        v_scale = ((1 - beta_2) / (1 - beta_2**self.t)) ** 0.5
        np.multiply(m, beta_1, out=m)
        np.add(m, g, out=m)
        np.multiply(g, g, out=g)
        np.multiply(v, beta_2, out=v)
        np.add(v, g, out=v)
        np.sqrt(v, out=scratch)
        np.add(scratch, epsilon / v_scale, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, self.case.learning_rate * m_scale / v_scale, out=scratch)
        np.subtract(self.flat, scratch, out=self.flat)


def views(case: Case, flat: NDArray[np.float32]) -> tuple[Weights, Weights]:
    """Kernels and biases as views of one flat array."""
    kernels, biases, start = [], [], 0
    for n, m in case.kernels:
        kernels.append(flat[start : start + n * m].reshape(n, m))
        biases.append(flat[start + n * m : start + (n + 1) * m])
        start += (n + 1) * m
    return kernels, biases
