"""How far a model has come with its optimizer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from fallline import _core
from fallline.errors import message
from fallline.optimizers.chain import Chain, Plateau
from fallline.optimizers.minimizer import Minimizer
from fallline.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from fallline.typing import Array

PREFIX = "optimizer."  # of its arrays in a model's state
COURSE = "course"


class Course:
    """The stage of a chain that a model is in, and what the core's method has learned, if it is one.

    An optimizer that is no chain is a single stage without an end.
    """

    def __init__(self, optimizer: Optimizer, seed: int, stage: int = 0) -> None:
        self._optimizer, self._seed = optimizer, seed
        self.stages = optimizer.stages if isinstance(optimizer, Chain) else [(optimizer, None)]
        self.stage = stage
        self.epochs = 0  # of the stage
        self._best, self._waited = math.inf, 0
        self.optimizer, self._budget = self.stages[stage]
        # Stages draw numbers of their own.
        self.minimizer: _core.Minimizer | None = (
            self.optimizer.start((seed + stage) % 2**64) if isinstance(self.optimizer, Minimizer) else None
        )

    @property
    def is_chain(self) -> bool:
        """Whether stages follow one another."""
        return isinstance(self._optimizer, Chain)

    def next(self) -> Course | None:
        """Return the stage that follows, or None after the last."""
        after = self.stage + 1
        return Course(self._optimizer, self._seed, after) if after < len(self.stages) else None

    def left(self, epochs: int) -> int:
        """Return how many of some epochs can be run before anyone asks whether the stage is over."""
        if isinstance(self._budget, Plateau):
            return min(epochs, 1)
        most = self._budget if self.is_chain else None
        if most is None and self.is_chain and isinstance(self.optimizer, Minimizer):
            most = self.optimizer.max_iterations
        return epochs if most is None else min(epochs, most - self.epochs)

    def count(self, losses: Iterable[float]) -> None:
        """Take note of epochs of the stage."""
        for loss in losses:
            self.epochs += 1
            self._waited += 1
            least = self._budget.min_delta * abs(self._best) if isinstance(self._budget, Plateau) else 0.0
            if self._best == math.inf or self._best - loss > least:
                self._best, self._waited = loss, 0

    def is_over(self) -> bool:
        """Tell whether the budget of the stage is used up."""
        if isinstance(self._budget, Plateau):
            return self._waited >= self._budget.patience
        return self.left(1) < 1

    def get_state(self) -> dict[str, Array]:
        """Return what the rest of the course depends on, as arrays."""
        arrays = {} if self.minimizer is None else self.minimizer.get_state()
        if self.is_chain:
            arrays[COURSE] = np.array([self.stage, self.epochs, self._best, self._waited])
        return {PREFIX + name: array for name, array in arrays.items()}

    def resumed(self, arrays: Mapping[str, Array]) -> Course:
        """Return the course that get_state() told of.

        Raises:
            ValueError: the state of another optimizer.
        """
        own = {name[len(PREFIX) :]: np.asarray(array, np.float64) for name, array in arrays.items()}
        stage, epochs, best, waited = own.pop(COURSE, np.array([0, 0, math.inf, 0])).tolist()
        if not 0 <= stage < len(self.stages):
            got = f"are in stage {stage:g}"
            raise ValueError(message("Course", "the arrays", got, f"one of the {len(self.stages)} stages"))
        course = Course(self._optimizer, self._seed, int(stage))
        course.epochs, course._best, course._waited = int(epochs), best, int(waited)
        if course.minimizer is not None:
            course.minimizer.set_state(own)
        elif own:
            got = f"hold {sorted(own)}"
            raise ValueError(message("Course", "the arrays", got, "none of a method that the model has not"))
        return course
