"""Exponentially weighted averages of a series."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal

import numpy as np

from fallline._core import power
from fallline.checks import choice, number, unmasked
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import ArrayLike, Float64Array


def ewa(
    values: ArrayLike, beta: float, *, correction: Literal["bias", "first"] | None = "bias"
) -> Float64Array:
    """Return the exponentially weighted average v_t = beta · v_(t−1) + (1 − beta) · values_t at each t = 1, 2, ...

    The weight of a value falls to about 1/e after 1 / (1 − beta) steps. A straight line is followed beta / (1 − beta)
    steps late, and the variance of white noise shrinks by (1 − beta) / (1 + beta).

    Args:
        values: (n, ...), averaged along the first axis.
        beta: share of the average kept at each step, in [0, 1).
        correction: "bias": v_0 = 0 and v_t / (1 − beta^t), a true weighted mean, as Adam has it; "first": v_1 =
            values_1; None: v_0 = 0, so that the first averages are too small. Default "bias".

    Shapes:
        (n, ...) as values, float64.

    Raises:
        TypeError: values that are no real numbers.
        ValueError: a single value, or beta out of range.

    Example:
        >>> ewa([1, 2, 3], 0.5), ewa([1, 2, 3], 0.5, correction="first"), ewa([1, 2, 3], 0.5, correction=None)
        (array([1.        , 1.66666667, 2.42857143]), array([1.  , 1.5 , 2.25]), array([0.5  , 1.25 , 2.125]))

    References:
        Kingma & Ba 2014, section 3.
    """
    beta = number("ewa", "beta", beta, low=0, below=1)
    if correction is not None:
        choice("ewa", "correction", correction, ("bias", "first"))
    series = unmasked("ewa", "values", values)
    if series.dtype.kind not in "fiub":
        raise TypeError(message("ewa", "values", f"has dtype {series.dtype}", "numbers"))
    if series.ndim == 0:
        raise ValueError(message("ewa", "values", "is a single number", "an array (n, ...)"))
    weighted = (1 - beta) * series.astype(np.float64)
    if correction == "first":
        weighted[:1] = series[:1]
    average = np.array(list(itertools.accumulate(weighted, lambda v, x: beta * v + x))).reshape(series.shape)
    if correction == "bias":
        t = np.arange(1, len(series) + 1).reshape(-1, *[1] * (series.ndim - 1))
        average /= 1 - power(beta, t)
    return average
