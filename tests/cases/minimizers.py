"""One row per optimizer that sees all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import fallline as fl


class MinimizerCase(NamedTuple):
    """How to make one whose fit lasts more than `iterations`, and what it refuses."""

    make: Callable[..., fl.Minimizer]
    options: dict[str, Any]
    iterations: int

    def __call__(self) -> fl.Minimizer:
        return self.make(**self.options)


MINIMIZERS = [
    MinimizerCase(fl.LBFGS, {"history": 4}, 12),
    MinimizerCase(fl.BFGS, {}, 12),
    MinimizerCase(
        fl.SimulatedAnnealing, {"proposals": 600, "cycles": 30, "sigma": 0.05, "final_sigma": 0.02}, 12
    ),
    MinimizerCase(
        fl.SimulatedAnnealing, {"proposals": 600, "cycles": 30, "sigma": 0.05, "adaptive": True}, 12
    ),
]
