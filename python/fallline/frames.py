"""Tables and columns of pandas, polars and pyarrow as arrays; none of the three is imported."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fallline.checks import unmasked
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import Array

SHOWN = 6  # names in a message


class Names(NamedTuple):
    """What the columns of X and of y are called, where a model has learned from tables; one of y needs no name.

    Later tables give their columns in this order, whatever their own; arrays are taken as they are.
    """

    columns: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None

    def learned(self, X: Any, y: Any) -> Names:
        """Return these, with the names of X and y where there are none yet."""
        targets = self.targets or names(y) or ()
        return Names(self.columns or names(X), targets if len(targets) > 1 else None)

    @classmethod
    def told(cls, plain: Sequence[Any]) -> Names:
        """Return those that plain() told of."""
        lists = [each for each in plain if each is not None]
        if not all(isinstance(each, list) and all(isinstance(name, str) for name in each) for each in lists):
            raise TypeError(
                message("load_model", "names", f"are {plain!r}", "a list of names, or None, for X and y")
            )
        return cls(*(None if each is None else tuple(each) for each in plain))

    def plain(self) -> list[list[str] | None]:
        """Return them as JSON holds them."""
        return [None if each is None else list(each) for each in self]


def names(value: Any) -> tuple[str, ...] | None:
    """Return what the columns of a table are called, or None for what is no table with names.

    Example:
        >>> import pandas as pd
        >>> names(pd.DataFrame({"a": [1], "b": [2]})), names(np.ones((1, 2)))
        (('a', 'b'), None)
    """
    if isinstance(value, np.ndarray) or len(getattr(value, "shape", ())) != 2:
        return None
    labels = _labels(value)
    return None if labels is None else tuple(map(str, labels))


def _labels(table: Any) -> list[Any] | None:
    """Return what gives the columns of a table when it is indexed."""
    arrow = hasattr(type(table), "column_names")  # a pandas table may have a column of this name
    labels = table.column_names if arrow else getattr(table, "columns", None)
    return None if labels is None else list(labels)


def as_array(value: Any, operation: str, argument: str, order: tuple[str, ...] | None = None) -> Array:
    """Return anything array-like as an array, without a copy where possible.

    Args:
        value: numbers, or else the array has another dtype; what is a column or a table with names may hold
            numbers and booleans of any kind that its library knows.
        operation: for errors.
        argument: for errors.
        order: names of the columns that a table must have; those of the array come in this order.

    Raises:
        TypeError: a column without a number in each row, which is named.
        ValueError: other columns than those in order; masked elements.
    """
    own = names(value)
    if own is not None:
        return _table(value, _places(own, order, operation, argument), operation, argument)
    kind = type(value)
    if hasattr(kind, "__array__") and (hasattr(kind, "isna") or hasattr(kind, "null_count")):
        return _column(value, operation, argument)
    return unmasked(operation, argument, value)


def _places(own: tuple[str, ...], order: tuple[str, ...] | None, operation: str, argument: str) -> list[int]:
    """Return where the columns are that are asked for."""
    place = {name: i for i, name in enumerate(own)}
    if len(place) < len(own):
        twice = next(name for i, name in enumerate(own) if place[name] != i)
        raise ValueError(message(operation, argument, f"has the column {twice!r} twice", "different names"))
    if order is None or order == own:
        return list(range(len(own)))
    wanted = set(order)
    lacking, unknown = [n for n in order if n not in place], [n for n in own if n not in wanted]
    if lacking or unknown:
        parts = [f"{word} {_listed(of)}" for word, of in (("lacks", lacking), ("has", unknown)) if of]
        expected = f"the columns {_listed(order)}, as learned, in any order; an array is taken as it is"
        raise ValueError(message(operation, argument, " and ".join(parts), expected))
    return [place[name] for name in order]


def _listed(some: Sequence[str]) -> str:
    more = f" and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
    return ", ".join(map(repr, some[:SHOWN])) + more


def _table(table: Any, places: list[int], operation: str, argument: str) -> Array:
    if all(isinstance(dtype, np.dtype) for dtype in getattr(table, "dtypes", [None])):
        array = np.asarray(table)
        if array.dtype.kind in "fiub":
            return array if places == list(range(array.shape[1])) else array[:, places]
    labels = _labels(table) or []
    columns = [
        _column(table[label], operation, argument, f" in the column {str(label)!r}")
        for label in (labels[place] for place in places)
    ]
    return np.column_stack(columns) if columns else np.empty(table.shape)


def _column(column: Any, operation: str, argument: str, where: str = "") -> Array:
    dtype = column.dtype if hasattr(column, "dtype") else column.type
    missing: Any = 0
    if hasattr(type(column), "null_count"):
        missing = column.null_count() if callable(column.null_count) else column.null_count
    elif not isinstance(dtype, np.dtype):  # or else what is missing is NaN, which is a number
        missing = column.isna().sum()
    array = np.asarray(column)
    if array.dtype == object and all(isinstance(value, numbers.Real | Decimal | np.bool_) for value in array):
        array = array.astype(np.float64)
    if missing or array.dtype.kind not in "fiub":
        gaps = f"has {missing} of {len(array)} values missing{where}"
        got = gaps if missing else f"has dtype {dtype}{where}"
        raise TypeError(message(operation, argument, got, "a number in each row"))
    return array
