"""What a column of targets asks for, classes or values, and how a network states its answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fallline.errors import message

if TYPE_CHECKING:
    from fallline.model import Model

Kind = Literal["classification", "regression"]

_MOST_CLASSES = 20  # whole numbers with more different values than this are taken as values
_NOTE = "command line"  # the name under which a model keeps its task
ALONE = "a number, as in other rows; --task classification takes all of them as names"


@dataclass(frozen=True)
class Task:
    """Classes by name, or values by the mean and deviation they are standardised with."""

    kind: Kind
    target: str | None = None  # the name of the column
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def told_by(cls, y: NDArray[Any], kind: Kind | None = None, target: str | None = None) -> Task:
        """The task that targets (n,) pose: text or few whole numbers are classes, unless `kind` is given."""
        different = np.unique(y)
        if len(different) < 2:
            raise ValueError(
                message("train", "target", f"is {different[0]} in every row", "different values")
            )
        if (row := text_among_numbers(y, kind)) is not None:
            raise ValueError(message("train", "target", f"is {str(y[row])!r} in row {row}", ALONE))
        values = _values(y)
        if kind is None:
            kind = _kind(different, values, len(y))
        if kind == "classification" or values is None:
            return cls("classification", target, classes=tuple(map(_class_name, different)))
        mean, deviation = moments(values)
        return cls(kind, target, mean=float(mean), deviation=float(deviation))

    @classmethod
    def of(cls, model: Model) -> Task | None:
        """The task that note() left in a model; None in one that others have made."""
        if _NOTE not in model.notes:
            return None
        try:
            kind, target, classes, *moments = (model.notes[_NOTE][field.name] for field in fields(cls))
            task = cls(kind, target, tuple(map(str, classes)), *map(float, moments))
            outputs = {"classification": len(task.classes), "regression": 1}[task.kind]
        except (KeyError, TypeError, ValueError):
            outputs = 0
        if outputs != model.outputs:
            got = f"notes a task that is not that of its {model.outputs} outputs"
            raise ValueError(message("predict", "MODEL", got, "what `fallline train` has written"))
        return task

    def note(self, model: Model) -> None:
        """Leave the task in a model."""
        model.notes[_NOTE] = asdict(self)

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """What the network learns for targets (n,): class numbers, or standardised values."""
        if self.kind == "regression":
            return (_numbers(y) - self.mean) / self.deviation
        different, at = np.unique(y, return_inverse=True)
        codes = np.array([self.classes.index(self._class(value)) for value in different], dtype=np.int64)
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
            different, at = np.unique(y, return_inverse=True)
            truths = np.array([self._class(value) for value in different])
            return f"accuracy {np.mean(answers == truths[at]):.2%}"
        truth = _numbers(y)
        error = np.mean(((answers - truth) / self.deviation) ** 2)
        variance = (moments(truth)[1] / self.deviation) ** 2
        told = f"RMSE {self.deviation * np.sqrt(error):.6g}"
        return told + (f", R² {1 - error / variance:.4f}" if variance > 0 else "")

    def _class(self, value: Any) -> str:
        """The class that a target names; a number may be written in another way than in training."""
        name = _class_name(value)
        if name in self.classes or not is_number(name):
            return name
        same = [known for known in self.classes if is_number(known) and float(known) == float(name)]
        return same[0] if len(same) == 1 else name


def moments(x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each column, whose squares may be beyond the range of floats."""
    largest = np.abs(x).max(axis=0).astype(np.float64)
    size = np.ldexp(1.0, np.frexp(largest)[1] - 1)  # a power of two, which rounds nothing
    scaled = x / size
    return scaled.mean(axis=0) * size, scaled.std(axis=0) * size


def text_among_numbers(y: NDArray[Any], kind: Kind | None) -> int | None:
    """The first row with text where all must be numbers, or half of the rows are, or some of many values; or None."""
    if kind == "classification" or y.dtype.kind not in "UO":
        return None
    are_numbers = np.array([is_number(value) for value in y])
    are_names = are_numbers.mean() < 0.5 and (not are_numbers.any() or len(np.unique(y)) <= _MOST_CLASSES)
    if are_numbers.all() or (kind is None and are_names):
        return None
    return int(are_numbers.argmin())


def is_number(text: str) -> bool:
    """Whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kind(different: NDArray[Any], values: NDArray[np.float64] | None, rows: int) -> Kind:
    if values is None:
        if len(different) > max(_MOST_CLASSES, rows // 2):
            got = f"has {len(different)} different texts in {rows} rows, such as {str(different[0])!r}"
            raise ValueError(message("train", "target", got, "numbers, or classes that come again and again"))
        return "classification"
    are_few = len(different) <= min(_MOST_CLASSES, max(2, rows // 2))
    return "classification" if are_few and bool(np.all(values == np.floor(values))) else "regression"


def _values(y: NDArray[Any]) -> NDArray[np.float64] | None:
    """The targets as numbers, or None where some are text."""
    try:
        return y.astype(np.float64)
    except ValueError:
        return None


def _numbers(y: NDArray[Any]) -> NDArray[np.float64]:
    values = _values(y)
    if values is None:
        row = text_among_numbers(y, "regression")
        raise ValueError(message("regression", "target", f"is {str(y[row])!r} in row {row}", "numbers"))
    return values


def _class_name(value: Any) -> str:
    is_whole = isinstance(value, np.integer | np.floating) and value == np.floor(value)
    return str(int(value)) if is_whole else str(value)
