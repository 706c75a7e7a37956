"""Saving the model while it trains."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal

from fallline import files
from fallline.callbacks.monitor import Monitor
from fallline.checks import file_path, flag, integer
from fallline.errors import message


class ModelCheckpoint(Monitor):
    """Save the model after epochs; the file is replaced as a whole, so a crash leaves the one before.

    Where the optimizer keeps an average of the weights, validation measures that; the file holds both, so that training
    can go on from it, and `with model.averaged():` shows what was measured.

    Args:
        path: where to; may hold names of the logs and the epoch, e.g.
            "{epoch:03d}-{val_loss:.3f}.safetensors". Missing folders are made.
        monitor: a name in the logs, for save_best_only. Default "val_loss".
        save_best_only: save only when the monitored value has become better. Default False.
        every: save after each so many epochs, >= 1. Default 1.
        mode: "min", "max", or "auto": as the metric says. Default "auto".

    Raises:
        OSError: in fit(), before it begins, the place cannot be written.
        ValueError: a number out of range; in fit(), before it begins, a monitor or a name in the path that is not
            measured.

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
            place = self._place(epoch, logs)
            files.make_folder(place)
            self.model.save(place)

    def _place(self, epoch: int, logs: Mapping[str, float]) -> str:
        return self.path.format(**{**logs, "epoch": epoch})

    def _prepare(self, measured: Sequence[str], logged: Sequence[str]) -> None:
        try:
            place = self._example(dict.fromkeys(measured, 0.5), logged)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            got = f"is {self.path!r}, which cannot be filled in ({error})"
            known = ", ".join(f"{{{name}}}" for name in ("epoch", *measured, *logged))
            raise ValueError(message("ModelCheckpoint", "path", got, f"names among {known}")) from None
        files.check_place(place)
        files.make_folder("".join(self.path.partition("{")[:2]))  # as far as they are known

    def _example(self, measured: Mapping[str, float], logged: Sequence[str]) -> str:
        """Return a path as it may come to be; what callbacks log may be integers."""
        try:
            return self._place(0, {**measured, **dict.fromkeys(logged, 0.5)})
        except ValueError:
            return self._place(0, {**measured, **dict.fromkeys(logged, 1)})
