"""Precision, recall and what is made of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fallline.checks import choice, number
from fallline.errors import message
from fallline.metrics.confusion import counts
from fallline.metrics.decision import Decision
from fallline.metrics.metric import mean

if TYPE_CHECKING:
    from fallline.typing import Array

    Average = Literal["auto", "binary", "macro", "micro", "weighted"]

AVERAGES = ("auto", "binary", "macro", "micro", "weighted")


def _share_or_nan(value: Any, kind: str) -> float:
    is_nan = isinstance(value, float | np.floating) and math.isnan(value)
    return math.nan if is_nan else number(kind, "zero_division", value, low=0, high=1)


class _Share(Decision):
    """A share of counts, for one class, or of each class or label, or averaged over them."""

    def __init__(
        self,
        average: Average | None = "auto",
        *,
        zero_division: float = 0.0,
        threshold: float = 0.5,
        labels: bool | None = None,
    ) -> None:
        super().__init__(threshold, labels=labels)
        kind = type(self).__name__
        self.average = None if average is None else choice(kind, "average", average, AVERAGES)
        self.zero_division = _share_or_nan(zero_division, kind)

    def check(self, outputs: int, operation: str) -> None:
        """Check that "binary" is asked for two classes only."""
        if self.average == "binary" and (outputs > 2 or (outputs == 2 and self.labels)):
            what = "labels" if self.labels else "outputs"
            got = f"has average='binary' in {self.name!r} of {outputs} {what}"
            raise ValueError(message(operation, "metrics", got, "'macro', 'micro', 'weighted' or None"))

    def keys(self, outputs: int) -> list[str]:
        """Return the metric's name, or one for each class or label if they are not averaged."""
        if self.average is not None:
            return [self.name]
        return [f"{self.name}_{i}" for i in range(max(2, outputs))]

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        """Return what is divided by what: rows of a class that are right, predicted, and there."""
        raise NotImplementedError

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Any:
        """Return the share, averaged as asked; of each class or label, (k,), if average is None."""
        true, guess = self.decided(y_true, y_pred)
        tables = counts(true, guess, max(2, y_pred.shape[1]), sample_weight)
        if tables.ndim == 3:
            found = np.array([tables[:, 1, 1], tables[:, :, 1].sum(axis=1), tables[:, 1].sum(axis=1)])
        else:
            found = np.array([tables.diagonal(), tables.sum(axis=0), tables.sum(axis=1)])
        average = self.average
        if average == "auto":
            average = "binary" if tables.shape == (2, 2) else "macro"
        if average == "binary":
            found = found[:, 1:]
        elif average == "micro":
            found = found.sum(axis=1, keepdims=True)
        part, whole = self.parts(*found)
        shares = np.where(whole > 0, part / np.where(whole > 0, whole, 1), self.zero_division)
        if average is None:
            return shares
        if len(shares) == 1:
            return float(shares[0])
        _, predicted, actual = found
        weights = actual if average == "weighted" else (predicted + actual > 0).astype(np.float64)
        defined = ~np.isnan(shares)
        return mean(shares[defined], weights[defined])


class Precision(_Share):
    """Rows of a class that are predicted right / rows that are predicted as the class.

    Args:
        average: "binary": of class 1 of two; "macro": the mean over the classes or labels; "weighted": by the
            weight of their rows; "micro": all counted together; None: of each, (k,), in a model's logs as
            "precision_0", "precision_1", ... Means leave out what neither occurs nor is predicted. Default "auto":
            "binary" for one output or two classes, else "macro".
        zero_division: value of what is never predicted, in [0, 1], or nan to leave it out. Default 0.
        threshold: for a single output, and for labels. Default 0.5; given by name, 0 when the model puts out
            logits.
        labels: whether several outputs are labels of their own, as of Accuracy. Default None.

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
        average: "binary": of class 1 of two; "macro": the mean over the classes or labels; "weighted": by the
            weight of their rows; "micro": all counted together; None: of each, (k,), in a model's logs as
            "recall_0", "recall_1", ... Means leave out what neither occurs nor is predicted. Default "auto":
            "binary" for one output or two classes, else "macro".
        zero_division: value of what has no rows, in [0, 1], or nan to leave it out. Default 0.
        threshold: for a single output, and for labels. Default 0.5; given by name, 0 when the model puts out
            logits.
        labels: whether several outputs are labels of their own, as of Accuracy. Default None.

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
        average: "binary": of class 1 of two; "macro": the mean over the classes or labels; "weighted": by the
            weight of their rows; "micro": all counted together; None: of each, (k,), in a model's logs as
            "f1_0", "f1_1", ... Means leave out what neither occurs nor is predicted. Default "auto":
            "binary" for one output or two classes, else "macro".
        zero_division: value of what neither occurs nor is predicted, in [0, 1], or nan. Default 0.
        threshold: for a single output, and for labels. Default 0.5; given by name, 0 when the model puts out
            logits.
        labels: whether several outputs are labels of their own, as of Accuracy. Default None.

    Example:
        >>> F1()(np.array([0, 1, 1]), np.array([[0.9], [0.8], [0.2]]))
        0.5
    """

    name = "f1"

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        """Return what is divided by what."""
        return 2 * right, predicted + actual
