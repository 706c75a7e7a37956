"""Which classes are taken for which: the confusion matrix, and what is read from it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fallline.checks import choice, number
from fallline.errors import message
from fallline.metrics.metric import Metric, mean

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike

    Average = Literal["binary", "macro", "micro", "weighted"]

AVERAGES = ("binary", "macro", "micro", "weighted")


class Decision(Metric):
    """Base of metrics that compare classes: the largest of several outputs, or a single one above a threshold."""

    higher_is_better = True
    threshold: float

    @classmethod
    def named(cls, logits: str | None) -> Metric:
        """Return the metric that cuts where the probability is 0.5."""
        return cls() if logits is None else cls(threshold=0.0)  # type: ignore[call-arg]


def true_classes(y_true: Array, outputs: int) -> Array:
    """Return the class (n,) that labels mean beside so many outputs."""
    if outputs == 1:
        return (y_true.reshape(-1) > 0.5).astype(np.intp)
    classes = y_true if y_true.ndim == 1 else y_true.argmax(axis=1)
    return classes.astype(np.intp, copy=False)


def predicted_classes(y_pred: Array, threshold: float) -> Array:
    """Return the class (n,) that outputs (n, outputs) mean."""
    if y_pred.shape[1] == 1:
        return (y_pred[:, 0] > threshold).astype(np.intp)
    classes: Array = y_pred.argmax(axis=1)
    return classes


def _counts(true: Array, predicted: Array, classes: int, weight: Array | None) -> Array:
    return np.bincount(true * classes + predicted, weight, classes**2).reshape(classes, classes)


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, threshold: float = 0.5
) -> Array:
    """Return how many rows of each class, down, are taken for each class, across.

    Args:
        y_true: integer classes (n,), or one-hot rows or probabilities (n, classes).
        y_pred: what predict() returns, (n, outputs), or integer classes (n,).
        sample_weight: (n,), summed instead of counting. Default None.
        threshold: a single output above it means class 1; 0 for logits. Default 0.5.

    Shapes:
        (classes, classes), integers, or float64 with weights.

    Raises:
        ValueError: wrong shapes, or classes that are not integers >= 0.

    Example:
        >>> confusion_matrix([0, 1, 1, 2], [0, 1, 2, 2])
        array([[1, 0, 0],
               [0, 1, 1],
               [0, 0, 1]])
    """
    threshold = number("confusion_matrix", "threshold", threshold)
    outputs = _numbers(y_pred, "y_pred")
    labels = _numbers(y_true, "y_true")
    if len(labels) != len(outputs):
        raise ValueError(
            message("confusion_matrix", "y_pred", f"has {len(outputs)} rows", f"{len(labels)}, as y_true")
        )
    weight = None if sample_weight is None else _numbers(sample_weight, "sample_weight")
    if weight is not None and weight.shape != (len(labels),):
        got = f"has shape {weight.shape}"
        raise ValueError(message("confusion_matrix", "sample_weight", got, f"({len(labels)},)"))
    predicted = predicted_classes(outputs, threshold) if outputs.ndim == 2 else _whole(outputs, "y_pred")
    several = labels.ndim == 2 and labels.shape[1] > 1
    true = labels.argmax(axis=1) if several else _whole(labels.reshape(-1), "y_true")
    least = max(labels.shape[1] if several else 1, 1 if outputs.ndim == 1 else max(2, outputs.shape[1]))
    classes = max([least, *(int(c.max()) + 1 for c in (true, predicted) if c.size)])
    return _counts(true, predicted, classes, weight)


def _numbers(value: ArrayLike, argument: str) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(message("confusion_matrix", argument, f"has dtype {array.dtype}", "numbers"))
    if array.ndim not in (1, 2):
        raise ValueError(
            message("confusion_matrix", argument, f"has shape {array.shape}", "(n,) or (n, outputs)")
        )
    return array


def _whole(classes: Array, argument: str) -> Array:
    """Return classes as integers; outputs without their second axis are no classes."""
    if classes.size and not (classes.min() >= 0 and (classes == np.floor(classes)).all()):
        hint = "integers >= 0; one output a row has shape (n, 1)"
        raise ValueError(
            message("confusion_matrix", argument, f"goes from {classes.min()} to {classes.max()}", hint)
        )
    return classes.astype(np.intp)


def _share_or_nan(value: Any, kind: str) -> float:
    is_nan = isinstance(value, float) and math.isnan(value)
    return math.nan if is_nan else number(kind, "zero_division", value, low=0, high=1)


class _Share(Decision):
    """A share of counts, for one class or averaged over classes."""

    def __init__(
        self,
        average: Average | None = None,
        *,
        zero_division: float = 0.0,
        threshold: float = 0.5,
    ) -> None:
        kind = type(self).__name__
        self.average = None if average is None else choice(kind, "average", average, AVERAGES)
        self.zero_division = _share_or_nan(zero_division, kind)
        self.threshold = number(kind, "threshold", threshold)

    def check(self, outputs: int, operation: str) -> None:
        """Check that "binary" is asked for two classes only."""
        if self.average == "binary" and outputs > 2:
            got = f"has average='binary' in {self.name!r} of {outputs} outputs"
            raise ValueError(message(operation, "metrics", got, "'macro', 'micro' or 'weighted'"))

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        """Return what is divided by what: rows of a class that are right, predicted, and there."""
        raise NotImplementedError

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the share, averaged as asked."""
        outputs = y_pred.shape[1]
        true, guess = true_classes(y_true, outputs), predicted_classes(y_pred, self.threshold)
        table = _counts(true, guess, max(2, outputs), sample_weight)
        counts = np.array([table.diagonal(), table.sum(axis=0), table.sum(axis=1)])
        average = self.average or ("binary" if len(table) == 2 else "macro")
        if average == "binary":
            counts = counts[:, 1:]
        elif average == "micro":
            counts = counts.sum(axis=1, keepdims=True)
        part, whole = self.parts(*counts)
        shares = np.where(whole > 0, part / np.where(whole > 0, whole, 1), self.zero_division)
        if len(shares) == 1:
            return float(shares[0])
        _, predicted, actual = counts
        weights = actual if average == "weighted" else (predicted + actual > 0).astype(np.float64)
        defined = ~np.isnan(shares)
        return mean(shares[defined], weights[defined])


class Precision(_Share):
    """Rows of a class that are predicted right / rows that are predicted as the class.

    Args:
        average: "binary": of class 1 of two; "macro": the mean over the classes; "weighted": by the weight of
            their rows; "micro": all classes counted together. Classes that neither occur nor are predicted are
            left out. Default None: "binary" for one or two outputs, else "macro".
        zero_division: value of a class that is never predicted, in [0, 1], or nan to leave it out. Default 0.
        threshold: for a single output. Default 0.5; given by name, 0 when the model puts out logits.

    Example:
        >>> Precision()(np.array([0, 1, 1]), np.array([[0.9], [0.8], [0.2]]))
        0.5
    """

    name = "precision"

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:  # noqa: ARG002
        """Return what is divided by what."""
        return right, predicted


class Recall(_Share):
    """Rows of a class that are predicted right / rows of the class.

    Args:
        average: "binary": of class 1 of two; "macro": the mean over the classes; "weighted": by the weight of
            their rows; "micro": all classes counted together. Classes that neither occur nor are predicted are
            left out. Default None: "binary" for one or two outputs, else "macro".
        zero_division: value of a class that has no rows, in [0, 1], or nan to leave it out. Default 0.
        threshold: for a single output. Default 0.5; given by name, 0 when the model puts out logits.

    Example:
        >>> Recall()(np.array([0, 1, 1]), np.array([[0.1], [0.8], [0.2]]))
        0.5
    """

    name = "recall"

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:  # noqa: ARG002
        """Return what is divided by what."""
        return right, actual


class F1(_Share):
    """Harmonic mean of precision and recall: 2 · right / (predicted + actual) rows of a class.

    Args:
        average: "binary": of class 1 of two; "macro": the mean over the classes; "weighted": by the weight of
            their rows; "micro": all classes counted together. Classes that neither occur nor are predicted are
            left out. Default None: "binary" for one or two outputs, else "macro".
        zero_division: value of "binary" if class 1 neither occurs nor is predicted, in [0, 1], or nan.
            Default 0.
        threshold: for a single output. Default 0.5; given by name, 0 when the model puts out logits.

    Example:
        >>> F1()(np.array([0, 1, 1]), np.array([[0.9], [0.8], [0.2]]))
        0.5
    """

    name = "f1"

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        """Return what is divided by what."""
        return 2 * right, predicted + actual
