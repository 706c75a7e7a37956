"""One optimizer on its way down from one start."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from fallline import _core
from fallline.errors import message
from fallline.optimizers import Optimizer
from fallline.search.objective import OPERATION, Objective
from fallline.search.results import Minimum

if TYPE_CHECKING:
    from fallline.typing import Float64Array


class Run(ABC):
    """A point that goes down.

    Attributes:
        x: where it is, flat.
        value: of the function there.
        iterations: made so far.
        reason: why it has stopped, in words; empty before.
    """

    value: float

    def __init__(self, objective: Objective, x: Float64Array, keep: bool) -> None:
        self.objective, self.x, self.iterations, self.reason = objective, x, 0, ""
        self._points: list[Float64Array] | None = [] if keep else None
        self._values: list[float] = []

    @abstractmethod
    def iterate(self) -> None:
        """Go on by one iteration.

        Raises:
            NonFiniteLoss: the function is not finite there; the run is where it was.
        """

    @property
    @abstractmethod
    def gradient(self) -> Float64Array | None:
        """The gradient at x, flat, if the optimizer follows it."""

    def minimum(self) -> Minimum:
        """Return where it has led."""
        shape, gradient = self.objective.shape, self.gradient
        return Minimum(
            self.x.reshape(shape),
            self.value,
            None if gradient is None else gradient.reshape(shape),
            self.iterations,
            self.objective.evaluations,
            None if self._points is None else np.array(self._points).reshape(-1, *shape),
            np.array(self._values),
            self.reason,
        )

    def _note(self) -> None:
        self._values.append(self.value)
        if self._points is not None:
            self._points.append(self.x)


class FirstOrderRun(Run):
    """Steps of an optimizer, until no entry of the gradient is larger than gtol."""

    def __init__(
        self, objective: Objective, x: Float64Array, keep: bool, optimizer: Optimizer, gtol: float
    ) -> None:
        super().__init__(objective, x, keep)
        self._optimizer, self._gtol = optimizer, gtol
        self.value, self._gradient = self._evaluate(x, "at a start", "finite numbers at each start")
        self._note()

    def iterate(self) -> None:
        """Make a step."""
        x = self.x.copy()
        self._optimizer.step([x], [self._gradient])
        when = f"after {self.iterations + 1} steps"
        expected = "finite numbers, e.g. by a smaller learning rate"
        self.value, self._gradient = self._evaluate(x, when, expected)
        self.x = x
        self.iterations += 1
        self._note()

    @property
    def gradient(self) -> Float64Array:
        """The gradient at x, flat."""
        return self._gradient

    def _evaluate(self, x: Float64Array, when: str, expected: str) -> tuple[float, Float64Array]:
        value, gradient = self.objective.value_and_gradient(x)
        steepest = float(np.abs(gradient).max())
        if not (math.isfinite(value) and math.isfinite(steepest)):
            got = f"is {value:g} {when}, with a gradient up to {steepest:g}"
            raise _core.NonFiniteLoss(message(OPERATION, "fun(x)", got, expected))
        if steepest <= self._gtol:
            self.reason = "the gradient is below gtol"
        return value, gradient


def begin(objective: Objective, x: Float64Array, optimizer: Optimizer, gtol: float, keep: bool) -> Run:
    """Return a run of a fresh copy of the optimizer."""
    copy = type(optimizer)(**optimizer.get_config())
    return FirstOrderRun(objective, x, keep, copy, gtol)
