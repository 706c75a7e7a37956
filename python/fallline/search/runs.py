"""One optimizer on its way down from one start."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from fallline import _core
from fallline.errors import message
from fallline.optimizers import Course, FirstOrder
from fallline.search.descent import Descent
from fallline.search.lockstep import Lockstep
from fallline.search.objective import OPERATION, Objective
from fallline.search.results import Minimum

if TYPE_CHECKING:
    from fallline.typing import Float64Array


class Run(Descent):
    """A point that goes down.

    Attributes:
        x: where it is, flat.
    """

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

    @property
    def follows_gradient(self) -> bool:
        """Whether it goes down only, so that it stays in its basin."""
        return self.gradient is not None

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
        self, objective: Objective, x: Float64Array, keep: bool, optimizer: FirstOrder, gtol: float
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


class MinimizerRun(Run):
    """Iterations of one of the core's methods."""

    def __init__(self, objective: Objective, x: Float64Array, keep: bool, method: _core.Minimizer) -> None:
        super().__init__(objective, x, keep)
        self._method = method
        method.begin(objective, x)
        self.value = method.value
        slope = self.gradient
        if not (math.isfinite(self.value) and (slope is None or np.isfinite(slope).all())):
            got = "or its gradient is not finite at a start"
            raise _core.NonFiniteLoss(message(OPERATION, "fun(x)", got, "finite numbers at each start"))
        if slope is not None:
            objective.check_repeats(x, self.value, slope)
        self._note()

    def iterate(self) -> None:
        """Make an iteration, if there is one left."""
        done = len(self._method.run(self.objective, 1, math.inf))
        self.reason = self._method.reason
        if done:
            self.x, self.value = self._method.x, self._method.value
            self.iterations += 1
            self._note()

    @property
    def gradient(self) -> Float64Array | None:
        """The gradient at x, flat; None for methods that ask for values only."""
        return self.objective.gradient(self.x) if self.objective.has_gradients else None


class ChainRun(Run):
    """The stages of a chain, one after the other."""

    def __init__(
        self, objective: Objective, x: Float64Array, keep: bool, course: Course, gtol: float
    ) -> None:
        super().__init__(objective, x, keep)
        self._course, self._gtol = course, gtol
        self._run = _stage(objective, x, False, course, gtol)
        self.value = self._run.value
        self._note()

    def iterate(self) -> None:
        """Make an iteration of the stage at hand, or of the one that follows it."""
        while self._run.reason or self._course.is_over():
            after = self._course.next()
            if after is None:
                self.reason = self._run.reason or "the chain is at its end"
                return
            self._course, self._run = after, _stage(self.objective, self.x, False, after, self._gtol)
        before = self._run.iterations
        self._run.iterate()
        if self._run.iterations > before:
            self.x, self.value = self._run.x, self._run.value
            self._course.count([self.value])
            self.iterations += 1
            self._note()

    @property
    def gradient(self) -> Float64Array | None:
        """The gradient at x, flat, if the stage at hand follows it."""
        return self._run.gradient


class Runs(Lockstep[Run]):
    """Runs from many starts."""

    def go(self, numbers: Sequence[int], iterations: int) -> None:
        """Let some go on; those that come to where the function is not finite are lost."""
        for i in numbers:
            run = self.descents[i]
            try:
                for _ in range(iterations):
                    if not run.reason:
                        run.iterate()
            except _core.NonFiniteLoss:
                self.lose([i])
                if not self.ends():
                    raise


def begin(objective: Objective, x: Float64Array, keep: bool, course: Course, gtol: float) -> Run:
    """Return a run of an optimizer, or of the stages of a chain."""
    return (ChainRun if course.is_chain else _stage)(objective, x, keep, course, gtol)


def _stage(objective: Objective, x: Float64Array, keep: bool, course: Course, gtol: float) -> Run:
    if course.minimizer is not None:
        return MinimizerRun(objective, x, keep, course.minimizer)
    optimizer = cast("FirstOrder", course.optimizer)
    fresh = optimizer.anew()
    return FirstOrderRun(objective, x, keep, fresh, gtol)
