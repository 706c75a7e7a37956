"""One row per loss, the options it is made with, the last activation it goes with and a kind of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import fallline as fl
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


def sides(rng, n, k):
    return 2 * binary(rng, n, k) - 1


def counts(rng, n, k):
    return rng.poisson(2.0, (n, k)).astype(np.float64)


@dataclass(frozen=True)
class LossCase:
    make: type
    activation: str
    targets: Callable  # (rng, rows, outputs) -> labels
    formula: Callable
    options: dict = field(default_factory=dict)

    def __str__(self):
        options = "".join(f"-{key}={value}" for key, value in self.options.items())
        return f"{self.name}{options}-{self.activation}-{self.targets.__name__}"

    @property
    def name(self):
        return self.make.name

    def loss(self, reduction="mean"):
        return self.make(**self.options, reduction=reduction)

    def twin(self, prediction, target):
        """Loss of each row and its gradient by the prediction."""
        return self.formula(prediction, target, **self.options)

    def dense_targets(self, labels, outputs):
        """The labels as the (rows, outputs) array that the twin reads."""
        return losses.one_hot(labels, outputs) if labels.ndim == 1 else labels


def cases(make, by_activation, targets, *options):
    """Each activation with each kind of labels and each set of options."""
    return [
        LossCase(make, activation, kind, formula, each)
        for activation, formula in by_activation.items()
        for kind in targets
        for each in options or [{}]
    ]


OF_CLASSES = (classes, one_hot, probabilities)

LOSSES = [
    *cases(fl.MSE, dict.fromkeys(("linear", "relu", "sigmoid", "tanh", "softmax"), losses.mse), [real]),
    *cases(fl.MAE, {"linear": losses.mae, "tanh": losses.mae}, [real]),
    *cases(fl.Huber, {"linear": losses.huber}, [real], {}, {"delta": 0.3}),
    *cases(fl.LogCosh, {"linear": losses.log_cosh, "tanh": losses.log_cosh}, [real]),
    *cases(fl.Quantile, {"linear": losses.quantile}, [real], {}, {"q": 0.9}),
    *cases(
        fl.Poisson, {"exponential": losses.poisson, "linear": losses.poisson_from_logits}, [counts, shares]
    ),
    *cases(fl.Hinge, {"linear": losses.hinge, "tanh": losses.hinge}, [binary, sides]),
    *cases(
        fl.CrossEntropy,
        {"softmax": losses.cross_entropy, "linear": losses.cross_entropy_from_logits},
        OF_CLASSES,
        {},
        {"label_smoothing": 0.1},
    ),
    *cases(
        fl.KLDivergence,
        {"softmax": losses.kl_divergence, "linear": losses.kl_divergence_from_logits},
        OF_CLASSES,
    ),
    *cases(
        fl.FocalCrossEntropy,
        {"softmax": losses.focal_cross_entropy, "linear": losses.focal_cross_entropy_from_logits},
        OF_CLASSES,
        {},
        {"gamma": 0.5, "alpha": 0.25},
    ),
    *cases(
        fl.BinaryCrossEntropy,
        {"sigmoid": losses.binary_cross_entropy, "linear": losses.binary_cross_entropy_from_logits},
        [binary, shares],
        {},
        {"label_smoothing": 0.2},
    ),
    *cases(
        fl.BinaryFocalCrossEntropy,
        {
            "sigmoid": losses.binary_focal_cross_entropy,
            "linear": losses.binary_focal_cross_entropy_from_logits,
        },
        [binary, shares],
        {},
        {"gamma": 0.5, "alpha": 0.25},
    ),
]

# (class, argument, values out of range, value of the wrong type); each class takes reduction besides.
ARGUMENTS = [
    (fl.Huber, "delta", [0.0, -1.0, np.inf, np.nan], "1"),
    (fl.Quantile, "q", [0.0, 1.0, np.nan], None),
    (fl.CrossEntropy, "label_smoothing", [-0.1, 1.1, np.nan], "0.1"),
    (fl.BinaryCrossEntropy, "label_smoothing", [-0.1, 1.1, np.nan], None),
    (fl.FocalCrossEntropy, "gamma", [-0.1, np.inf], None),
    (fl.FocalCrossEntropy, "alpha", [0.0, -1.0, np.inf], "0.25"),
    (fl.BinaryFocalCrossEntropy, "gamma", [-0.1, np.nan], "2"),
    (fl.BinaryFocalCrossEntropy, "alpha", [-0.1, 1.1], [0.5]),
]


def _torch_focal(torch, z, t, gamma, alpha):
    p = torch.softmax(z, 1)
    return (alpha * t * (1 - p) ** gamma * -torch.log(p)).sum(1)


def _torch_binary_focal(torch, z, t, gamma, alpha):
    p = torch.sigmoid(z)
    right = t * p + (1 - t) * (1 - p)
    return ((t * alpha + (1 - t) * (1 - alpha)) * (1 - right) ** gamma * -torch.log(right)).mean(1)


# Outputs z of a linear layer, targets -> losses of the rows, by torch, and by hand where torch has no function.
TORCH = [
    (fl.MSE(), real, lambda torch, f, z, t: f.mse_loss(z, t, reduction="none").mean(1)),
    (fl.MAE(), real, lambda torch, f, z, t: f.l1_loss(z, t, reduction="none").mean(1)),
    (fl.Huber(0.6), real, lambda torch, f, z, t: f.huber_loss(z, t, reduction="none", delta=0.6).mean(1)),
    (fl.LogCosh(), real, lambda torch, f, z, t: torch.log(torch.cosh(z - t)).mean(1)),
    (fl.Quantile(0.8), real, lambda torch, f, z, t: torch.max(0.8 * (t - z), 0.2 * (z - t)).mean(1)),
    (
        fl.Poisson(),
        counts,
        lambda torch, f, z, t: f.poisson_nll_loss(z, t, log_input=True, reduction="none").mean(1),
    ),
    (fl.Hinge(), sides, lambda torch, f, z, t: f.relu(1 - t * z).mean(1)),
    (
        fl.CrossEntropy(0.1),
        one_hot,
        lambda torch, f, z, t: f.cross_entropy(z, t, label_smoothing=0.1, reduction="none"),
    ),
    (
        fl.KLDivergence(),
        probabilities,
        lambda torch, f, z, t: f.kl_div(torch.log_softmax(z, 1), t, reduction="none").sum(1),
    ),
    (
        fl.FocalCrossEntropy(gamma=1.5, alpha=0.3),
        one_hot,
        lambda torch, f, z, t: _torch_focal(torch, z, t, 1.5, 0.3),
    ),
    (
        fl.BinaryCrossEntropy(0.2),
        binary,
        lambda torch, f, z, t: f.binary_cross_entropy_with_logits(z, 0.8 * t + 0.1, reduction="none").mean(1),
    ),
    (
        fl.BinaryFocalCrossEntropy(gamma=1.5, alpha=0.3),
        binary,
        lambda torch, f, z, t: _torch_binary_focal(torch, z, t, 1.5, 0.3),
    ),
]
