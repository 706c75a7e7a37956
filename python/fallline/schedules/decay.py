"""Rates that fall along one curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fallline._core import power
from fallline.checks import integer, number
from fallline.schedules.schedule import Schedule

if TYPE_CHECKING:
    from fallline.typing import Float64Array


class Constant(Schedule):
    """The same rate at every step, as a plain number gives.

    Args:
        rate: the rate, >= 0.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> Constant(0.1)(1000)
        0.1
    """

    def __init__(self, rate: float) -> None:
        self.rate = number("Constant", "rate", rate, low=0)

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        return np.full(t.shape, self.rate)


class _Geometric(Schedule):
    def __init__(self, initial: float, factor: float, *, every: int = 1) -> None:
        kind = type(self).__name__
        self.initial = number(kind, "initial", initial, low=0)
        self.factor = number(kind, "factor", factor, above=0)
        self.every = integer(kind, "every", every, low=1)


class StepDecay(_Geometric):
    """initial · factor^⌊step / every⌋: a staircase.

    Args:
        initial: rate of the first steps, >= 0.
        factor: what each stair multiplies the rate by, > 0.
        every: length of a stair in steps, >= 1. Default 1.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> halved_every_five_epochs = StepDecay(0.1, 0.5, every=5 * 100)
        >>> halved_every_five_epochs(499), halved_every_five_epochs(500)
        (0.1, 0.05)
    """

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        return self.initial * power(self.factor, np.floor(t / self.every))


class ExponentialDecay(_Geometric):
    """initial · factor^(step / every): the smooth curve through the starts of StepDecay's stairs.

    initial · exp(−k · step) has factor = exp(−k) and every = 1. A factor above 1 makes the rate grow, to find the
    largest that still learns.

    Args:
        initial: rate of the first step, >= 0.
        factor: what so many steps multiply the rate by, > 0.
        every: number of these steps, >= 1. Default 1.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> ExponentialDecay(0.4, 0.25, every=100)(50)
        0.2
    """

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        return self.initial * power(self.factor, t / self.every)


class InverseTimeDecay(Schedule):
    """initial / (1 + decay · step).

    Args:
        initial: rate of the first step, >= 0.
        decay: how fast it falls, >= 0; after 1 / decay steps the rate is half.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> InverseTimeDecay(0.1, decay=0.01)(100)
        0.05

    References:
        Robbins & Monro 1951.
    """

    def __init__(self, initial: float, decay: float) -> None:
        self.initial = number("InverseTimeDecay", "initial", initial, low=0)
        self.decay = number("InverseTimeDecay", "decay", decay, low=0)

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        return self.initial / (1 + self.decay * t)


class PolynomialDecay(Schedule):
    """end + (initial − end) · (1 − step / steps)^power, and end after so many steps.

    Args:
        initial: rate of the first step, >= 0.
        steps: length of the curve, >= 1.
        end: last rate, >= 0. Default 0.
        power: exponent, > 0. Default 1: a straight line.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> PolynomialDecay(0.1, steps=100)(75)
        0.025
    """

    def __init__(self, initial: float, steps: int, *, end: float = 0.0, power: float = 1.0) -> None:
        self.initial = number("PolynomialDecay", "initial", initial, low=0)
        self.steps = integer("PolynomialDecay", "steps", steps, low=1)
        self.end = number("PolynomialDecay", "end", end, low=0)
        self.power = number("PolynomialDecay", "power", power, above=0)

    def at(self, t: Float64Array) -> Float64Array:
        """Return the rates of an array of steps."""
        left = 1 - np.minimum(t, self.steps) / self.steps
        return self.end + (self.initial - self.end) * power(left, self.power)
