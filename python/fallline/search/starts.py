"""Where searches begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.checks import integer, unmasked
from fallline.errors import message
from fallline.search.objective import OPERATION

if TYPE_CHECKING:
    from fallline.typing import Float64Array


def starting_points(x0: Any, starts: Any, bounds: Any, seed: int) -> Float64Array:
    """Return the points (k, *shape of x) where minimize() starts: x0, those given, or those drawn within the bounds."""
    shape = None if x0 is None else _numbers("x0", x0).shape
    if starts is None:
        if x0 is None:
            raise TypeError(message(OPERATION, "x0", "is None", "a point, or starts"))
        if bounds is not None:
            raise ValueError(
                message(OPERATION, "bounds", f"is {bounds!r}", "starts=k, to draw k points within")
            )
        return _numbers("x0", x0)[np.newaxis]
    if np.ndim(starts) == 0:
        return _drawn(integer(OPERATION, "starts", starts, low=1), shape, bounds, seed)
    points = _numbers("starts", starts)
    if bounds is not None:
        raise ValueError(message(OPERATION, "bounds", f"is {bounds!r}", "None beside starts that are given"))
    if len(points) == 0 or shape not in (None, points.shape[1:]):
        got = f"has shape {points.shape}"
        inner = "*shape of x" if shape is None else ", ".join(map(str, shape))
        raise ValueError(message(OPERATION, "starts", got, f"(k, {inner}), k >= 1"))
    return points


def _drawn(k: int, shape: tuple[int, ...] | None, bounds: Any, seed: int) -> Float64Array:
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(
            message(OPERATION, "bounds", f"is {bounds!r}", f"(low, high), to draw {k} starts within")
        )
    low, high = (_numbers(f"bounds[{i}]", bound) for i, bound in enumerate(bounds))
    try:
        inside = np.broadcast_shapes(low.shape, high.shape) if shape is None else shape
        low, high = np.broadcast_to(low, inside), np.broadcast_to(high, inside)
    except ValueError:
        got = f"has shapes {low.shape} and {high.shape}"
        expected = "one shape" if shape is None else f"numbers, or {shape} as x0"
        raise ValueError(message(OPERATION, "bounds", got, expected)) from None
    if not (low <= high).all():
        raise ValueError(message(OPERATION, "bounds", f"is {bounds!r}", "low <= high"))
    return np.random.default_rng(seed).uniform(low, high, (k, *inside))


def _numbers(argument: str, value: Any) -> Float64Array:
    """Return a copy, of finite numbers."""
    array = unmasked(OPERATION, argument, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(message(OPERATION, argument, f"has dtype {array.dtype}", "numbers"))
    if array.size == 0:
        raise ValueError(message(OPERATION, argument, f"has shape {array.shape}", "at least one number"))
    if not np.isfinite(array).all():
        raise ValueError(message(OPERATION, argument, "has entries that are not finite", "finite numbers"))
    return np.array(array, dtype=np.float64)
