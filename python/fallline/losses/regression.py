"""Losses of numbers: means over the outputs of a row."""

from __future__ import annotations

import math
from typing import Literal

from fallline.checks import number
from fallline.losses.loss import Loss


class MSE(Loss):
    """Mean over the outputs of a row of (y_true − y_pred)².

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true (n, outputs), or (n,) for one output.

    Example:
        >>> MSE("sum")
        MSE(reduction='sum')
    """

    name = "mse"


class MAE(Loss):
    """Mean over the outputs of a row of |y_true − y_pred|; the gradient at 0 is 0.

    The best constant prediction is the median, which a few far targets do not move.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true (n, outputs), or (n,) for one output.

    Example:
        >>> MAE()
        MAE()
    """

    name = "mae"


class Huber(Loss):
    """Mean over the outputs of a row of e²/2 for |e| ≤ delta, else delta·(|e| − delta/2); e = y_true − y_pred.

    Args:
        delta: where the parabola goes on as a straight line, > 0. Default 1.
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true (n, outputs), or (n,) for one output.

    Raises:
        ValueError: delta out of range.

    Example:
        >>> Huber(0.5)
        Huber(delta=0.5)

    References:
        Huber 1964, Robust Estimation of a Location Parameter.
    """

    name = "huber"

    def __init__(self, delta: float = 1.0, *, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__(reduction)
        self.delta = number("Huber", "delta", delta, above=0)


class LogCosh(Loss):
    """Mean over the outputs of a row of ln(cosh(y_true − y_pred)).

    Near 0 half the square, far off the absolute value less ln 2, and smooth in between.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true (n, outputs), or (n,) for one output.

    Example:
        >>> LogCosh()
        LogCosh()
    """

    name = "log_cosh"


class Quantile(Loss):
    """Mean over the outputs of a row of max(q·e, (q − 1)·e), e = y_true − y_pred; the gradient at 0 is 0.

    The best constant prediction is the q-quantile of the targets: "pinball loss".

    Args:
        q: share of the targets that shall lie below the prediction, in (0, 1). Default 0.5, the median.
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true (n, outputs), or (n,) for one output.

    Raises:
        ValueError: q out of range.

    Example:
        >>> Quantile(0.9)
        Quantile(q=0.9)

    References:
        Koenker & Bassett 1978, Regression Quantiles.
    """

    name = "quantile"

    def __init__(self, q: float = 0.5, *, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__(reduction)
        self.q = number("Quantile", "q", q, above=0, below=1)


class Poisson(Loss):
    """Mean over the outputs of a row of p − y_true·ln p, p > 0 being the predicted mean of a count.

    −ln of the Poisson probability of y_true, less ln(y_true!). After an exponential layer the two are one
    step; after a linear layer p = exp(output), and predict() returns ln p.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: numbers ≥ 0, (n, outputs), or (n,) for one output.

    Example:
        >>> Poisson()
        Poisson()
    """

    name = "poisson"
    activations = ("exponential", "linear")
    target_range = (0.0, math.inf)
