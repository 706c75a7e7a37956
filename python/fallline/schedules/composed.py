"""Schedules made of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fallline.checks import integer, number
from fallline.errors import message
from fallline.schedules.schedule import Schedule, as_rate, evaluate

if TYPE_CHECKING:
    from fallline.schedules.schedule import Rate
    from fallline.typing import Float64Array


class Warmup(Schedule):
    """A straight line from start to the first rate of a schedule, which then begins at its step 0.

    start + (schedule(0) − start) · step / steps before so many steps, schedule(step − steps) after.

    Args:
        schedule: a schedule, a function of the step, or a number >= 0.
        steps: length of the warm-up, >= 1.
        start: rate of the first step, >= 0. Default 0.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> from fallline.schedules import CosineDecay
        >>> schedule = Warmup(CosineDecay(0.1, steps=900), steps=100)
        >>> schedule(0), schedule(50), schedule(100), schedule(550)
        (0.0, 0.05, 0.1, 0.05)

    References:
        Goyal et al. 2017, Accurate, large minibatch SGD.
    """

    def __init__(self, schedule: Rate, steps: int, *, start: float = 0.0) -> None:
        self.schedule = as_rate(schedule, "Warmup", "schedule")
        self.steps = integer("Warmup", "steps", steps, low=1)
        self.start = number("Warmup", "start", start, low=0)

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        first = evaluate(self.schedule, np.zeros(1))
        line = self.start + (first - self.start) * (t / self.steps)
        return np.where(t < self.steps, line, evaluate(self.schedule, np.maximum(t - self.steps, 0)))


class Piecewise(Schedule):
    """One rate after the other: values[i] from step boundaries[i − 1] on, up to boundaries[i].

    A schedule or function among the values begins at its step 0 where its piece begins.

    Args:
        boundaries: steps at which the next piece begins, growing, >= 1.
        values: numbers >= 0, schedules or functions of the step, one more than boundaries.

    Raises:
        ValueError: boundaries that do not grow, a wrong number of values, or a rate out of range.

    Example:
        >>> from fallline.schedules import CosineDecay
        >>> schedule = Piecewise([100, 200], [0.1, 0.01, CosineDecay(0.01, steps=50)])
        >>> schedule(99), schedule(100), schedule(225)
        (0.1, 0.01, 0.005)
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[Rate]) -> None:
        for argument, given in (("boundaries", boundaries), ("values", values)):
            if not np.iterable(given):
                raise TypeError(message("Piecewise", argument, f"is {given!r}", "a list"))
        steps, low = [], 1
        for i, boundary in enumerate(boundaries):
            steps.append(integer("Piecewise", f"boundaries[{i}]", boundary, low=low))
            low = steps[-1] + 1
        self.boundaries = tuple(steps)
        self.values = tuple(as_rate(value, "Piecewise", f"values[{i}]") for i, value in enumerate(values))
        if len(self.values) != len(steps) + 1:
            expected = f"{len(steps) + 1}, one more than boundaries"
            raise ValueError(message("Piecewise", "values", f"has {len(self.values)} entries", expected))

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        rates = evaluate(self.values[0], t)
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            rates = np.where(t < boundary, rates, evaluate(value, np.maximum(t - boundary, 0)))
        return rates
