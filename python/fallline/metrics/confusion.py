"""Which classes are taken for which, and which labels are found: the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fallline.checks import flag, number
from fallline.errors import message
from fallline.frames import as_array
from fallline.metrics.decision import decisions, mean_labels, predicted_classes, true_classes

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike


def counts(true: Array, predicted: Array, classes: int, weight: Array | None) -> Array:
    """Return the rows of each class, down, by what they are taken for, across; of labels (k, 2, 2), no and yes."""
    if true.ndim == 1:
        return np.bincount(true * classes + predicted, weight, classes**2).reshape(classes, classes)
    pairs = zip(true.T.astype(np.intp), predicted.T, strict=True)
    return np.stack([counts(mine, guess, 2, weight) for mine, guess in pairs])


def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    threshold: float = 0.5,
    labels: bool | None = None,
) -> Array:
    """Return how many rows of each class, down, are taken for each class, across.

    Args:
        y_true: integer classes (n,), one-hot rows or probabilities (n, classes), or labels (n, labels).
        y_pred: what predict() returns, (n, outputs), or integer classes (n,).
        sample_weight: (n,), summed instead of counting. Default None.
        threshold: a single output above it means class 1, and one of several that the label is there; 0 for
            logits. Default 0.5.
        labels: whether several outputs are labels of their own, as of Accuracy. Default None.

    Shapes:
        (classes, classes), or (labels, 2, 2): rows without the label, and with it, taken for those without, and
        with it. Integers, or float64 with weights.

    Raises:
        ValueError: wrong shapes, or classes that are not integers >= 0.

    Example:
        >>> confusion_matrix([0, 1, 1, 2], [0, 1, 2, 2])
        array([[1, 0, 0],
               [0, 1, 1],
               [0, 0, 1]])
    """
    threshold = number("confusion_matrix", "threshold", threshold)
    labels = None if labels is None else flag("confusion_matrix", "labels", labels)
    outputs = _numbers(y_pred, "y_pred")
    answers = _numbers(y_true, "y_true")
    n = len(answers)
    if len(outputs) != n:
        raise ValueError(message("confusion_matrix", "y_pred", f"has {len(outputs)} rows", f"{n}, as y_true"))
    weight = None if sample_weight is None else _numbers(sample_weight, "sample_weight")
    if weight is not None and weight.shape != (n,):
        raise ValueError(message("confusion_matrix", "sample_weight", f"has shape {weight.shape}", f"({n},)"))
    if mean_labels(answers, labels):
        if outputs.shape != answers.shape:
            expected = f"{answers.shape}, as the labels of y_true"
            raise ValueError(message("confusion_matrix", "y_pred", f"has shape {outputs.shape}", expected))
        return counts(*decisions(answers, outputs, threshold, labels=True), 2, weight)
    several = answers.ndim == 2 and answers.shape[1] > 1
    true = true_classes(answers) if several else _whole(answers.reshape(-1), "y_true")
    predicted = predicted_classes(outputs, threshold) if outputs.ndim == 2 else _whole(outputs, "y_pred")
    least = max(answers.shape[1] if several else 1, 1 if outputs.ndim == 1 else max(2, outputs.shape[1]))
    classes = max([least, *(int(c.max()) + 1 for c in (true, predicted) if c.size)])
    return counts(true, predicted, classes, weight)


def _numbers(value: ArrayLike, argument: str) -> Array:
    array = as_array(value, "confusion_matrix", argument)
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
