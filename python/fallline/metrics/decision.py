"""What is decided for a row: its class, or each of its labels."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from fallline.checks import flag, number
from fallline.classes import are_labels
from fallline.metrics.metric import Metric

if TYPE_CHECKING:
    from fallline.typing import Array


class Decision(Metric):
    """Base of metrics that compare decisions: the largest of several outputs, or each of them above a threshold."""

    higher_is_better = True
    of_classes = True

    def __init__(self, threshold: float = 0.5, *, labels: bool | None = None) -> None:
        kind = type(self).__name__
        self.threshold = number(kind, "threshold", threshold)
        self.labels = None if labels is None else flag(kind, "labels", labels)

    @classmethod
    def named(cls, logits: str | None) -> Metric:
        """Return the metric that cuts where the probability is 0.5."""
        return cls() if logits is None else cls(threshold=0.0)

    def for_labels(self) -> Metric:
        """Return the metric of outputs that are labels, unless it was told what they are."""
        if self.labels is not None:
            return self
        other = copy.copy(self)
        vars(other)["labels"] = True
        return other

    def decided(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return what is true and what is predicted: classes (n,), or labels (n, outputs) that are true or not."""
        return decisions(y_true, y_pred, self.threshold, self.labels)


def mean_labels(y_true: Array, labels: bool | None) -> bool:
    """Tell whether the rows (n, outputs) are labels of their own; if labels is None they tell themselves."""
    several = y_true.ndim == 2 and y_true.shape[1] > 1
    return several and (are_labels(y_true) if labels is None else labels)


def decisions(y_true: Array, y_pred: Array, threshold: float, labels: bool | None) -> tuple[Array, Array]:
    """Return classes (n,), or labels (n, outputs) that are there or not."""
    outputs = y_pred.shape[1]
    if outputs > 1 and mean_labels(y_true, labels):
        return belonging(y_true, outputs), y_pred > threshold
    true = true_classes(y_true) if outputs > 1 else (y_true.reshape(-1) > 0.5).astype(np.intp)
    return true, predicted_classes(y_pred, threshold)


def true_classes(y_true: Array) -> Array:
    """Return the class (n,) of integers (n,), or the largest of each row."""
    classes = y_true if y_true.ndim == 1 else y_true.argmax(axis=1)
    return classes.astype(np.intp, copy=False)


def predicted_classes(y_pred: Array, threshold: float) -> Array:
    """Return the class (n,) that outputs (n, outputs) mean."""
    if y_pred.shape[1] == 1:
        return (y_pred[:, 0] > threshold).astype(np.intp)
    classes: Array = y_pred.argmax(axis=1)
    return classes


def belonging(y_true: Array, outputs: int) -> Array:
    """Return whether each row belongs to each class, or has each label, (n, outputs)."""
    several = y_true.ndim == 1 and outputs > 1
    own: Array = y_true[:, None] == np.arange(outputs) if several else y_true.reshape(-1, outputs) > 0.5
    return own
