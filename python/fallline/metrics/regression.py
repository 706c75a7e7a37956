"""How far predictions are from numbers; classes count as one-hot rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fallline.metrics.metric import Metric, mean

if TYPE_CHECKING:
    from fallline.typing import Array, Float64Array


def _targets(y_true: Array, y_pred: Array) -> Float64Array:
    if y_true.ndim == 1 and y_pred.shape[1] > 1:
        return np.eye(y_pred.shape[1])[y_true]
    return y_true.reshape(y_pred.shape).astype(np.float64)


class MeanSquaredError(Metric):
    """Mean of (y_true − y_pred)² over the outputs and rows.

    Example:
        >>> MeanSquaredError()(np.array([[1.0]]), np.array([[3.0]]))
        4.0
    """

    name = "mse"

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted mean."""
        return mean(np.square(_targets(y_true, y_pred) - y_pred).mean(axis=1), sample_weight)


class RMSE(MeanSquaredError):
    """Square root of the mean of (y_true − y_pred)² over the outputs and rows.

    Example:
        >>> RMSE()(np.array([[1.0], [1.0]]), np.array([[1.0], [3.0]])) ** 2
        2.0000000000000004
    """

    name = "rmse"

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the root of the weighted mean."""
        return math.sqrt(super().__call__(y_true, y_pred, sample_weight))


class MeanAbsoluteError(Metric):
    """Mean of |y_true − y_pred| over the outputs and rows.

    Example:
        >>> MeanAbsoluteError()(np.array([[1.0]]), np.array([[3.0]]))
        2.0
    """

    name = "mae"

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted mean."""
        return mean(np.abs(_targets(y_true, y_pred) - y_pred).mean(axis=1), sample_weight)


class R2(Metric):
    """1 − Σ (y_true − y_pred)² / Σ (y_true − mean of y_true)², the mean over the outputs.

    1 is perfect, 0 is as good as the mean, and there is no worst. An output whose y_true is the same in all rows
    counts 1 if it is predicted exactly, and 0 otherwise.

    Example:
        >>> R2()(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [2.0]]))
        0.5
    """

    name = "r2"
    higher_is_better = True

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted share of the variance that is explained."""
        target = _targets(y_true, y_pred)
        weight = np.ones(len(target)) if sample_weight is None else sample_weight.astype(np.float64)
        target, y_pred, weight = (array[weight > 0] for array in (target, y_pred, weight))
        if not len(target):
            return math.nan
        centre = np.average(target, axis=0, weights=weight)
        # not by a product of matrices, whose bits follow from the CPU and the threads of NumPy's BLAS
        left, total = (
            (weight[:, np.newaxis] * np.square(target - at)).sum(axis=0) for at in (y_pred, centre)
        )
        varies = np.ptp(target, axis=0) > 0
        return float(np.mean(np.where(varies, 1 - left / np.where(varies, total, 1), left == 0)))
