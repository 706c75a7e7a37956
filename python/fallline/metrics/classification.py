"""How often the right class comes first, or ranks high; how many labels are right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fallline.checks import flag, integer
from fallline.errors import message
from fallline.metrics.decision import Decision, belonging
from fallline.metrics.metric import Metric, mean
from fallline.ops import activate

if TYPE_CHECKING:
    from fallline.typing import Array


class Accuracy(Decision):
    """Share of rows whose class is right, or of labels that are right.

    The class is the largest of several outputs, or whether a single output is above the threshold. Several
    outputs are labels, each above the threshold or not, after a sigmoid or if the loss takes their logits.

    Args:
        threshold: for a single output, and for labels. Default 0.5; given by name, 0 when the model puts out
            logits.
        labels: whether several outputs are labels of their own, True, or one class, False. Integer classes are
            classes always. Default None: as the model says, and else labels if y_true is zeros and ones, or −1
            and 1, but not with a single 1 in each row.

    Example:
        >>> Accuracy()(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
        0.5
        >>> Accuracy()(np.array([[1, 1], [0, 1]]), np.array([[0.9, 0.1], [0.2, 0.8]]))
        0.75
    """

    name = "accuracy"

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted share."""
        true, predicted = self.decided(y_true, y_pred)
        right = true == predicted
        return mean(right if right.ndim == 1 else right.mean(axis=1), sample_weight)


class HammingLoss(Decision):
    """Share of labels that are wrong: 1 − Accuracy(labels=True).

    Args:
        threshold: an output above it means that the label is there. Default 0.5; given by name, 0 when the model
            puts out logits.

    Example:
        >>> HammingLoss()(np.array([[1, 0], [0, 1]]), np.array([[0.9, 0.1], [0.8, 0.7]]))
        0.25

    References:
        Schapire & Singer 2000, BoosTexter.
    """

    name = "hamming_loss"
    higher_is_better = False

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__(threshold, labels=True)

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted share."""
        true, predicted = self.decided(y_true, y_pred)
        wrong = true != predicted
        return mean(wrong if wrong.ndim == 1 else wrong.mean(axis=1), sample_weight)


class SubsetAccuracy(Decision):
    """Share of rows all of whose labels are right.

    Args:
        threshold: an output above it means that the label is there. Default 0.5; given by name, 0 when the model
            puts out logits.

    Example:
        >>> SubsetAccuracy()(np.array([[1, 0], [0, 1]]), np.array([[0.9, 0.1], [0.8, 0.7]]))
        0.5
    """

    name = "subset_accuracy"

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__(threshold, labels=True)

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted share."""
        true, predicted = self.decided(y_true, y_pred)
        right = true == predicted
        return mean(right if right.ndim == 1 else right.all(axis=1), sample_weight)


class TopK(Metric):
    """Share of rows whose class is among the k largest outputs; of equal outputs the first counts as larger.

    Of a row of several labels any will do, and a row of none is never right.

    Args:
        k: how many, >= 1 and less than the outputs. Default 5.

    Example:
        >>> TopK(2)(np.array([0, 1]), np.array([[0.3, 0.5, 0.2], [0.4, 0.1, 0.5]]))
        0.5
    """

    name = "top_k"
    higher_is_better = of_classes = True

    def __init__(self, k: int = 5) -> None:
        self.k = integer("TopK", "k", k, low=1)

    def check(self, outputs: int, operation: str) -> None:
        """Check that some outputs are not among the k largest."""
        if self.k >= outputs:
            got = f"has k={self.k} in {self.name!r} of {outputs} output{'s' * (outputs > 1)}"
            raise ValueError(message(operation, "metrics", got, "more outputs than k"))

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted share of rows."""
        outputs = y_pred.shape[1]
        if y_true.ndim == 1:
            belongs = belonging(y_true, outputs)
        else:
            belongs = (y_true == y_true.max(axis=1, keepdims=True)) & (y_true > 0)
        best = np.where(belongs, y_pred, -np.inf).argmax(axis=1)[:, None]
        own = np.take_along_axis(y_pred, best, axis=1)
        before = (y_pred > own) | ((y_pred == own) & (np.arange(outputs) < best))
        return mean(belongs.any(axis=1) & (before.sum(axis=1) < self.k), sample_weight)


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
    higher_is_better = of_classes = True

    def __init__(self, *, from_logits: bool = False) -> None:
        self.from_logits = flag("AUC", "from_logits", from_logits)

    @classmethod
    def named(cls, logits: str | None) -> Metric:
        """Return the metric that compares probabilities; a sigmoid would not change the order."""
        return cls(from_logits=logits == "softmax")

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted area."""
        belongs = belonging(y_true, y_pred.shape[1])
        if self.from_logits and y_pred.shape[1] > 1:
            y_pred = activate("softmax", y_pred.astype(np.float64))
        weight = np.ones(len(y_pred)) if sample_weight is None else sample_weight
        areas = [_area(mine, scores, weight) for mine, scores in zip(belongs.T, y_pred.T, strict=True)]
        known = [area for area in areas if not math.isnan(area)]
        return math.fsum(known) / len(known) if known else math.nan


def _area(belongs: Array, scores: Array, weight: Array) -> float:
    _, level = np.unique(scores, return_inverse=True)
    members = np.bincount(level, weight * belongs)
    others = np.bincount(level, weight * ~belongs)
    pairs = members.sum() * others.sum()
    return float((members * (np.cumsum(others) - others / 2)).sum() / pairs) if pairs else math.nan
