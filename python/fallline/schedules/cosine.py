"""Rates that follow half a wave of the cosine, once or many times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from fallline._core import cosine, power
from fallline.checks import choice, integer, number
from fallline.schedules.schedule import Schedule

if TYPE_CHECKING:
    from fallline.typing import Float64Array


def _wave(start: Float64Array | float, end: Float64Array | float, progress: Float64Array) -> Float64Array:
    """From start to end while progress goes from 0 to 1."""
    return end + (start - end) * ((1 + cosine(np.pi * progress)) / 2)


class CosineDecay(Schedule):
    """end + (initial − end) · (1 + cos(π · step / steps)) / 2, and end after so many steps.

    Args:
        initial: rate of the first step, >= 0.
        steps: length of the curve, >= 1.
        end: last rate, >= 0. Default 0.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> CosineDecay(0.1, steps=100)(50)
        0.05

    References:
        Loshchilov & Hutter 2016, SGDR.
    """

    def __init__(self, initial: float, steps: int, *, end: float = 0.0) -> None:
        self.initial = number("CosineDecay", "initial", initial, low=0)
        self.steps = integer("CosineDecay", "steps", steps, low=1)
        self.end = number("CosineDecay", "end", end, low=0)

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        return _wave(self.initial, self.end, np.minimum(t, self.steps) / self.steps)


class CosineRestarts(Schedule):
    """CosineDecay that starts again for ever: warm restarts.

    Cycle i = 0, 1, ... lasts steps · t_mul^i steps and falls from end + (initial − end) · m_mul^i to end.

    Args:
        initial: rate of the first step, >= 0.
        steps: length of the first cycle, >= 1.
        end: rate at the end of each cycle, >= 0. Default 0.
        t_mul: what each cycle multiplies the length by, >= 1. Default 1.
        m_mul: what each cycle multiplies the height by, > 0. Default 1.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> schedule = CosineRestarts(0.1, steps=10, t_mul=2)  # restarts at steps 10, 30, 70, ...
        >>> schedule(0), schedule(10), schedule(20), schedule(30)
        (0.1, 0.1, 0.05, 0.1)

    References:
        Loshchilov & Hutter 2016, SGDR.
    """

    def __init__(
        self, initial: float, steps: int, *, end: float = 0.0, t_mul: float = 1.0, m_mul: float = 1.0
    ) -> None:
        self.initial = number("CosineRestarts", "initial", initial, low=0)
        self.steps = integer("CosineRestarts", "steps", steps, low=1)
        self.end = number("CosineRestarts", "end", end, low=0)
        self.t_mul = number("CosineRestarts", "t_mul", t_mul, low=1)
        self.m_mul = number("CosineRestarts", "m_mul", m_mul, above=0)

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        cycle = self._cycle(t)
        progress = (t - self._start(cycle)) / (self.steps * power(self.t_mul, cycle))
        return _wave(self.end + (self.initial - self.end) * power(self.m_mul, cycle), self.end, progress)

    def _cycle(self, t: Float64Array) -> Float64Array:
        cycles = t / self.steps
        if self.t_mul == 1:
            return np.floor(cycles)
        # The logarithm may be rounded to the other side of a restart, by one.
        cycle: Float64Array = np.floor(np.log1p((self.t_mul - 1) * cycles) / np.log(self.t_mul))
        cycle += (t >= self._start(cycle + 1)) - 1.0 * (t < self._start(cycle))
        return cycle

    def _start(self, cycle: Float64Array) -> Float64Array:
        if self.t_mul == 1:
            return self.steps * cycle
        return self.steps * (power(self.t_mul, cycle) - 1) / (self.t_mul - 1)


class OneCycle(Schedule):
    """One rise and one long fall: from peak / div_factor to peak and on to peak / div_factor / final_div_factor.

    The peak is at step pct_start · steps − 1, the end at steps − 1; the rate then stays.

    Args:
        peak: largest rate, >= 0.
        steps: updates of the whole training, >= 1.
        pct_start: share of them that rises, in [0, 1]. Default 0.3.
        div_factor: peak over the first rate, > 0. Default 25.
        final_div_factor: first rate over the last, > 0. Default 10000.
        anneal: "cos" or "linear", the form of both. Default "cos".

    Raises:
        ValueError: a number out of range.

    Example:
        >>> schedule = OneCycle(1.0, steps=10, anneal="linear")
        >>> schedule(0), schedule(1), schedule(2)
        (0.04, 0.52, 1.0)

    References:
        Smith & Topin 2018, Super-convergence; Smith 2018, A disciplined approach to neural network
        hyper-parameters, part 1.
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        *,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        anneal: Literal["cos", "linear"] = "cos",
    ) -> None:
        self.peak = number("OneCycle", "peak", peak, low=0)
        self.steps = integer("OneCycle", "steps", steps, low=1)
        self.pct_start = number("OneCycle", "pct_start", pct_start, low=0, high=1)
        self.div_factor = number("OneCycle", "div_factor", div_factor, above=0)
        self.final_div_factor = number("OneCycle", "final_div_factor", final_div_factor, above=0)
        self.anneal = choice("OneCycle", "anneal", anneal, ("cos", "linear"))

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        first, last = self.peak / self.div_factor, self.steps - 1
        top, t = self.pct_start * self.steps - 1, np.minimum(t, last)
        rises = t <= top
        low: Float64Array = np.where(rises, first, first / self.final_div_factor)
        distance = np.where(rises, (top - t) / (top or 1), (t - top) / (last - top or 1))
        line: Float64Array = low + (self.peak - low) * (1 - distance)
        return line if self.anneal == "linear" else _wave(self.peak, low, distance)
