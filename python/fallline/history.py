"""What a fit has measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fallline.typing import Float64Array


class History:
    """Measurements of each epoch.

    Args:
        names: what will be measured; without an epoch the lists are empty. Default none.

    Attributes:
        epoch: number of each epoch, counted from 0 over the whole life of the model.
        history: name -> list of floats, one per epoch: "loss", the metrics, "val_loss", ...
        stop_reason: why training ended before the last epoch it was asked for, or why the optimizer stopped by
            itself, in words; or None.

    Example:
        >>> record = History()
        >>> record.add(0, {"loss": 0.5})
        >>> record.history
        {'loss': [0.5]}
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {name: [] for name in names}
        self.stop_reason: str | None = None

    def add(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Append what one epoch measured."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))

    def add_losses(self, epoch: int, losses: Float64Array) -> None:
        """Append epochs, from the given one, that measured their loss only."""
        self.epoch.extend(range(epoch, epoch + len(losses)))
        self.history.setdefault("loss", []).extend(losses.tolist())

    def __repr__(self) -> str:
        return f"History(epochs={len(self.epoch)}, names={list(self.history)})"
