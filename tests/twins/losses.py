"""Losses: (prediction (n, k), target (n, k)) -> (loss of each row (n,), gradient of each row's loss (n, k)).

Predictions are probabilities after softmax or sigmoid, and logits after linear.
"""

from __future__ import annotations

import numpy as np

from twins import activations


def one_hot(labels, classes):
    """(n,) integer classes -> (n, classes)."""
    return np.eye(classes)[np.asarray(labels, dtype=np.intp)]


def mse(prediction, target):
    """Mean of the squared error over the k outputs."""
    error = prediction - target
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


def cross_entropy(prediction, target):
    """-sum y ln p, p being probabilities."""
    return -(target * np.log(prediction)).sum(axis=1), -target / prediction


def cross_entropy_from_logits(prediction, target):
    """sum y (logsumexp(v) - v)."""
    top = prediction.max(axis=1, keepdims=True)
    log_p = prediction - top - np.log(np.exp(prediction - top).sum(axis=1, keepdims=True))
    mass = target.sum(axis=1, keepdims=True)
    return -(target * log_p).sum(axis=1), mass * activations.softmax(prediction) - target


def binary_cross_entropy(prediction, target):
    """Mean over the k outputs of -(y ln p + (1 - y) ln(1 - p)), p being probabilities."""
    p, k = prediction, prediction.shape[1]
    losses = -(target * np.log(p) + (1 - target) * np.log1p(-p))
    return losses.mean(axis=1), (p - target) / (p * (1 - p)) / k


def binary_cross_entropy_from_logits(prediction, target):
    """Mean over the k outputs of softplus(v) - y v."""
    k = prediction.shape[1]
    losses = np.logaddexp(0, prediction) - target * prediction
    return losses.mean(axis=1), (activations.sigmoid(prediction) - target) / k


def reduced(loss, prediction, target, sample_weight=None, reduction="mean"):
    """The loss of the batch and its gradient (n, k): a weighted mean divides by the sum of the weights."""
    rows, gradient = loss(prediction, target)
    weight = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if reduction == "mean":
        weight = weight / weight.sum()
    return float((weight * rows).sum()), weight[:, None] * gradient
