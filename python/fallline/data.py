"""Data on their way in: checked once, copied only where the core cannot read them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fallline.checks import number
from fallline.classes import classes_of
from fallline.errors import message
from fallline.frames import as_array
from fallline.losses import Loss

if TYPE_CHECKING:
    from fallline.typing import Array


# What the core gathers row by row, in any strides; other numbers are converted to the model's dtype.
READABLE = frozenset(map(np.dtype, ("float32", "float64", "uint8", "int32", "int64", "bool")))

# Rows that the core counts in one batch.
LARGEST_BATCH = 2**31 - 1


class Data(NamedTuple):
    """Rows x (n, inputs), labels y, and weights (n,) or None, as the core reads them."""

    x: Array
    y: Array
    weight: Array | None

    def part(self, start: int | None, stop: int | None) -> Data:
        """Return views of the rows from start to stop."""
        rows = slice(start, stop)
        return Data(self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows])


def as_numbers(value: Any, operation: str, argument: str, order: tuple[str, ...] | None = None) -> Array:
    """Return anything array-like as an array of real numbers, without a copy where possible.

    The columns of a table with names come in their order.
    """
    array = as_array(value, operation, argument, order)
    if array.dtype.kind not in "fiub":
        hint = "; a sparse matrix becomes one by toarray()" if hasattr(value, "toarray") else ""
        got = "is None" if value is None else f"has dtype {array.dtype}"
        raise TypeError(message(operation, argument, got, f"numbers{hint}"))
    return array


def as_rows(
    value: Any, operation: str, dtype: str, width: int | None, order: tuple[str, ...] | None, y: Any = None
) -> Array:
    """Return X as (n, inputs), n >= 1, in a dtype that the core reads.

    The columns of a table with names come in their order; y is for a hint alone.
    """
    array = as_numbers(value, operation, "X", order)
    expected = f"(*, {width or 'inputs'})"
    if array.ndim != 2:
        hint = ""
        if array.ndim == 1:
            shape = (len(y),) if isinstance(y, list | tuple) else getattr(y, "shape", ())
            column = width == 1 or shape[:1] == array.shape
            hint = ": one column is X[:, None]" if column else ": one row is X[None]"
        raise ValueError(message(operation, "X", f"has shape {array.shape}", f"{expected}{hint}"))
    if width is not None and array.shape[1] != width:
        raise ValueError(
            message(operation, "X", f"has shape {array.shape}", f"{expected} to match the first layer")
        )
    if 0 in array.shape:
        raise ValueError(
            message(operation, "X", f"is empty, of shape {array.shape}", "at least one row and column")
        )
    return array if array.dtype in READABLE else array.astype(dtype)


def check_batch(rows: Array, operation: str) -> None:
    """Refuse rows that are too many for one batch."""
    if len(rows) > LARGEST_BATCH:
        expected = f"at most {LARGEST_BATCH} rows in one batch"
        raise ValueError(message(operation, "X", f"has {len(rows)} rows", expected))


def as_targets(
    value: Any,
    operation: str,
    dtype: str,
    rows: int,
    outputs: int,
    loss: Loss,
    order: tuple[str, ...] | None,
) -> Array:
    """Return y as the loss takes it: integer classes (n,), or numbers (n, outputs), in the order of the names."""
    y = as_numbers(value, operation, "y", order)
    if y.ndim == 0 or len(y) != rows:
        raise ValueError(message(operation, "y", f"has shape {y.shape}", f"{rows} rows, as many as X"))
    if y.ndim == 1 and outputs == 1:
        y = y.reshape(-1, 1)
    if loss.takes_classes and (y.ndim == 1 or y.shape == (rows, 1)):
        return _as_classes(y.reshape(-1), operation, outputs)
    if y.shape != (rows, outputs):
        classes = f"({rows},) or " if loss.takes_classes else ""
        hint = (
            f"; classes become rows by np.eye({outputs})[y]" if y.ndim == 1 and y.dtype.kind in "iu" else ""
        )
        expected = f"{classes}({rows}, {outputs}) to match the last layer{hint}"
        raise ValueError(message(operation, "y", f"has shape {y.shape}", expected))
    low, high = loss.target_range or (-math.inf, math.inf)
    least, most = float(y.min()), float(y.max())
    if not (low <= least and most <= high and math.isfinite(least) and math.isfinite(most)):
        bound = f"from {low:g} to {high:g}" if high < math.inf else f">= {low:g}"
        expected = "finite numbers" if loss.target_range is None else f"finite numbers {bound}"
        raise ValueError(message(operation, "y", f"has values from {least:g} to {most:g}", expected))
    return y if y.dtype in READABLE else y.astype(dtype)


def _as_classes(y: Array, operation: str, outputs: int) -> Array:
    least, most = float(y.min()), float(y.max())
    if not (least >= 0 and most < outputs) or (y.dtype.kind == "f" and (y != np.floor(y)).any()):
        got = f"has classes from {least:g} to {most:g}"
        expected = f"integers from 0 to {outputs - 1}, as the last layer has {outputs} outputs"
        raise ValueError(message(operation, "y", got, expected))
    return y.astype(np.int32)


def rows_kept(n: int, share: float, operation: str) -> int:
    """Return how many rows train, the first ones, where a share is held out for validation."""
    kept = int(n * (1 - share))
    if share and not 0 < kept < n:
        got = f"is {share:g} of {n} rows"
        raise ValueError(message(operation, "validation_split", got, "at least one row on each side"))
    return kept


class ClassWeights(NamedTuple):
    """Weights of classes as they were given: {class: weight} or "balanced"."""

    given: Any
    held_out: float = 0.0  # share of the rows, the last ones, that do not train
    part: bool = False  # of all rows: others come later

    def factors(self, y: Array, loss: Loss, outputs: int, operation: str) -> Array:
        """Return the factor (n,) of each row's weight, 1 for rows held out."""
        kept = rows_kept(len(y), self.held_out, operation)
        classes = classes_of(y[:kept], loss.of_one_class(outputs))
        if classes is None:
            got = f"is given beside loss {loss.name!r} and y with rows that have no single class"
            expected = "integer classes, 0 and 1, or one largest number in each row, or sample_weight instead"
            raise ValueError(message(operation, "class_weight", got, expected))
        factors = np.ones(len(y))
        factors[:kept] = self._table(classes, max(2, outputs), operation)[classes]
        return factors

    def _table(self, classes: Array, count: int, operation: str) -> Array:
        if isinstance(self.given, str) and self.given == "balanced":
            if self.part:
                expected = "a dict of class: weight, as rows to come cannot be counted"
                raise ValueError(message(operation, "class_weight", "is 'balanced'", expected))
            counts = np.bincount(classes, minlength=count)
            return np.asarray(len(classes) / (np.count_nonzero(counts) * np.maximum(counts, 1)))
        if isinstance(self.given, str) or not hasattr(self.given, "items"):
            also = "" if self.part else "'balanced', or "
            expected = f"{also}a dict of class: weight, e.g. {{0: 1.0, 1: 5.0}}"
            raise TypeError(message(operation, "class_weight", f"is {self.given!r}", expected))
        table = np.ones(count)
        for key, value in self.given.items():
            if key not in range(count):
                got, expected = f"names the class {key!r}", f"classes 0 to {count - 1}"
                raise ValueError(message(operation, "class_weight", got, expected))
            table[int(key)] = number(operation, f"class_weight[{key!r}]", value, low=0)
        return table


def as_weights(
    value: Any, factors: Array | None, operation: str, dtype: str, y: Array, *, part: bool = False
) -> Array | None:
    """Return the sample weights times factors (n,), or None for all alike; those of a part may all be 0."""
    if value is None:
        return None if factors is None else factors.astype(dtype)
    weight = as_numbers(value, operation, "sample_weight")
    if weight.shape != (len(y),):
        got = f"has shape {weight.shape}"
        raise ValueError(message(operation, "sample_weight", got, f"({len(y)},), one for each row of X"))
    total = weight.sum(dtype=np.float64)
    if not (weight.min() >= 0 and total < np.inf and (part or total > 0)):
        got = f"goes from {weight.min()} to {weight.max()}"
        least = "" if part else ", at least one of them > 0"
        raise ValueError(message(operation, "sample_weight", got, f"finite numbers >= 0{least}"))
    return (weight if factors is None else weight * factors).astype(dtype)
