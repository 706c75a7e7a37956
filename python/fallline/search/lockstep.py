"""Many runs side by side, an iteration each in turn; those that meet go on as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fallline import _core
from fallline.search.merging import Aliases, met

if TYPE_CHECKING:
    from fallline.search.runs import Run


class Lockstep:
    """Runs on their way down together.

    Args:
        runs: by the numbers of their starts.
        starts: how many there are; some may have no run.
        tolerance: how near those are who have met.
    """

    def __init__(self, runs: dict[int, Run], starts: int, tolerance: float) -> None:
        self.runs, self.tolerance = runs, tolerance
        self._aliases = Aliases(starts)
        self._given_up: dict[int, int] = {}  # evaluations of the run that goes on, when they met

    def advance(self, iterations: int, check_every: int | None) -> None:
        """Go on until all have stopped, or too few iterations are left for those who go on.

        Args:
            iterations: of all runs together.
            check_every: iterations after which those that have met are merged; None: never.

        Raises:
            NonFiniteLoss: the function is not finite where the last run went.
        """
        done = 0
        while going := [i for i in self.ends() if not self.runs[i].reason]:
            if iterations < len(going):
                for i in going:
                    self.runs[i].reason = "max_iterations are spent"
                return
            for i in going:
                self._iterate(i)
            iterations, done = iterations - len(going), done + 1
            if check_every and done % check_every == 0:
                for i in self.unite():
                    self._given_up[i] = self.runs[self.successor(i)].objective.evaluations

    def _iterate(self, i: int) -> None:
        try:
            self.runs[i].iterate()
        except _core.NonFiniteLoss:
            if self.ends() == [i]:
                raise
            del self.runs[i]

    def ends(self) -> list[int]:
        """Return the numbers of those that nobody else goes on for."""
        return [i for i in self.runs if self.successor(i) == i]

    def successor(self, i: int) -> int:
        """Return the number of the run that goes on for a start: its own, or that which it has met."""
        return self._aliases.root(i)

    def unite(self) -> list[int]:
        """Let the lower one go on for each two that have met, and return the numbers of the others."""
        ends = self.ends()
        runs = [self.runs[i] for i in ends]
        values = {i: run.value for i, run in zip(ends, runs, strict=True)}
        gradients = [run.gradient for run in runs]
        pairs = met(
            np.array([run.x for run in runs]),
            np.array([run.value for run in runs]),
            None if any(g is None for g in gradients) else np.array(gradients),
            self.tolerance,
        )
        for other, lower in pairs:
            self._aliases.join(ends[other], ends[lower], values)
        return [i for i in ends if self.successor(i) != i]

    @property
    def merged(self) -> int:
        """How many were given up on their way."""
        return len(self._given_up)

    @property
    def saved(self) -> int:
        """Evaluations that those given up would have needed to get as far as those who went on for them."""
        went_on = {i: self.runs.get(self.successor(i)) for i in self._given_up}
        return sum(
            run.objective.evaluations - self._given_up[i] for i, run in went_on.items() if run is not None
        )
