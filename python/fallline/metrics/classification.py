"""How often the right class comes first, or ranks high."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fallline.checks import flag, integer, number
from fallline.errors import message
from fallline.metrics.confusion import Decision, predicted_classes, true_classes
from fallline.metrics.metric import Metric, mean

if TYPE_CHECKING:
    from fallline.typing import Array


class Accuracy(Decision):
    """Share of rows whose class is right.

    The class is the largest of several outputs, or whether a single output is above the threshold.

    Args:
        threshold: for a single output. Default 0.5; given by name, 0 when the model puts out logits.

    Example:
        >>> Accuracy()(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
        0.5
    """

    name = "accuracy"

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = number("Accuracy", "threshold", threshold)

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted share of right rows."""
        right = predicted_classes(y_pred, self.threshold) == true_classes(y_true, y_pred.shape[1])
        return mean(right, sample_weight)


class TopK(Metric):
    """Share of rows whose class is among the k largest outputs; of equal outputs the first counts as larger.

    Args:
        k: how many, >= 1 and less than the outputs. Default 5.

    Example:
        >>> TopK(2)(np.array([0, 1]), np.array([[0.3, 0.5, 0.2], [0.4, 0.1, 0.5]]))
        0.5
    """

    name = "top_k"
    higher_is_better = True

    def __init__(self, k: int = 5) -> None:
        self.k = integer("TopK", "k", k, low=1)

    def check(self, outputs: int, operation: str) -> None:
        """Check that some outputs are not among the k largest."""
        if self.k >= outputs:
            got = f"has k={self.k} in {self.name!r} of {outputs} output{'s' * (outputs > 1)}"
            raise ValueError(message(operation, "metrics", got, "more outputs than k"))

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted share of rows."""
        true = true_classes(y_true, y_pred.shape[1])[:, None]
        own = np.take_along_axis(y_pred, true, axis=1)
        before = (y_pred > own) | ((y_pred == own) & (np.arange(y_pred.shape[1]) < true))
        return mean(before.sum(axis=1) < self.k, sample_weight)


class AUC(Metric):
    """Area under the ROC curve: how often a row of the class gets a larger output than a row of another.

    Pairs of rows with equal outputs count half. With several outputs, the mean over those whose class has rows
    and is not that of all rows: one against the rest. nan if there is none.

    Args:
        from_logits: with several outputs, take their softmax first, so that rows compare. Default False; given
            by name, as the model needs it.

    Example:
        >>> AUC()(np.array([0, 0, 1, 1]), np.array([[0.1], [0.4], [0.35], [0.8]]))
        0.75

    References:
        Hanley & McNeil 1982; Fawcett 2006.
    """

    name = "auc"
    higher_is_better = True

    def __init__(self, *, from_logits: bool = False) -> None:
        self.from_logits = flag("AUC", "from_logits", from_logits)

    @classmethod
    def named(cls, logits: str | None) -> Metric:
        """Return the metric that compares probabilities; a sigmoid would not change the order."""
        return cls(from_logits=logits == "softmax")

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted area."""
        outputs = y_pred.shape[1]
        if y_true.ndim == 1 and outputs > 1:
            belongs = y_true[:, None] == np.arange(outputs)
        else:
            belongs = y_true.reshape(y_pred.shape) > 0.5
        if self.from_logits and outputs > 1:
            y_pred = np.exp(y_pred - y_pred.max(axis=1, keepdims=True), dtype=np.float64)
            y_pred /= y_pred.sum(axis=1, keepdims=True)
        weight = np.ones(len(y_pred)) if sample_weight is None else sample_weight
        areas = [_area(mine, scores, weight) for mine, scores in zip(belongs.T, y_pred.T, strict=True)]
        known = [area for area in areas if not math.isnan(area)]
        return math.fsum(known) / len(known) if known else math.nan


def _area(belongs: Array, scores: Array, weight: Array) -> float:
    _, level = np.unique(scores, return_inverse=True)
    members = np.bincount(level, weight * belongs)
    others = np.bincount(level, weight * ~belongs)
    pairs = members.sum() * others.sum()
    return float(members @ (np.cumsum(others) - others / 2) / pairs) if pairs else math.nan
