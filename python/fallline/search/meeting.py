"""When two that go down have met, so that one can go on for both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fallline.typing import Float64Array


def near(
    points: Float64Array, values: Float64Array, gradients: Float64Array | None, tolerance: float
) -> Iterator[tuple[int, int]]:
    """Yield places (other, lower) of points near each other, ‖a − b‖ <= tolerance · (1 + ‖b‖), without a ridge between.

    Where both gradients push apart, a ridge lies between: in one dimension always, if the function is not finer than
    the tolerance; in more dimensions it is a sign of one.

    Args:
        points: (n, size).
        values: (n,), of the function at each.
        gradients: (n, size), or None: ridges are not looked for.
        tolerance: how near.

    Example:
        >>> points, heights = np.array([[0.0], [0.009], [1.0]]), np.array([3.0, 2.0, 1.0])
        >>> list(near(points, heights, None, 0.01))
        [(0, 1)]
        >>> list(near(points, heights, np.array([[1.0], [-1.0], [-1.0]]), 0.01))
        []
    """
    order, norms = np.argsort(values, kind="stable"), np.linalg.norm(points, axis=1)
    for place, lower in enumerate(order[:-1]):
        others = order[place + 1 :]
        away = points[others] - points[lower]
        close = np.linalg.norm(away, axis=1) <= tolerance * (1 + norms[lower])
        if gradients is not None:
            here, there = ((away * gradients[place]).sum(axis=1) for place in (lower, others))
            close &= ~((here >= 0) & (there <= 0) & (here > there))
        for other in others[close]:
            yield int(other), int(lower)


def alike(
    outputs: Float64Array, losses: Float64Array, tolerance: float, spread: float | None = None
) -> Iterator[tuple[int, int]]:
    """Yield places (other, lower) of models that predict the same.

    The root mean square of the difference a − b of their outputs is at most tolerance times the spread of b, and their
    losses differ by at most tolerance · (1 + loss of b).

    Args:
        outputs: (n, rows, width), what each predicts for the same rows.
        losses: (n,).
        tolerance: share of the spread.
        spread: of the outputs. Default None: that of each model's own over the rows, so that those that still predict
            nearly one thing for all rows, as many do at first, must agree the better.
    """
    order = np.argsort(losses, kind="stable")
    for place, lower in enumerate(order[:-1]):
        others = order[place + 1 :]
        apart = np.sqrt(((outputs[others] - outputs[lower]) ** 2).mean(axis=(1, 2)))
        close = apart <= tolerance * (spread_of(outputs[lower]) if spread is None else spread)
        close &= losses[others] - losses[lower] <= tolerance * (1 + abs(losses[lower]))
        for other in others[close]:
            yield int(other), int(lower)


def spread_of(outputs: Float64Array) -> float:
    """Return the root mean square of outputs (..., width) around the mean of each column.

    Example:
        >>> spread_of(np.array([[1.0, 5.0], [3.0, 7.0]]))
        1.0
    """
    rows = outputs.reshape(-1, outputs.shape[-1])
    return float(np.sqrt(rows.var(axis=0).mean()))
