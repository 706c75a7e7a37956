"""What happens between epochs, or between batches."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from fallline.checks import choice, flag, integer, number
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.model import Model


class Callback:
    """Base of callbacks: fit() calls its methods; each does nothing unless a subclass defines it.

    Training runs in the core from one call to the next, so a callback that defines on_batch_end() slows down
    small networks. Epochs are counted from 0 over the whole life of the model, batches from 0 in each epoch.
    Set self.model.stop_training = True to stop.

    Attributes:
        model: the model being fitted, set by fit().
        monitor: a name that must be among the logs of each epoch, checked before training; None for none.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> class Shout(fl.Callback):
        ...     def on_epoch_end(self, epoch, logs):
        ...         print("epoch", epoch, sorted(logs))
        >>> model = fl.Model([fl.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> _ = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, callbacks=[Shout()])
        epoch 0 ['loss']
        epoch 1 ['loss']
    """

    model: Model
    monitor: str | None = None

    def on_train_begin(self, logs: dict[str, float]) -> None:
        """Act before the first epoch; logs is empty."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        """Act before an epoch; logs is empty."""

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Act after an update; logs has the mean "loss" of the epoch so far."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Act after an epoch; logs has "loss", the metrics, "val_loss", ..."""

    def on_train_end(self, logs: dict[str, float]) -> None:
        """Act after the last epoch, with its logs; not called when fit() raises."""


class _Monitor(Callback):
    """Keeps the best value of a monitored log."""

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        kind = type(self).__name__
        if not isinstance(monitor, str):
            raise TypeError(message(kind, "monitor", f"is {monitor!r}", "a name, e.g. 'val_loss'"))
        self.monitor: str = monitor
        self.min_delta = number(kind, "min_delta", min_delta, low=0)
        self.mode = choice(kind, "mode", mode, ("auto", "min", "max"))
        self.best = math.nan
        self.best_epoch: int | None = None

    def improved(self, epoch: int, logs: Mapping[str, float]) -> bool:
        """Tell whether the epoch is the best so far, by more than min_delta, and remember it."""
        value = logs[self.monitor]
        sign = -1.0 if self._higher_is_better() else 1.0
        if self.best_epoch is None or sign * value < sign * self.best - self.min_delta:
            self.best, self.best_epoch = value, epoch
            return True
        return False

    def _higher_is_better(self) -> bool:
        name = self.monitor.removeprefix("val_")
        known = any(metric.name == name and metric.higher_is_better for metric in self.model.metrics)
        return self.mode == "max" or (self.mode == "auto" and known)


class EarlyStopping(_Monitor):
    """Stop when the monitored value has not become better for some epochs.

    Args:
        monitor: a name in the logs. Default "val_loss".
        patience: epochs without improvement before it stops, >= 1. Default 10.
        min_delta: smallest change that counts, >= 0. Default 0.
        restore_best_weights: put the weights of the best epoch back at the end. Default True.
        mode: "min", "max", or "auto": as the metric says. Default "auto".

    Attributes:
        best: the best value.
        best_epoch: the epoch that had it.
        stopped_epoch: the epoch after which it stopped, or None.

    Raises:
        ValueError: a number out of range; in fit(), a monitor that is not measured.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> stopping = fl.EarlyStopping(monitor="loss", patience=2)
        >>> model = fl.Model([fl.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(fl.SGD(0.0), "mse")
        >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=100, callbacks=[stopping])
        >>> len(history.epoch), stopping.best_epoch, stopping.stopped_epoch
        (3, 0, 2)

    References:
        Prechelt 1998, Early stopping - but when?
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
        mode: Literal["auto", "min", "max"] = "auto",
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.patience = integer("EarlyStopping", "patience", patience, low=1)
        self.restore_best_weights = flag("EarlyStopping", "restore_best_weights", restore_best_weights)
        self.stopped_epoch: int | None = None
        self._waited = 0
        self._best_weights: list[Any] | None = None

    def on_train_begin(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Forget an earlier fit."""
        self.best, self.best_epoch, self.stopped_epoch = math.nan, None, None
        self._waited, self._best_weights = 0, None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Compare, and stop when patience is over."""
        if self.improved(epoch, logs):
            self._waited = 0
            if self.restore_best_weights:
                self._best_weights = self.model.get_weights()
            return
        self._waited += 1
        if self._waited >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Put the best weights back."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
            self._best_weights = None


class ModelCheckpoint(_Monitor):
    """Save the model after epochs; the file is replaced as a whole, so a crash leaves the one before.

    Args:
        path: where to; may hold names of the logs and the epoch, e.g.
            "{epoch:03d}-{val_loss:.3f}.safetensors".
        monitor: a name in the logs, for save_best_only. Default "val_loss".
        save_best_only: save only when the monitored value has become better. Default False.
        every: save after each so many epochs, >= 1. Default 1.
        mode: "min", "max", or "auto": as the metric says. Default "auto".

    Raises:
        ValueError: a number out of range; in fit(), a monitor that is not measured.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> model = fl.Model([fl.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> checkpoint = fl.ModelCheckpoint("last.safetensors")
        >>> _ = model.fit(np.ones((4, 2)), np.ones(4), callbacks=[checkpoint])
        >>> fl.load_model("last.safetensors").inputs
        2
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "val_loss",
        save_best_only: bool = False,
        every: int = 1,
        mode: Literal["auto", "min", "max"] = "auto",
    ) -> None:
        super().__init__(monitor, 0.0, mode)
        self.path = os.fspath(path)
        self.save_best_only = flag("ModelCheckpoint", "save_best_only", save_best_only)
        self.every = integer("ModelCheckpoint", "every", every, low=1)
        if not save_best_only:
            self.monitor = None  # type: ignore[assignment]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Save, if it is time and worth it."""
        if (epoch + 1) % self.every == 0 and (not self.save_best_only or self.improved(epoch, logs)):
            self.model.save(self.path.format(epoch=epoch, **logs))
