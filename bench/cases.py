"""The networks every contestant trains, with seeded data and starting weights.

The loss is softmax cross-entropy, or mean squared error where the output is one wide. Rows are whole batches, so
that a step is the same work for everyone and the mean over batches is the mean over rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.data import TASKS, Data

Weights = list[NDArray[np.float32]]
"""[kernel, bias, kernel, bias, ...] as in `Model.get_weights()`: kernels (inputs, units), biases (units,)."""
KEPT = 0.9
"""Share of the gradients' sum that momentum keeps, and of their mean square that RMSProp keeps."""
GAINS = {"relu": 2**0.5, "sigmoid": 4.0}
"""Standard deviation of a kernel times √inputs that keeps the size of values, or of the gradient of a sigmoid."""


@dataclass(frozen=True)
class Case:
    """One network, what it learns, its batch, its optimizer, how many steps make an epoch and epochs a fit."""

    name: str
    widths: tuple[int, ...]
    batch: int
    steps: int
    optimizer: str
    models: int = 1
    activation: str = "relu"
    task: str = "noise"
    epochs: int = 1

    @property
    def rows(self) -> int:
        """Rows of the data set."""
        return self.steps * self.batch

    @property
    def loss(self) -> str:
        """What is minimised."""
        return "mse" if self.widths[-1] == 1 else "cross_entropy"

    @property
    def learning_rate(self) -> float:
        """The usual default of the optimizer."""
        return {"sgd": 1e-2, "momentum": 1e-3, "adam": 1e-3, "rmsprop": 1e-3}[self.optimizer]

    @property
    def kernels(self) -> list[tuple[int, int]]:
        """(inputs, units) of each layer."""
        return list(zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum((n + 1) * m for n, m in self.kernels)

    @property
    def flops(self) -> int:
        """Of a step's products: forward, kernel gradients, input gradients of all layers but the first."""
        products = [n * m for n, m in self.kernels]
        return self.models * 2 * self.batch * (3 * sum(products) - products[0])

    def shortened(self, steps: int) -> Case:
        """The same case with at most so many steps an epoch, for checks."""
        return replace(self, steps=min(steps, self.steps))

    def variant(self, optimizer: str, batch: int) -> Case:
        """The same network with another optimizer and batch."""
        return replace(self, name=f"{self.name}_{optimizer}_b{batch}", optimizer=optimizer, batch=batch)

    def data(self, seed: int = 0) -> Data:
        """The rows and targets of the task."""
        return TASKS[self.task](np.random.default_rng(seed), self.rows, self.widths[0], self.widths[-1])

    def weights(self, seed: int = 1) -> Weights:
        """Normal kernels (He's for ReLU) and small biases, the same for every contestant."""
        generator = np.random.default_rng(seed)
        weights: Weights = []
        for n, m in self.kernels:
            size = np.float32(GAINS[self.activation] / n**0.5)
            weights.append(generator.standard_normal((n, m), dtype=np.float32) * size)
            weights.append(generator.standard_normal(m, dtype=np.float32) * np.float32(0.1))
        return weights


CASES = {
    case.name: case
    for case in (
        Case("xor", (3, 4, 1), 4, 1000, "sgd"),
        Case("digits", (64, 32, 10), 32, 45, "adam"),
        Case("rl", (17, 64, 64, 6), 64, 100, "adam"),
        Case("mnist_sgd", (784, 128, 10), 64, 936, "sgd"),
        Case("mnist", (784, 128, 10), 64, 936, "adam"),
        Case("tabular", (100, 256, 256, 256, 1), 256, 64, "adam"),
        Case("mnist_b512", (784, 512, 256, 10), 512, 32, "adam"),
        Case("wide", (1024, 2048, 2048, 1000), 1024, 4, "adam"),
    )
}


MANY = {"many": Case("many", (8, 16, 16, 1), 32, 31, "adam", models=256)}
"""Networks of one kind, each from weights of its own, on the same rows."""

NETWORKS = (
    Case("linear", (100, 256, 256, 256, 1), 64, 200, "adam", task="linear", epochs=60),
    Case("separable", (100, 64, 64, 2), 64, 200, "adam", task="separable", epochs=60),
    Case("mnist", (784, 128, 10), 64, 200, "adam", task="mnist", epochs=60),
    Case("sigmoid", (100, *[64] * 10, 2), 64, 200, "adam", activation="sigmoid", task="separable", epochs=60),
)

CONVERGING = {
    case.name: case
    for network in NETWORKS
    for optimizer in ("adam", "rmsprop", "momentum")
    for batch in (1, 64)
    for case in [network.variant(optimizer, batch)]
}
"""Fits that come to an end, where gradients vanish: units die, classes get separated."""

ALL = CASES | MANY | CONVERGING


def select(names: list[str] | None, among: Mapping[str, Case]) -> list[Case]:
    """The named cases of some, or all of them; an unknown name raises ValueError."""
    if unknown := sorted(set(names or ()) - among.keys()):
        raise ValueError(f"select: names has {', '.join(unknown)}; expected some of {', '.join(among)}")
    return [among[name] for name in names or among]
