"""Targets of regressions, and targets that are classes whatever the loss."""

from __future__ import annotations

import numpy as np

import fallline as fl


def cubes(y_true, y_pred):
    return (abs(y_pred - y_true) ** 3).mean(axis=1), 3 * (y_pred - y_true) * abs(
        y_pred - y_true
    ) / y_pred.shape[1]


# Outputs, last activation, loss, labels made of classes 0 and 1 and numbers of a normal distribution
REGRESSIONS = {
    "a number": (1, None, "mse", lambda c, z: 2 * z),
    "shares": (1, "sigmoid", "mse", lambda c, z: 1 / (1 + np.exp(-z))),
    "counts": (1, None, "poisson", lambda c, z: np.floor(abs(3 * z))),
    "three steps": (1, "tanh", "mae", lambda c, z: np.sign(np.round(z))),
    "two far numbers": (1, None, "huber", lambda c, z: 3.0 + c),
    "two numbers on one side": (1, None, "quantile", lambda c, z: 0.2 + 0.2 * c),
    "numbers": (2, None, "log_cosh", lambda c, z: np.stack([z, z**2], axis=1)),
    "a loss of one's own": (1, None, cubes, lambda c, z: z),
}
CLASSES = {
    "0 and 1": (1, None, "mse", lambda c, z: c),
    "booleans": (1, None, "mse", lambda c, z: c == 1),
    "margins": (1, "tanh", "mse", lambda c, z: 2 * c - 1),
    "0.1 and 0.9": (1, "sigmoid", "mse", lambda c, z: 0.1 + 0.8 * c),
    "0 and 1 of a count": (1, None, "poisson", lambda c, z: c),
    "one-hot": (2, "softmax", "mse", lambda c, z: np.eye(2)[c]),
    "probabilities": (2, "softmax", "mse", lambda c, z: 0.2 + 0.6 * np.eye(2)[c]),
    "unsure": (1, "sigmoid", "binary_cross_entropy", lambda c, z: 0.2 + 0.7 * c + 0.1 * np.sin(z) ** 2),
    "hinge": (1, None, "hinge", lambda c, z: 2 * c - 1),
    "own": (1, None, cubes, lambda c, z: c),
    "own classes": (
        2,
        None,
        fl.FunctionLoss(lambda y, p: cubes(np.eye(2)[y], p), classes=True),
        lambda c, z: c,
    ),
}
