"""Bounds on weights, kept after every update."""

from __future__ import annotations

from typing import Any

from fallline.checks import number
from fallline.declaration import Declaration
from fallline.errors import message


class MaxNorm(Declaration):
    """‖w_j‖ <= limit for the incoming weights w_j of each unit: a longer column is shortened after each update.

    Args:
        limit: > 0. Default 3.

    Raises:
        ValueError: limit out of range.

    Example:
        >>> import fallline as fl
        >>> fl.Dense(10, activation="relu", kernel_constraint=fl.MaxNorm(2.0))
        Dense(10, activation='relu', kernel_constraint=MaxNorm(limit=2.0))

    References:
        Srebro, Rennie & Jaakkola 2005; Srivastava et al. 2014.
    """

    def __init__(self, limit: float = 3.0) -> None:
        self.limit = number("MaxNorm", "limit", limit, above=0)


def check(value: Any, operation: str, argument: str) -> MaxNorm | None:
    """Return value: None or a MaxNorm."""
    if value is not None and not isinstance(value, MaxNorm):
        raise TypeError(message(operation, argument, f"is {value!r}", "a MaxNorm or None"))
    return value


def spec(parameter: str, constraint: MaxNorm | None) -> dict[str, Any]:
    """Return what the core needs to know of a parameter's constraint."""
    return {} if constraint is None else {f"{parameter}_max_norm": constraint.limit}
