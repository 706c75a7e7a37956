"""Ending a training that has blown up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fallline.callbacks.monitor import Monitor

if TYPE_CHECKING:
    from fallline._core import NonFiniteLoss


class TerminateOnNonFinite(Monitor):
    """End training without an error when the loss is nan or infinite, with the last good weights.

    The model goes back to where it was after the last epoch that left finite weights, or after the best
    one: weights, optimizer state and counters; so a fit with a smaller learning rate can go on from there.
    Without this callback fit() raises NonFiniteLoss, and the weights are those before the batch. The epoch in which
    it happens is the last in the History and the logs, with nan for what was not measured.

    Args:
        monitor: a name in the logs; the epoch with its best value is gone back to. Default None: the last.
        mode: "min", "max", or "auto": as the metric says. Default "auto".

    Attributes:
        stopped_epoch: the epoch in which it ended training, or None.
        restored_epoch: the epoch after which the weights are; None for those from before the fit.
        reason: what was not finite, and where; or None.

    Raises:
        TypeError: a monitor that is no name.
        ValueError: in fit(), a monitor that is not measured.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> guard = fl.TerminateOnNonFinite()
        >>> model = fl.Model([fl.Dense(1)], seed=0)
        >>> model.compile(fl.SGD(1e30), "mse")
        >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=9, callbacks=[guard])
        >>> guard.stopped_epoch is not None, np.isfinite(model.layers[0].kernel).all()
        (True, np.True_)
    """

    saved = (*Monitor.saved, "stopped_epoch", "restored_epoch", "reason", "_good")

    def __init__(self, monitor: str | None = None, *, mode: Literal["auto", "min", "max"] = "auto") -> None:
        super().__init__("loss" if monitor is None else monitor, 0.0, mode)
        self.last = monitor is None

    @property
    def stop_reason(self) -> str | None:  # type: ignore[override]
        """Why it has stopped training."""
        return self.reason

    def forget(self) -> None:
        """Forget an earlier fit."""
        super().forget()
        self.stopped_epoch: int | None = None
        self.restored_epoch: int | None = None
        self.reason: str | None = None
        self._good: dict[str, Any] | None = None

    def on_train_begin(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Remember where the model is before the first epoch."""
        self.forget()
        self._good = self.model.get_state()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Remember a good epoch; end training if the weights are not finite."""
        if self.stopped_epoch is not None:
            return  # it has gone back already
        state = self.model.get_state()
        if not all(np.isfinite(array).all() for array in state["arrays"].values()):
            self._end(epoch, f"the weights or the optimizer's state are not finite after epoch {epoch}")
        elif self.improved(epoch, logs) or self.last:
            self._good, self.restored_epoch = state, epoch

    def on_non_finite(self, error: NonFiniteLoss) -> bool:
        """End training."""
        self._end(self.model.get_state()["epoch"], str(error))
        return True

    def on_train_end(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Let go of the memory."""
        self._good = None

    def _end(self, epoch: int, reason: str) -> None:
        self.stopped_epoch, self.reason = epoch, reason
        self.model.stop_training = True
        if self._good is not None:
            self.model.set_state(self._good)
