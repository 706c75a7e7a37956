"""Checks of plain arguments, all in the one error grammar."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from fallline.errors import message, unknown


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
    if type(value) not in (float, int) and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
        raise TypeError(message(operation, argument, f"is {value!r}", _numbers(low, high, above, below)))
    result = float(value)
    inside = low <= result <= high and (above is None or result > above) and (below is None or result < below)
    if not (inside and math.isfinite(result)):
        raise ValueError(message(operation, argument, f"is {value!r}", _numbers(low, high, above, below)))
    return result


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
    """Return value after checking that it is True or False."""
    if value is not True and value is not False:
        raise TypeError(message(operation, argument, f"is {value!r}", "True or False"))
    return bool(value)


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
