"""Losses: (prediction (n, k), target (n, k)) -> (loss of each row (n,), gradient of each row's loss (n, k)).

Predictions are probabilities after softmax or sigmoid, means after exponential, and logits after linear.
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


def mae(prediction, target):
    """Mean of the absolute error over the k outputs."""
    error = prediction - target
    return np.abs(error).mean(axis=1), np.sign(error) / error.shape[1]


def huber(prediction, target, delta=1.0):
    """Mean over the k outputs of e^2 / 2, straight on beyond |e| = delta."""
    error = prediction - target
    near = np.abs(error) <= delta
    losses = np.where(near, error**2 / 2, delta * np.abs(error) - delta**2 / 2)
    return losses.mean(axis=1), np.where(near, error, delta * np.sign(error)) / error.shape[1]


def log_cosh(prediction, target):
    """Mean over the k outputs of ln cosh e, for errors whose cosh does not overflow."""
    error = prediction - target
    return np.log(np.cosh(error)).mean(axis=1), np.tanh(error) / error.shape[1]


def quantile(prediction, target, q=0.5):
    """Mean over the k outputs of max(q e, (q - 1) e), e = target - prediction."""
    error = target - prediction
    losses = np.maximum(q * error, (q - 1) * error)
    return losses.mean(axis=1), np.select([error > 0, error < 0], [-q, 1 - q], 0.0) / error.shape[1]


def poisson(prediction, target):
    """Mean over the k outputs of p - t ln p."""
    k = prediction.shape[1]
    return (prediction - target * np.log(prediction)).mean(axis=1), (1 - target / prediction) / k


def poisson_from_logits(prediction, target):
    """Mean over the k outputs of e^v - t v."""
    rate, k = np.exp(prediction), prediction.shape[1]
    return (rate - target * prediction).mean(axis=1), (rate - target) / k


def hinge(prediction, target):
    """Mean over the k outputs of max(0, 1 - t y), targets 0 standing for -1."""
    side = np.where(target == 0, -1.0, target)
    margin = 1 - side * prediction
    return np.maximum(margin, 0).mean(axis=1), np.where(margin > 0, -side, 0.0) / prediction.shape[1]


def smooth(target, label_smoothing, classes):
    """The targets, moved towards 1 / classes."""
    return target * (1 - label_smoothing) + label_smoothing / classes


def cross_entropy(prediction, target, label_smoothing=0.0):
    """-sum y ln p, p being probabilities."""
    target = smooth(target, label_smoothing, target.shape[1])
    return -(target * np.log(prediction)).sum(axis=1), -target / prediction


def cross_entropy_from_logits(prediction, target, label_smoothing=0.0):
    """sum y (logsumexp(v) - v)."""
    target = smooth(target, label_smoothing, target.shape[1])
    top = prediction.max(axis=1, keepdims=True)
    log_p = prediction - top - np.log(np.exp(prediction - top).sum(axis=1, keepdims=True))
    mass = target.sum(axis=1, keepdims=True)
    return -(target * log_p).sum(axis=1), mass * activations.softmax(prediction) - target


def entropy(target):
    """-sum y ln y, where 0 ln 0 = 0."""
    return -(target * np.log(np.where(target > 0, target, 1.0))).sum(axis=1)


def kl_divergence(prediction, target):
    """sum y ln(y / p)."""
    losses, gradient = cross_entropy(prediction, target)
    return losses - entropy(target), gradient


def kl_divergence_from_logits(prediction, target):
    """sum y (ln y - ln softmax(v))."""
    losses, gradient = cross_entropy_from_logits(prediction, target)
    return losses - entropy(target), gradient


def focus(losses, gradient, gamma):
    """b (1 - e^-b)^gamma for cross-entropies b and their gradients."""
    p = np.exp(-losses)
    slope = (1 - p) ** gamma + gamma * (1 - p) ** (gamma - 1) * p * losses
    return losses * (1 - p) ** gamma, slope * gradient


def focal_cross_entropy(prediction, target, gamma=2.0, alpha=None, cross_entropy=cross_entropy):
    """alpha b (1 - e^-b)^gamma of the cross-entropy b of a row."""
    losses, gradient = cross_entropy(prediction, target)
    losses, gradient = focus(losses[:, None], gradient, gamma)
    return (alpha or 1) * losses[:, 0], (alpha or 1) * gradient


def focal_cross_entropy_from_logits(prediction, target, **options):
    """The same, from logits."""
    return focal_cross_entropy(prediction, target, cross_entropy=cross_entropy_from_logits, **options)


def binary_cross_entropies(p, target):
    """-(y ln p + (1 - y) ln(1 - p)) and its slopes by p."""
    return -(target * np.log(p) + (1 - target) * np.log1p(-p)), (p - target) / (p * (1 - p))


def binary_cross_entropies_from_logits(v, target):
    """softplus(v) - y v and its slopes by v."""
    return np.logaddexp(0, v) - target * v, activations.sigmoid(v) - target


def binary_cross_entropy(prediction, target, label_smoothing=0.0, cross_entropies=binary_cross_entropies):
    """Mean over the k outputs of the cross-entropies."""
    losses, gradient = cross_entropies(prediction, smooth(target, label_smoothing, 2))
    return losses.mean(axis=1), gradient / losses.shape[1]


def binary_cross_entropy_from_logits(prediction, target, **options):
    """The same, from logits."""
    return binary_cross_entropy(
        prediction, target, cross_entropies=binary_cross_entropies_from_logits, **options
    )


def binary_focal_cross_entropy(
    prediction, target, gamma=2.0, alpha=None, cross_entropies=binary_cross_entropies
):
    """Mean over the k outputs of w b (1 - e^-b)^gamma of the cross-entropies b."""
    weight = 1.0 if alpha is None else target * alpha + (1 - target) * (1 - alpha)
    losses, gradient = focus(*cross_entropies(prediction, target), gamma)
    return (weight * losses).mean(axis=1), weight * gradient / losses.shape[1]


def binary_focal_cross_entropy_from_logits(prediction, target, **options):
    """The same, from logits."""
    return binary_focal_cross_entropy(
        prediction, target, cross_entropies=binary_cross_entropies_from_logits, **options
    )


def reduced(loss, prediction, target, sample_weight=None, reduction="mean"):
    """The loss of the batch and its gradient (n, k): a weighted mean divides by the sum of the weights."""
    rows, gradient = loss(prediction, target)
    weight = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if reduction == "mean":
        weight = weight / weight.sum()
    return float((weight * rows).sum()), weight[:, None] * gradient
