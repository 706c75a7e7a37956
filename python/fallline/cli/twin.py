"""A network written by hand in NumPy, as quick as NumPy lets it be: what `fallline bench` compares with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class NumpyTwin:
    """Dense layers with ReLU between them; forward, backward and update in place.

    Args:
        weights: kernel (inputs, units), bias (units,), layer by layer, as of `Model.get_weights()`; copied.
        optimizer: "sgd" or "adam", with the defaults of `fallline.SGD` and `fallline.Adam`.
        batch_size: rows of a batch.
    """

    def __init__(self, weights: Sequence[NDArray[Any]], optimizer: str, batch_size: int) -> None:
        self.flat = np.concatenate([w.ravel() for w in weights])
        self.gradient, self.m, self.v, self.scratch = (np.zeros_like(self.flat) for _ in range(4))
        shapes = [w.shape for w in weights]
        self.kernels, self.biases = _views(self.flat, shapes)
        self.kernel_gradients, self.bias_gradients = _views(self.gradient, shapes)
        self.values = [np.empty((batch_size, kernel.shape[1]), np.float32) for kernel in self.kernels]
        self.deltas = [np.empty_like(value) for value in self.values]
        self.update = {"sgd": self._sgd, "adam": self._adam}[optimizer]
        self.batch_size = batch_size
        self.t = 0

    def epoch(self, x: Array, y: NDArray[Any]) -> float:
        """Mean loss while training on whole batches of x (n, inputs) and y, (n,) classes or (n, 1) values."""
        starts = range(0, len(x), self.batch_size)
        return sum(self.step(x[i : i + self.batch_size], y[i : i + self.batch_size]) for i in starts) / len(
            starts
        )

    def step(self, x: Array, y: NDArray[Any]) -> float:
        """One batch: forward, loss, backward, update."""
        last = len(self.kernels) - 1
        inputs = [x, *self.values[:-1]]
        for i, (kernel, bias, value) in enumerate(zip(self.kernels, self.biases, self.values, strict=True)):
            np.matmul(inputs[i], kernel, out=value)
            np.add(value, bias, out=value)
            if i < last:
                np.maximum(value, 0, out=value)
        loss = (_squared_error if self.values[-1].shape[1] == 1 else _cross_entropy)(
            self.values[-1], y, self.deltas[-1]
        )
        for i in range(last, -1, -1):
            delta = self.deltas[i]
            np.matmul(inputs[i].T, delta, out=self.kernel_gradients[i])
            np.add.reduce(delta, axis=0, out=self.bias_gradients[i])
            if i:
                np.matmul(delta, self.kernels[i].T, out=self.deltas[i - 1])
                np.multiply(self.deltas[i - 1], inputs[i] > 0, out=self.deltas[i - 1])
        self.update()
        return loss

    def _sgd(self, learning_rate: float = 0.01) -> None:
        np.multiply(self.gradient, learning_rate, out=self.gradient)
        np.subtract(self.flat, self.gradient, out=self.flat)

    def _adam(
        self, learning_rate: float = 1e-3, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        """Kingma & Ba 2014; (1 - β) is taken out of m and v into the step's two scalars: two passes fewer."""
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
        np.multiply(scratch, learning_rate * m_scale / v_scale, out=scratch)
        np.subtract(self.flat, scratch, out=self.flat)


def _cross_entropy(logits: Array, labels: NDArray[np.int64], delta: Array) -> float:
    """Mean of log Σ exp(z) - z[label]; its gradient (softmax - one-hot) / rows goes into delta."""
    rows = np.arange(len(logits))
    np.subtract(logits, logits.max(axis=1, keepdims=True), out=logits)
    np.exp(logits, out=delta)
    total = delta.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - logits[rows, labels]))
    np.divide(delta, total, out=delta)
    delta[rows, labels] -= 1
    np.multiply(delta, 1 / len(logits), out=delta)
    return loss


def _squared_error(outputs: Array, targets: Array, delta: Array) -> float:
    """Mean of (output - target)²; its gradient goes into delta."""
    np.subtract(outputs, targets, out=delta)
    loss = float(np.mean(np.square(delta)))
    np.multiply(delta, 2 / delta.size, out=delta)
    return loss


def _views(flat: Array, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Array], list[Array]]:
    """Kernels and biases as views of one flat array."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    views = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return views[0::2], views[1::2]
