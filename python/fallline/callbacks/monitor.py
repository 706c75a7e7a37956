"""Callbacks that compare what one of the logs measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from fallline.callbacks.callback import Callback
from fallline.checks import choice, number
from fallline.errors import message


class Monitor(Callback):
    """Keeps the best value of a monitored log; one that is not a number is never better."""

    saved: ClassVar[tuple[str, ...]] = ("best", "best_epoch")

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        kind = type(self).__name__
        if not isinstance(monitor, str):
            raise TypeError(message(kind, "monitor", f"is {monitor!r}", "a name, e.g. 'val_loss'"))
        self.monitor: str = monitor
        self.min_delta = number(kind, "min_delta", min_delta, low=0)
        self.mode = choice(kind, "mode", mode, ("auto", "min", "max"))
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.best = math.nan
        self.best_epoch: int | None = None

    def better(self, value: float, other: float) -> bool:
        """Tell whether a value is better than another by more than min_delta; anything is better than nan."""
        sign = -1.0 if self._higher_is_better() else 1.0
        return not math.isnan(value) and not sign * value >= sign * other - self.min_delta

    def improved(self, epoch: int, logs: Mapping[str, float]) -> bool:
        """Tell whether the epoch is the best so far, and remember it."""
        value = logs[self.monitor]
        if not self.better(value, self.best):
            return False
        self.best, self.best_epoch = value, epoch
        return True

    def _higher_is_better(self) -> bool:
        name = self.monitor.removeprefix("val_")
        outputs = self.model.outputs or 1
        known = any(name in metric.keys(outputs) and metric.higher_is_better for metric in self.model.metrics)
        return self.mode == "max" or (self.mode == "auto" and known)
