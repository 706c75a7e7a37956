"""Checks of plain arguments, all in the one error grammar."""

from __future__ import annotations

import math
import numbers
import operator
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import message, unknown

if TYPE_CHECKING:
    from fallline.typing import Array


def number(
    operation: str,
    argument: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return value as a float after checking low <= value <= high, or above < value and value < below."""
    if type(value) not in (float, int):
        value = _of_python(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(message(operation, argument, f"is {value!r}", _numbers(low, high, above, below)))
    result = float(value)
    inside = low <= result <= high and (above is None or result > above) and (below is None or result < below)
    if not (inside and math.isfinite(result)):
        raise ValueError(message(operation, argument, f"is {value!r}", _numbers(low, high, above, below)))
    return result


def _of_python(value: Any) -> Any:
    """Return what Python has for a scalar of NumPy, or for an array without dimensions."""
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.ndim == 0 else value


def _numbers(low: float, high: float, above: float | None, below: float | None) -> str:
    """Say which numbers are accepted."""
    bounds = []
    if above is not None:
        bounds.append(f"> {above:g}")
    elif low > -math.inf:
        bounds.append(f">= {low:g}")
    if below is not None:
        bounds.append(f"< {below:g}")
    elif high < math.inf:
        bounds.append(f"<= {high:g}")
    return f"a finite number {' and '.join(bounds)}".rstrip()


def integer(operation: str, argument: str, value: Any, *, low: int, high: int | None = None) -> int:
    """Return value as an int after checking low <= value <= high."""
    expected = f"an integer >= {low}" + ("" if high is None else f" and <= {high}")
    value = _of_python(value)
    try:
        if isinstance(value, bool):
            raise TypeError
        result = operator.index(value)
    except TypeError:
        raise TypeError(message(operation, argument, f"is {value!r}", expected)) from None
    if result < low or (high is not None and result > high):
        raise ValueError(message(operation, argument, f"is {value!r}", expected))
    return result


def as_seed(operation: str, value: int | None) -> int:
    """Return value after checking that it is a seed; one drawn anew for None."""
    if value is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    return integer(operation, "seed", value, low=0, high=2**64 - 1)


def flag(operation: str, argument: str, value: Any) -> bool:
    """Return value as a bool after checking that it is True or False."""
    value = _of_python(value)
    if not isinstance(value, bool):
        raise TypeError(message(operation, argument, f"is {value!r}", "True or False"))
    return value


def file_path(operation: str, argument: str, value: Any) -> str:
    """Return value as a string, `~` expanded, after checking that it is a path."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(message(operation, argument, f"is {value!r}", "a path"))
    if not path or "\0" in path:
        raise ValueError(message(operation, argument, f"is {value!r}", "a path"))
    return os.path.expanduser(path)  # noqa: PTH111 (pathlib drops a slash at the end)


def choice(operation: str, argument: str, value: Any, known: Iterable[str]) -> str:
    """Return value after checking that it is one of the known names."""
    if not isinstance(value, str):
        names = ", ".join(map(repr, known))
        raise TypeError(message(operation, argument, f"is {value!r}", f"one of {names}"))
    if value not in known:
        raise unknown(operation, argument, value, known)
    return value


def unmasked(operation: str, argument: str, value: Any) -> Array:
    """Return value as an array after checking that it is one, and that no element is masked."""
    refuse_masked(operation, argument, value if isinstance(value, list | tuple) else ())
    try:
        array = np.asanyarray(value)
    except ValueError as error:
        got = f"is no array ({error})"
        raise ValueError(message(operation, argument, got, "a table of numbers")) from None
    refuse_masked(operation, argument, (array,))
    return np.asarray(array)


def refuse_masked(operation: str, argument: str, parts: Iterable[Any]) -> None:
    """Check that no element of some arrays is masked; what is no array passes."""
    masks = sys.modules.get("numpy.ma")  # it takes time to import, and where it is not, nothing is masked
    masked = sum(masks.count_masked(p) for p in parts if isinstance(p, masks.MaskedArray)) if masks else 0
    if masked:
        expected = "none: leave these rows out, or fill the elements by filled()"
        raise ValueError(message(operation, argument, f"has {masked} masked elements", expected))
