"""The function that a user wants at its lowest: checked at each call, and counted."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.checks import unmasked
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import Float64Array

OPERATION = "minimize"


class Objective:
    """A function of points of a shape, as those who minimize see it: of flat vectors.

    Args:
        fun: x -> (value, gradient); or x -> value, for those who only ask for it.
        shape: of x.
    """

    def __init__(self, fun: Callable[[Float64Array], Any], shape: tuple[int, ...]) -> None:
        self.fun, self.shape = fun, shape
        self.evaluations = 0
        self._last: tuple[Float64Array, Float64Array] | None = None

    def value(self, x: Float64Array) -> float:
        """Return f(x); it may be nan or infinite, where f is not defined."""
        answer = self._call(x)
        return _value(answer[0] if isinstance(answer, tuple) else answer, "fun(x)")

    def value_and_gradient(self, x: Float64Array) -> tuple[float, Float64Array]:
        """Return f(x) and its gradient, flat."""
        answer = self._call(x)
        if not (isinstance(answer, tuple | list) and len(answer) == 2):
            got = f"is {_brief(answer)}"
            raise TypeError(message(OPERATION, "fun(x)", got, "(value, gradient): the optimizer follows it"))
        value = _value(answer[0], "fun(x)[0]")
        gradient = unmasked(OPERATION, "fun(x)[1]", answer[1])
        if gradient.dtype.kind not in "fiub":
            got = f"has dtype {gradient.dtype}"
            raise TypeError(message(OPERATION, "fun(x)[1]", got, "numbers, the gradient at x"))
        if gradient.shape != self.shape:
            got = f"has shape {gradient.shape}"
            raise ValueError(message(OPERATION, "fun(x)[1]", got, f"{self.shape}, the gradient at x"))
        flat = np.array(gradient, dtype=np.float64).reshape(-1)
        self._last = x.copy(), flat
        return value, flat

    @property
    def has_gradients(self) -> bool:
        """Whether a gradient was asked for."""
        return self._last is not None

    def gradient(self, x: Float64Array) -> Float64Array:
        """Return the gradient at x, without a call if it was asked for last."""
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1]
        return self.value_and_gradient(x)[1]

    def __call__(self, x: Float64Array, gradient: Float64Array | None = None) -> float:
        """Return f(x), and write the gradient: what the core calls."""
        if gradient is None:
            return self.value(x)
        value, gradient[...] = self.value_and_gradient(x)
        return value

    def check_repeats(self, x: Float64Array, value: float, gradient: Float64Array) -> None:
        """Refuse a function that says something else when it is asked at x again.

        Raises:
            ValueError: another value or gradient than these.
        """
        again, slope = self.value_and_gradient(x)
        if again == value and np.array_equal(slope, gradient):
            return
        got = f"is {value!r} and then {again!r}" if again != value else "has one gradient and then another"
        expected = "the same each time: searches along a line compare values, SGD, Adam and their kin do not"
        raise ValueError(message(OPERATION, "fun(x)", f"{got} at one point", expected))

    def _call(self, x: Float64Array) -> Any:
        self.evaluations += 1
        point = x.reshape(self.shape)
        point.flags.writeable = False  # of this view
        return self.fun(point)


def _value(answer: Any, name: str) -> float:
    number = answer[()] if isinstance(answer, np.ndarray) and answer.ndim == 0 else answer
    if isinstance(number, bool | np.bool_) or not isinstance(number, numbers.Real):
        raise TypeError(message(OPERATION, name, f"is {_brief(answer)}", "a single number"))
    return float(number)


def _brief(answer: Any) -> str:
    if isinstance(answer, np.ndarray):
        return f"an array of shape {answer.shape}"
    text = repr(answer.item() if isinstance(answer, np.generic) else answer)
    return text if len(text) <= 60 else f"{text[:57]}..."
