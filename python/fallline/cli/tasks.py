"""What a column of targets asks for, classes or values, and how a network states its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fallline.errors import message

Kind = Literal["classification", "regression"]

_MOST_CLASSES = 20  # whole numbers with more different values than this are taken as values


@dataclass(frozen=True)
class Task:
    """Classes by name, or values by the mean and deviation they are standardised with."""

    kind: Kind
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def told_by(cls, y: NDArray[Any], kind: Kind | None = None) -> Task:
        """The task that targets (n,) pose: text or few whole numbers are classes, unless `kind` is given."""
        different = np.unique(y)
        if len(different) < 2:
            raise ValueError(
                message("train", "target", f"is {different[0]} in every row", "different values")
            )
        if kind is None:
            is_few = len(different) <= min(_MOST_CLASSES, max(2, len(y) // 2))
            is_classes = not _is_numeric(y) or (is_few and bool(np.all(different == np.floor(different))))
            kind = "classification" if is_classes else "regression"
        if kind == "classification":
            return cls(kind, classes=tuple(map(_class_name, different)))
        values = _numbers(y)
        return cls(kind, mean=float(values.mean()), deviation=float(values.std()))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Task:
        """The task that `metadata()` wrote into a saved model."""
        if metadata["task"] == "regression":
            return cls("regression", mean=metadata["target_mean"], deviation=metadata["target_deviation"])
        return cls("classification", classes=tuple(metadata["classes"]))

    def metadata(self) -> dict[str, Any]:
        """What a saved model keeps of the task, ready for JSON."""
        if self.kind == "regression":
            return {"task": self.kind, "target_mean": self.mean, "target_deviation": self.deviation}
        return {"task": self.kind, "classes": list(self.classes)}

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """What the network learns for targets (n,): class numbers, or standardised values."""
        if self.kind == "regression":
            return (_numbers(y) - self.mean) / self.deviation
        different, at = np.unique(y, return_inverse=True)
        codes = np.array([self.classes.index(_class_name(value)) for value in different], dtype=np.int64)
        return codes[at]

    def decode(self, outputs: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Answers (n,) for outputs (n, units): class names and their probabilities, or values and None."""
        if self.kind == "regression":
            return outputs[:, 0].astype(np.float64) * self.deviation + self.mean, None
        best = outputs.argmax(axis=1)
        return np.array(self.classes)[best], outputs[np.arange(len(best)), best]

    def score(self, outputs: NDArray[Any], y: NDArray[Any]) -> str:
        """How well outputs (n, units) answer targets (n,): accuracy, or RMSE in the target's unit and R²."""
        answers, _ = self.decode(outputs)
        if self.kind == "classification":
            return f"accuracy {np.mean(answers == [_class_name(value) for value in y]):.2%}"
        truth = _numbers(y)
        error = np.mean((answers - truth) ** 2)
        variance = truth.var()
        return f"RMSE {np.sqrt(error):.6g}" + (f", R² {1 - error / variance:.4f}" if variance > 0 else "")


def _is_numeric(y: NDArray[Any]) -> bool:
    return y.dtype.kind in "iuf"


def _numbers(y: NDArray[Any]) -> NDArray[np.float64]:
    if not _is_numeric(y):
        raise ValueError(message("regression", "target", f"holds values such as {str(y[0])!r}", "numbers"))
    return y.astype(np.float64)


def _class_name(value: Any) -> str:
    is_whole = isinstance(value, np.integer | np.floating) and value == np.floor(value)
    return str(int(value)) if is_whole else str(value)
