"""Minima of plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.checks import as_seed, flag, integer, number
from fallline.declaration import resolve
from fallline.errors import message
from fallline.optimizers import Course, Optimizer
from fallline.search.meeting import near
from fallline.search.objective import OPERATION, Objective
from fallline.search.results import Basin, Minima, Minimum
from fallline.search.runs import Run, Runs, begin
from fallline.search.starts import starting_points

if TYPE_CHECKING:
    from fallline.typing import ArrayLike, Float64Array


def minimize(
    fun: Callable[[Float64Array], Any],
    x0: ArrayLike | None = None,
    *,
    optimizer: Optimizer | str = "lbfgs",
    max_iterations: int | None = None,
    gtol: float = 1e-6,
    starts: int | ArrayLike | None = None,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    seed: int | None = None,
    merge: bool = True,
    merge_tolerance: float = 1e-2,
    check_every: int = 10,
    trajectory: bool | None = None,
) -> Minimum | Minima:
    """Go down a function of any arrays with any optimizer, from one start or from many.

    Many starts go down side by side. Every check_every iterations those that have met, ‖a − b‖ <= merge_tolerance ·
    (1 + ‖b‖), are merged: the lower one, b, goes on for both. The iterations that this saves are left to the others:
    all together may make max_iterations for each start. The answer tells the basins apart, and how many starts fell
    into each.

    Merging is safe for descent in one dimension, where the learning rate is below 1 / (largest curvature) and the
    function has no valley narrower than the tolerance: a ball cannot pass another, and two whose slopes push them apart
    stay apart. In more dimensions, or with momentum, two that have met may still part: it is a rule of thumb, and
    merge=False the way to prove it. Annealing wanders between basins: its starts are told apart at their ends only.

    Args:
        fun: x -> (value, gradient), the gradient an array of x's shape; for SimulatedAnnealing x -> value is
            enough. x is a float64 array, and read-only.
        x0: where to start, of any shape. Default None: the shape is that of starts or bounds.
        optimizer: a name or an Optimizer; a fresh copy goes down, with a state of its own. Default "lbfgs".
        max_iterations: for one start, >= 0. Default None: the optimizer's own, 10000 for those of first order and
            chains.
        gtol: an optimizer of first order has arrived where no entry of the gradient is larger, >= 0; the others have
            their own. Default 1e-6.
        starts: how many points to draw within the bounds; or the points themselves, (k, *shape of x). Default None: x0.
        bounds: (low, high), numbers or arrays of x's shape between which starts are drawn uniformly; the way down may
            leave them. Default None.
        seed: that the drawn starts, and what an optimizer draws, follow from, 0 to 2**64 − 1. Default None: drawn
            anew.
        merge: give those up that have met a lower one. Default True.
        merge_tolerance: how near those are that have met, > 0. Default 0.01.
        check_every: iterations between two looks for them, >= 1. Default 10.
        trajectory: keep all points. Default None: of one start yes, of many no.

    Returns:
        A Minimum, or with starts Minima.

    Raises:
        TypeError: an argument of the wrong kind, or fun answers with something else than it should.
        ValueError: an argument out of range; a gradient of another shape than x; a function that answers differently
            when asked again, for optimizers that search along lines.
        NonFiniteLoss: fun or its gradient is not finite at a point; with many starts, on all their ways.

    Example:
        >>> import fallline as fl
        >>> fl.minimize(lambda x: ((x**2).sum(), 2 * x), [3.0, 4.0], optimizer=fl.SGD(0.5))
        Minimum: 0 at [0, 0]
        1 iteration, 2 evaluations; the gradient is below gtol
        >>> wells = lambda x: ((x**2 - 1) ** 2 + x / 4, 4 * x * (x**2 - 1) + 1 / 4)
        >>> fl.minimize(wells, optimizer=fl.SGD(0.02), starts=20, bounds=(-2, 2), seed=0)
        2 basins, 20 starts, 516 evaluations; 18 merged, which saved 1,084 iterations
            value  starts  x         stopped because
        -0.253791       8  -1.0299   the gradient is below gtol
         0.245963      12  0.967149  the gradient is below gtol

    References:
        Nocedal & Wright 2006, Numerical Optimization, for the line searches.
    """
    if not callable(fun):
        raise TypeError(message(OPERATION, "fun", f"is {fun!r}", "a function of x"))
    rule = resolve(Optimizer, optimizer, OPERATION, "optimizer")
    most = getattr(rule, "max_iterations", 10_000) if max_iterations is None else max_iterations
    limit = integer(OPERATION, "max_iterations", most, low=0)
    arrived = number(OPERATION, "gtol", gtol, low=0)
    key = as_seed(OPERATION, seed)
    points = starting_points(x0, starts, bounds, key)
    tolerance = number(OPERATION, "merge_tolerance", merge_tolerance, above=0)
    every = integer(OPERATION, "check_every", check_every, low=1)
    merging = flag(OPERATION, "merge", merge) and starts is not None
    keep = starts is None if trajectory is None else flag(OPERATION, "trajectory", trajectory)

    shape = points.shape[1:]
    runs: dict[int, Run] = {}
    lost = None
    for i, point in enumerate(points):
        try:
            course = Course(rule, (key + (i << 32)) % 2**64)
            runs[i] = begin(Objective(fun, shape), point.reshape(-1), keep, course, arrived)
        except _core.NonFiniteLoss as error:
            lost = error
    if lost is not None and not runs:
        raise lost

    def met(ends: Sequence[Run]) -> Iterator[tuple[int, int]]:
        gradients = [run.gradient for run in ends]
        known = None if any(gradient is None for gradient in gradients) else np.array(gradients)
        heights = np.array([run.value for run in ends])
        return near(np.array([run.x for run in ends]), heights, known, tolerance)

    lockstep = Runs(runs, len(points))
    lockstep.advance(limit, every, met if merging else None, "max_iterations are spent")
    if starts is None:
        return runs[0].minimum()
    labels, basins = np.full(len(points), -1), list[Basin]()
    for end, numbers in lockstep.basins(met).items():
        labels[numbers] = len(basins)
        basins.append(Basin(runs[end].minimum(), np.array(numbers)))
    evaluations = sum(run.objective.evaluations for run in runs.values())
    return Minima(tuple(basins), points, labels, lockstep.merged, evaluations, lockstep.saved)
