"""One row per pair of a loss and the last activation it goes with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twins import losses


def real(rng, n, k):
    return rng.normal(size=(n, k))


def classes(rng, n, k):
    return rng.integers(0, k, n)


def one_hot(rng, n, k):
    return np.eye(k)[rng.integers(0, k, n)]


def probabilities(rng, n, k):
    return rng.dirichlet(np.ones(k), n)


def binary(rng, n, k):
    return rng.integers(0, 2, (n, k)).astype(np.float64)


def shares(rng, n, k):
    return rng.uniform(size=(n, k))


@dataclass(frozen=True)
class LossCase:
    name: str
    activation: str
    targets: Callable  # (rng, rows, outputs) -> labels
    twin: Callable

    def __str__(self):
        return f"{self.name}-{self.activation}-{self.targets.__name__}"

    def dense_targets(self, labels, outputs):
        """The labels as the (rows, outputs) array that the twin reads."""
        return losses.one_hot(labels, outputs) if labels.ndim == 1 else labels


LOSSES = [
    *(LossCase("mse", last, real, losses.mse) for last in ("linear", "relu", "sigmoid", "tanh", "softmax")),
    *(
        LossCase("cross_entropy", "softmax", kind, losses.cross_entropy)
        for kind in (classes, one_hot, probabilities)
    ),
    *(
        LossCase("cross_entropy", "linear", kind, losses.cross_entropy_from_logits)
        for kind in (classes, one_hot, probabilities)
    ),
    *(
        LossCase("binary_cross_entropy", "sigmoid", kind, losses.binary_cross_entropy)
        for kind in (binary, shares)
    ),
    *(
        LossCase("binary_cross_entropy", "linear", kind, losses.binary_cross_entropy_from_logits)
        for kind in (binary, shares)
    ),
]
