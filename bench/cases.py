"""The networks every contestant trains, with seeded data and starting weights.

The network is ReLU between layers; the loss is softmax cross-entropy, or mean squared error where the output
is one wide. Rows are whole batches, so that a step is the same work for everyone and the mean over batches
is the mean over rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Weights = list[NDArray[np.float32]]
"""[kernel, bias, kernel, bias, ...] as in `Model.get_weights()`: kernels (inputs, units), biases (units,)."""


@dataclass(frozen=True)
class Case:
    """One network, its batch, its optimizer and how many rows make an epoch."""

    name: str
    widths: tuple[int, ...]
    batch: int
    steps: int
    optimizer: str
    models: int = 1

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
        return {"sgd": 1e-2, "adam": 1e-3}[self.optimizer]

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

    def data(self, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int64]]:
        """x (rows, inputs), made without temporaries; y integer classes (rows,) or targets (rows, 1)."""
        generator = np.random.default_rng(seed)
        x = np.empty((self.rows, self.widths[0]), np.float32)
        generator.standard_normal(out=x, dtype=np.float32)
        if self.loss == "mse":
            noise = generator.standard_normal((self.rows, 1), dtype=np.float32)
            return x, np.sign(x[:, :1] * x[:, 1:2]) + np.float32(0.1) * noise
        # Labels nobody can learn keep the gradients away from denormal numbers; every class occurs.
        return x, generator.permutation(np.arange(self.rows) % self.widths[-1])

    def weights(self, seed: int = 1) -> Weights:
        """He-normal kernels and small biases, the same for every contestant."""
        generator = np.random.default_rng(seed)
        weights: Weights = []
        for n, m in self.kernels:
            weights.append(generator.standard_normal((n, m), dtype=np.float32) * np.float32((2 / n) ** 0.5))
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

ALL = CASES | MANY


def select(names: list[str] | None) -> list[Case]:
    """The named cases, or all; an unknown name raises ValueError."""
    if unknown := sorted(set(names or ()) - ALL.keys()):
        raise ValueError(f"select: names has {', '.join(unknown)}; expected some of {', '.join(ALL)}")
    return [ALL[name] for name in names or ALL]
