"""Stopping when training no longer helps."""

from __future__ import annotations

from typing import Any, Literal

from fallline.callbacks.monitor import Monitor
from fallline.checks import flag, integer, number


class EarlyStopping(Monitor):
    """Stop when the monitored value has not become better for some epochs.

    Args:
        monitor: a name in the logs. Default "val_loss".
        patience: epochs without improvement before it stops, >= 0; 0 is as 1. Default 10.
        min_delta: smallest change that counts, >= 0. Default 0.
        restore_best_weights: put the weights of the best epoch back at the end. Default True.
        mode: "min", "max", or "auto": as the metric says. Default "auto".
        baseline: a value; improvements that do not beat it do not give new patience. Default None.
        start_from_epoch: epochs of the fit that are not looked at, >= 0. Default 0.

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

    saved = (*Monitor.saved, "stopped_epoch", "_seen", "_waited", "_best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
        mode: Literal["auto", "min", "max"] = "auto",
        baseline: float | None = None,
        start_from_epoch: int = 0,
    ) -> None:
        kind = type(self).__name__
        super().__init__(monitor, min_delta, mode)
        self.patience = integer(kind, "patience", patience, low=0)
        self.restore_best_weights = flag(kind, "restore_best_weights", restore_best_weights)
        self.baseline = None if baseline is None else number(kind, "baseline", baseline)
        self.start_from_epoch = integer(kind, "start_from_epoch", start_from_epoch, low=0)

    @property
    def rule(self) -> str:
        """When it stops, in words."""
        return f"{self.monitor} has not become better for {max(1, self.patience)} epochs"

    @property
    def stop_reason(self) -> str | None:  # type: ignore[override]
        """Why it has stopped training."""
        return None if self.stopped_epoch is None else self.rule

    def forget(self) -> None:
        """Forget an earlier fit."""
        super().forget()
        self.stopped_epoch: int | None = None
        self._seen = self._waited = 0
        self._best_weights: list[Any] | None = None

    def on_train_begin(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Forget an earlier fit."""
        self.forget()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Compare, and stop when patience is over."""
        self._seen += 1
        if self._seen <= self.start_from_epoch:
            return
        improved = self.improved(epoch, logs)
        if self.restore_best_weights and (improved or self._best_weights is None):
            with self.model.averaged():  # which are those that validation sees
                self._best_weights = self.model.get_weights()
        self._waited += 1
        if improved:
            if self.baseline is None or self.better(self.best, self.baseline):
                self._waited = 0
        elif self._waited >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Put the best weights back."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
            self._best_weights = None
