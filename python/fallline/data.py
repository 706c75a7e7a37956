"""Data on their way in: checked once, copied only where the core cannot read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fallline.checks import number
from fallline.errors import message
from fallline.losses import Loss

if TYPE_CHECKING:
    from fallline.typing import Array


# What the core gathers row by row, in any strides; other numbers are converted to the model's dtype.
READABLE = frozenset(map(np.dtype, ("float32", "float64", "uint8", "int32", "int64", "bool")))


class Data(NamedTuple):
    """Rows x (n, inputs), labels y, and weights (n,) or None, as the core reads them."""

    x: Array
    y: Array
    weight: Array | None

    def part(self, start: int | None, stop: int | None) -> Data:
        """Return views of the rows from start to stop."""
        rows = slice(start, stop)
        return Data(self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows])


def as_numbers(value: Any, operation: str, argument: str) -> Array:
    """Return anything array-like as an array of real numbers, without a copy where possible."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            message(operation, argument, f"is no array ({error})", "a table of numbers")
        ) from None
    if array.dtype.kind not in "fiub":
        hint = "; a sparse matrix becomes one by toarray()" if hasattr(value, "toarray") else ""
        got = "is None" if value is None else f"has dtype {array.dtype}"
        raise TypeError(message(operation, argument, got, f"numbers{hint}"))
    return array


def as_rows(value: Any, operation: str, dtype: str, width: int | None) -> Array:
    """Return X as (n, inputs), n >= 1, in a dtype that the core reads."""
    array = as_numbers(value, operation, "X")
    expected = f"(*, {width or 'inputs'})"
    if array.ndim != 2:
        hint = ": one row is X[None]" if array.ndim == 1 else ""
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


def as_targets(value: Any, operation: str, dtype: str, rows: int, outputs: int, loss: Loss) -> Array:
    """Return y as the loss takes it: integer classes (n,), or numbers (n, outputs)."""
    y = as_numbers(value, operation, "y")
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


def as_weights(
    value: Any, class_weight: Mapping[int, float] | str | None, operation: str, dtype: str, y: Array
) -> Array | None:
    """Return the sample weights times the weights of their classes, or None for all alike."""
    if value is None and class_weight is None:
        return None
    weight = np.ones(len(y)) if value is None else as_numbers(value, operation, "sample_weight")
    if weight.shape != (len(y),):
        got = f"has shape {weight.shape}"
        raise ValueError(message(operation, "sample_weight", got, f"({len(y)},), one for each row of X"))
    if not (weight.min() >= 0 and 0 < weight.sum(dtype=np.float64) < np.inf):
        got = f"goes from {weight.min()} to {weight.max()}"
        raise ValueError(
            message(operation, "sample_weight", got, "finite numbers >= 0, at least one of them > 0")
        )
    if class_weight is not None:
        weight = weight * _weights_of_classes(class_weight, operation, y)
    return weight.astype(dtype)


def _weights_of_classes(class_weight: Mapping[int, float] | str, operation: str, y: Array) -> Array:
    if y.ndim == 2 and y.shape[1] > 1 and ((y == y.max(axis=1, keepdims=True)).sum(axis=1) > 1).any():
        got = "is given beside y with rows that have no single class"
        expected = "one largest number in each row of y, or sample_weight instead"
        raise ValueError(message(operation, "class_weight", got, expected))
    classes = y if y.ndim == 1 else y.argmax(axis=1) if y.shape[1] > 1 else (y[:, 0] > 0.5).astype(np.intp)
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(classes)
        balanced: Array = (len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[classes]
        return balanced
    if isinstance(class_weight, str) or not hasattr(class_weight, "items"):
        expected = "'balanced', or a dict of class: weight, e.g. {0: 1.0, 1: 5.0}"
        raise TypeError(message(operation, "class_weight", f"is {class_weight!r}", expected))
    known = range(int(classes.max()) + 1 if y.ndim == 1 else max(2, y.shape[1]))
    table = np.ones(len(known))
    for key, value in class_weight.items():
        if key not in known:
            expected = f"classes that occur, 0 to {len(known) - 1}"
            raise ValueError(message(operation, "class_weight", f"names the class {key!r}", expected))
        table[int(key)] = number(operation, f"class_weight[{key!r}]", value, low=0)
    weight: Array = table[classes]
    if not weight.any():
        raise ValueError(message(operation, "class_weight", "is 0 for every row", "a weight > 0"))
    return weight
