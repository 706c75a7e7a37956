"""What BFGS and L-BFGS share: when to stop, and the line search."""

from __future__ import annotations

from fallline.checks import integer, number
from fallline.optimizers.minimizer import Minimizer


class QuasiNewton(Minimizer):
    """Base of methods that search along −H·g, where H, the inverse of the curvature, is learned from the steps."""

    def __init__(
        self,
        *,
        gtol: float,
        ftol: float,
        max_iterations: int,
        c1: float,
        c2: float,
        max_evaluations: int,
    ) -> None:
        kind = type(self).__name__
        self.gtol = number(kind, "gtol", gtol, low=0)
        self.ftol = number(kind, "ftol", ftol, low=0)
        self.max_iterations = integer(kind, "max_iterations", max_iterations, low=1)
        self.c2 = number(kind, "c2", c2, above=0, below=1)
        self.c1 = number(kind, "c1", c1, above=0, below=self.c2)
        self.max_evaluations = integer(kind, "max_evaluations", max_evaluations, low=1, high=2**31 - 1)
