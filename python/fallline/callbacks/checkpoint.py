"""Saving the model while it trains."""

from __future__ import annotations

import os
from typing import Literal

from fallline.callbacks.monitor import Monitor
from fallline.checks import file_path, flag, integer


class ModelCheckpoint(Monitor):
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
        *,
        save_best_only: bool = False,
        every: int = 1,
        mode: Literal["auto", "min", "max"] = "auto",
    ) -> None:
        super().__init__(monitor, 0.0, mode)
        self.path = file_path("ModelCheckpoint", "path", path)
        self.save_best_only = flag("ModelCheckpoint", "save_best_only", save_best_only)
        self.every = integer("ModelCheckpoint", "every", every, low=1)
        if not save_best_only:
            self.monitor = None  # type: ignore[assignment]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Save, if it is time and worth it."""
        if (epoch + 1) % self.every == 0 and (not self.save_best_only or self.improved(epoch, logs)):
            self.model.save(self.path.format(epoch=epoch, **logs))
