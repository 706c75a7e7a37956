"""What all schedules share: one formula for a single step and for an array of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fallline.checks import integer, number
from fallline.declaration import Declaration
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import Array, Float64Array

    Rate = float | Callable[[int], float]


class Schedule(Declaration):
    """Base of schedules: called with a step, or an array of steps, counted from 0; gives the learning rate.

    A subclass defines at(t) with NumPy's functions for an array of steps. One step and many give the same bits.
    Computed in double.

    Example:
        >>> import numpy as np
        >>> class Halving(Schedule):
        ...     def at(self, t):
        ...         return 0.5**t
        >>> Halving()(3), Halving()(np.arange(4))
        (0.125, array([1.   , 0.5  , 0.25 , 0.125]))
    """

    namespace = "schedules."

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps (n,)."""
        raise NotImplementedError(
            f"{type(self).__name__}: at is not defined; expected a subclass to define it"
        )

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: Array) -> Float64Array: ...
    def __call__(self, step: int | Array) -> float | Float64Array:
        """Return the rate of a step, or the rates of an array of steps."""
        kind = type(self).__name__
        if not isinstance(step, np.ndarray):
            return float(evaluate(self, np.array([integer(kind, "step", step, low=0)], dtype=np.float64))[0])
        if step.dtype.kind not in "iu":
            raise TypeError(message(kind, "step", f"has dtype {step.dtype}", "integers"))
        if step.size and step.min() < 0:
            raise ValueError(message(kind, "step", f"has values from {step.min()}", "integers >= 0"))
        return evaluate(self, step.astype(np.float64).ravel()).reshape(step.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), *self.get_config().values()))


def as_rate(value: Any, operation: str, argument: str) -> Rate:
    """Return value after checking that it is a number >= 0 or a function of the step."""
    if isinstance(value, type):
        hint = f"a number or an object; write {value.__name__}(...)"
        raise TypeError(message(operation, argument, f"is the class {value.__name__}", hint))
    rate: Rate = value if callable(value) else number(operation, argument, value, low=0)
    return rate


def evaluate(rate: Rate, t: Float64Array) -> Float64Array:
    """Return the rates of an array of steps (n,) by a number, a schedule, or a function of one step."""
    if isinstance(rate, Schedule):
        # NumPy computes a number alone by other code than numbers in a row, with other bits.
        several = np.repeat(t, 2) if t.size == 1 else t
        rates = np.asarray(rate.at(several))
        if rates.shape != several.shape:
            got = f"returned shape {rates.shape}"
            raise ValueError(
                message(type(rate).__name__, "at", got, f"{several.shape}, a rate for each step")
            )
        return rates[: t.size]
    if not callable(rate):
        return np.full(t.shape, rate)
    name = getattr(rate, "__name__", type(rate).__name__)
    steps = dict.fromkeys(t.tolist())
    answers = {step: number("Schedule", f"{name}({step:.0f})", rate(int(step)), low=0) for step in steps}
    return np.array([answers[step] for step in t.tolist()], dtype=np.float64)
