"""Learning rates that change between epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fallline.callbacks.callback import Callback
from fallline.callbacks.monitor import Monitor
from fallline.checks import integer, number
from fallline.errors import message
from fallline.optimizers import FirstOrder


def _rate(callback: Callback) -> float:
    """Return the optimizer's rate, which must be a number to be changed."""
    optimizer = callback.model.optimizer
    rate = optimizer.learning_rate if isinstance(optimizer, FirstOrder) else None
    if rate is None or callable(rate):
        kind, got = type(callback).__name__, f"is {rate!r}"
        raise ValueError(
            message(kind, "optimizer.learning_rate", got, "a number, which this callback changes")
        )
    return rate


def _set_rate(callback: Callback, rate: float) -> None:
    callback.model.optimizer.learning_rate = rate  # type: ignore[union-attr]


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch: learning_rate = function(epoch, learning_rate).

    The rate of the epoch is in the logs and the History as "learning_rate". A rate that changes with every
    update is a schedule, given to the optimizer itself.

    Args:
        function: called with the epoch, counted from 0 over the life of the model, and the rate of the epoch
            before; returns a number >= 0.

    Raises:
        TypeError: what cannot be called; in fit(), an answer that is no number.
        ValueError: in fit(), an answer < 0, or an optimizer that has a schedule.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> model = fl.Model([fl.Dense(1)])
        >>> model.compile(fl.SGD(0.5), "mse")
        >>> halve = fl.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
        >>> model.fit(np.ones((4, 2)), np.ones(4), epochs=3, callbacks=[halve]).history["learning_rate"]
        [0.5, 0.25, 0.125]
    """

    logged = ("learning_rate",)

    def __init__(self, function: Callable[[int, float], float]) -> None:
        if not callable(function):
            raise TypeError(
                message(
                    "LearningRateScheduler", "function", f"is {function!r}", "a function of epoch and rate"
                )
            )
        self.function = function

    def on_train_begin(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Refuse an optimizer that has a schedule."""
        _rate(self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Ask for the rate."""
        answer = self.function(epoch, _rate(self))
        _set_rate(self, number("LearningRateScheduler", f"function({epoch}, rate)", answer, low=0))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Log the rate."""
        logs["learning_rate"] = _rate(self)


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by a factor when the monitored value has not become better for some epochs.

    The rate of the epoch is in the logs and the History as "learning_rate".

    Args:
        monitor: a name in the logs. Default "val_loss".
        factor: learning_rate · factor is the new rate, 0 < factor < 1. Default 0.1.
        patience: epochs without improvement before the rate falls, >= 0; 0 is as 1. Default 10.
        min_delta: smallest change that counts, >= 0. Default 1e-4.
        cooldown: epochs after a fall that do not count as without improvement, >= 0. Default 0.
        min_lr: the rate does not fall below it, >= 0. Default 0.
        mode: "min", "max", or "auto": as the metric says. Default "auto".

    Attributes:
        best: the best value.
        best_epoch: the epoch that had it.

    Raises:
        ValueError: a number out of range; in fit(), a monitor that is not measured, or an optimizer that has
            a schedule.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> model = fl.Model([fl.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(fl.SGD(1e-9), "mse")
        >>> plateau = fl.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=2)
        >>> model.fit(np.ones((4, 2)), np.ones(4), epochs=5, callbacks=[plateau]).history["learning_rate"]
        [1e-09, 1e-09, 1e-09, 5e-10, 5e-10]
    """

    logged = ("learning_rate",)
    saved = (*Monitor.saved, "_waited", "_cooling")

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: Literal["auto", "min", "max"] = "auto",
    ) -> None:
        kind = type(self).__name__
        super().__init__(monitor, min_delta, mode)
        self.factor = number(kind, "factor", factor, above=0, below=1)
        self.patience = integer(kind, "patience", patience, low=0)
        self.cooldown = integer(kind, "cooldown", cooldown, low=0)
        self.min_lr = number(kind, "min_lr", min_lr, low=0)

    def forget(self) -> None:
        """Forget an earlier fit."""
        super().forget()
        self._waited = self._cooling = 0

    def on_train_begin(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Forget an earlier fit, and refuse an optimizer that has a schedule."""
        _rate(self)
        self.forget()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Log the rate and compare; the rate falls when patience is over."""
        rate = _rate(self)
        logs["learning_rate"] = rate
        if self._cooling > 0:
            self._cooling -= 1
            self._waited = 0
        if self.improved(epoch, logs):
            self._waited = 0
        elif self._cooling == 0:
            self._waited += 1
            if self._waited >= self.patience and rate > self.min_lr:
                _set_rate(self, max(rate * self.factor, self.min_lr))
                self._cooling, self._waited = self.cooldown, 0
