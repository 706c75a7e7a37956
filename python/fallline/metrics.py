"""Metrics over all predictions of an epoch, not averaged over batches.

A metric is a name, a Metric object, or a function of y_true, y_pred and optionally sample_weight.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fallline.checks import number
from fallline.declaration import Declaration, LostFunction, known_names, resolve
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import Array, Float64Array


def _mean(values: Array, sample_weight: Array | None) -> float:
    return float(np.average(values, weights=sample_weight))


class Metric(Declaration):
    """Base of metrics: called with the labels, the predictions (n, outputs) and weights (n,) or None."""

    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = False

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the metric over all rows."""
        raise NotImplementedError(
            f"{type(self).__name__}: __call__ is not defined; expected a subclass to define it"
        )


class Accuracy(Metric):
    """Share of rows whose class is right.

    The class is the largest of several outputs, or whether a single output is above the threshold.

    Args:
        threshold: for a single output. Default 0.5; given by name, 0 when the model puts out logits.

    Example:
        >>> Accuracy()(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
        0.5
    """

    name = "accuracy"
    higher_is_better = True

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = number("Accuracy", "threshold", threshold)

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted share of right rows."""
        if y_pred.shape[1] == 1:
            right = (y_pred[:, 0] > self.threshold) == (y_true.reshape(-1) > 0.5)
        else:
            classes = y_true if y_true.ndim == 1 else y_true.argmax(axis=1)
            right = y_pred.argmax(axis=1) == classes
        return _mean(right, sample_weight)


class MeanSquaredError(Metric):
    """Mean of (y_true − y_pred)² over the outputs and rows.

    Example:
        >>> MeanSquaredError()(np.array([[1.0]]), np.array([[3.0]]))
        4.0
    """

    name = "mse"

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted mean."""
        return _mean(np.square(_errors(y_true, y_pred)).mean(axis=1), sample_weight)


class MeanAbsoluteError(Metric):
    """Mean of |y_true − y_pred| over the outputs and rows.

    Example:
        >>> MeanAbsoluteError()(np.array([[1.0]]), np.array([[3.0]]))
        2.0
    """

    name = "mae"

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the weighted mean."""
        return _mean(np.abs(_errors(y_true, y_pred)).mean(axis=1), sample_weight)


def _errors(y_true: Array, y_pred: Array) -> Float64Array:
    if y_true.ndim == 1 and y_pred.shape[1] > 1:
        y_true = np.eye(y_pred.shape[1])[y_true]
    return np.subtract(y_true.reshape(y_pred.shape), y_pred, dtype=np.float64)


class FunctionMetric(Metric):
    """A Python function as a metric, under its own name.

    Args:
        function: called with y_true, y_pred, and sample_weight if it takes it.

    Example:
        >>> def largest(y_true, y_pred):
        ...     return abs(y_true - y_pred).max()
        >>> FunctionMetric(largest)(np.array([[1.0]]), np.array([[3.0]]))
        2.0
    """

    def __init__(self, function: Callable[..., float]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)  # type: ignore[misc]

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return what the function returns."""
        if (
            isinstance(self.function, LostFunction)
            or "sample_weight" not in inspect.signature(self.function).parameters
        ):
            return float(self.function(y_true, y_pred))
        return float(self.function(y_true, y_pred, sample_weight=sample_weight))


def check(value: Any, operation: str, from_logits: bool) -> Metric:
    """Return a metric given by name, object or function."""
    if value == Accuracy.name and from_logits:
        return Accuracy(threshold=0.0)
    if not isinstance(value, str | Metric | type) and callable(value):
        return FunctionMetric(value)
    return resolve(Metric, value, operation, "metrics")


def check_all(values: Any, operation: str, from_logits: bool) -> tuple[Metric, ...]:
    """Return the metrics of a list or a single one, each under a name of its own."""
    if isinstance(values, str) or callable(values):
        values = (values,)
    try:
        metrics = tuple(check(value, operation, from_logits) for value in values)
    except TypeError as error:
        if np.iterable(values):
            raise
        expected = (
            f"a list of {', '.join(map(repr, sorted(known_names(Metric))))}, Metric objects or functions"
        )
        raise TypeError(message(operation, "metrics", f"is {values!r}", expected)) from error
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names) or "loss" in names:
        raise ValueError(
            message(operation, "metrics", f"has the names {names}", "each once, and none called 'loss'")
        )
    return metrics
