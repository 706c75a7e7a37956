"""What all metrics share, and a user's own function as one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fallline.classes import tell_classes
from fallline.declaration import Declaration, LostFunction, known_names, resolve
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.losses import Loss
    from fallline.typing import Array


class Metric(Declaration):
    """Base of metrics: called with the labels, the predictions (n, outputs) and weights (n,) or None."""

    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = False
    of_classes: ClassVar[bool] = False  # not of any numbers

    @classmethod
    def named(cls, logits: str | None) -> Metric:  # noqa: ARG003
        """Return what the metric's name means for outputs; logits is "softmax", "sigmoid" or None.

        It is what would make them probabilities.
        """
        return cls()

    def for_labels(self) -> Metric:
        """Return the metric of several outputs that are labels of their own, not classes of which one is right."""
        return self

    def keys(self, outputs: int) -> list[str]:  # noqa: ARG002
        """Return what the values are called in a model's logs: the name, if there is one value."""
        return [self.name]

    def check(self, outputs: int, operation: str) -> None:
        """Check that the metric goes with so many outputs, before training."""

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Return the metric over all rows."""
        raise NotImplementedError(
            f"{type(self).__name__}: __call__ is not defined; expected a subclass to define it"
        )


def mean(values: Array, weights: Array | None) -> float:
    """Return the weighted mean, nan if nothing has a weight."""
    if weights is not None and not weights.any():
        return float("nan")
    return float(np.average(values, weights=weights))


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


def _check(value: Any, operation: str, logits: str | None) -> Metric:
    """Return a metric given by name, object or function."""
    if not isinstance(value, str | Metric | type) and callable(value):
        return FunctionMetric(value)
    metric = resolve(Metric, value, operation, "metrics")
    return metric.named(logits) if isinstance(value, str) else metric


def check_all(values: Any, operation: str, logits: str | None) -> tuple[Metric, ...]:
    """Return the metrics of a list or a single one, each under a name of its own.

    logits is the activation that would make probabilities of the outputs, or None if they need none.
    """
    if isinstance(values, str) or callable(values):
        values = (values,)
    try:
        metrics = tuple(_check(value, operation, logits) for value in values)
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


def measuring(metrics: Iterable[Metric], loss: Loss, activation: str, outputs: int) -> list[Metric]:
    """Return the metrics as they are for a model: several outputs of a sigmoid, or its logits, are labels."""
    labels = outputs > 1 and (activation == "sigmoid" or "sigmoid" in loss.activations)
    return [metric.for_labels() if labels else metric for metric in metrics]


def check_targets(metrics: Iterable[Metric], loss: Loss, y: Array, operation: str) -> None:
    """Refuse metrics of classes where neither the loss nor y is one of classes."""
    names = [metric.name for metric in metrics if metric.of_classes]
    if names and not loss.classifies and not tell_classes(y):
        got = f"are {names}, of classes, beside loss {loss.name!r} and y that has other numbers"
        expected = "y with classes, such as 0 and 1 or one-hot rows, or metrics such as 'r2'"
        raise ValueError(message(operation, "metrics", got, expected))


def scores(metrics: Iterable[Metric], y_true: Array, y_pred: Array, weight: Array | None) -> dict[str, float]:
    """Return the values of each metric by their names in logs."""
    found: dict[str, float] = {}
    for metric in metrics:
        value, keys = metric(y_true, y_pred, weight), metric.keys(y_pred.shape[1])
        found |= (
            {metric.name: value}
            if keys == [metric.name]
            else zip(keys, np.asarray(value).tolist(), strict=True)
        )
    return found
