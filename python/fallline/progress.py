"""Progress of a fit on the terminal: a bar, a line an epoch, or nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fallline.errors import message
from fallline.terminal import has_errors, say, someone_watches

if TYPE_CHECKING:
    from fallline.history import History


class Silent:
    """Shows nothing."""

    interval: ClassVar[float] = 0.1  # seconds after which advance() wants to be called
    by_epoch: ClassVar[bool] = False  # whether finish_epochs() wants to be called for each single one

    def advance(self, rows: int, loss: float) -> None:
        """Take note of rows that were used, and of the mean loss of the running epoch."""

    def finish_epochs(self, count: int, logs: Mapping[str, float]) -> None:
        """Take note of what the last of some epochs measured."""

    def resume(self, epochs: int, rows: int) -> None:
        """Take note of what an earlier process has done: epochs, and rows of the one after them."""

    def close(self) -> None:
        """Leave the terminal as it should stay."""


class Lines(Silent):
    """One line an epoch."""

    by_epoch = True

    def __init__(self, epochs: int | None) -> None:
        self._of = "" if epochs is None else f"/{epochs}"
        self._rows, self._epoch, self._start = 0, 0, time.perf_counter()

    def advance(self, rows: int, loss: float) -> None:  # noqa: ARG002
        """Count the rows."""
        self._rows += rows

    def finish_epochs(self, count: int, logs: Mapping[str, float]) -> None:
        """Print what the epoch measured, and its samples per second."""
        self._epoch += count
        now = time.perf_counter()
        rate, self._start, self._rows = self._rows / (now - self._start), now, 0
        measured = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
        say(f"epoch {self._epoch}{self._of}  {measured}  {rate:,.0f} samples/s")

    def resume(self, epochs: int, rows: int) -> None:  # noqa: ARG002
        """Go on counting epochs."""
        self._epoch = epochs


class Bar(Silent):
    """A bar over all epochs, with time left, samples per second and the latest measurements."""

    interval = 0.1

    def __init__(self, rows: int | None, epochs: int | None) -> None:
        from tqdm import tqdm

        self._rows, self._epochs, self._epoch = rows, epochs, 0
        self._measured: dict[str, str] = {}
        total = None if rows is None or epochs is None else rows * epochs
        self._bar: Any = tqdm(total=total, unit=" samples", unit_scale=True, dynamic_ncols=True)
        self._describe()

    def _describe(self) -> None:
        epoch, last = self._epoch + 1, self._epochs
        shown = f"epoch {epoch}" if last is None else f"epoch {min(epoch, last)}/{last}"
        self._bar.set_description(shown, refresh=False)

    def advance(self, rows: int, loss: float) -> None:
        """Move the bar."""
        if math.isfinite(loss):
            self._measured["loss"] = f"{loss:.4g}"
            self._bar.set_postfix(self._measured, refresh=False)
        self._bar.update(rows)

    def finish_epochs(self, count: int, logs: Mapping[str, float]) -> None:
        """Show what the last epoch measured."""
        self._epoch += count
        self._measured = {name: f"{value:.4g}" for name, value in logs.items()}
        self._bar.set_postfix(self._measured, refresh=False)
        self._describe()

    def resume(self, epochs: int, rows: int) -> None:
        """Begin where the earlier process was, without counting it into the speed."""
        self._epoch = epochs
        self._bar.initial = self._bar.n = epochs * (self._rows or 0) + rows
        self._describe()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def progress(verbose: Any, rows: int | None, epochs: int | None) -> Silent:
    """Return what shows the progress: 0 nothing, 1 a bar, 2 lines, "auto" a bar on a terminal only.

    Epochs have so many rows, and there are so many of them; None if nobody knows.
    """
    how = _how(verbose)
    return Silent() if how == 0 else Bar(rows, epochs) if how == 1 else Lines(epochs)


def _how(verbose: Any) -> int:
    """Return 0, 1 or 2; no bar where there is nothing to draw it on."""
    if verbose == "auto":
        return int(someone_watches())
    return 0 if verbose == 1 and not has_errors() else int(verbose)


def check_verbose(verbose: Any, operation: str) -> None:
    """Check that verbose is one of those that progress() takes."""
    known = isinstance(verbose, str | int | np.integer | np.bool_)
    if known and verbose in ("auto", 0, 1, 2):
        return
    kind = ValueError if known else TypeError
    raise kind(message(operation, "verbose", f"is {verbose!r}", "'auto', 0, 1 or 2"))


class SilentMany:
    """Shows nothing of many models."""

    interval: ClassVar[float] = math.inf

    def advance(self, left: Sequence[int], histories: Sequence[History]) -> None:
        """Take note of the epochs that each model has still to do, and of what it has measured."""

    def close(self) -> None:
        """Leave the terminal as it should stay."""


class LinesOfMany(SilentMany):
    """A line for each model that ends."""

    interval = 0.1

    def __init__(self, models: int) -> None:
        self._open = list(range(models))

    def advance(self, left: Sequence[int], histories: Sequence[History]) -> None:
        """Print what those that have ended measured last."""
        for i in [i for i in self._open if left[i] == 0]:
            record = histories[i]
            lists = record.history.items()
            measured = "  ".join(f"{name} {values[-1]:.4g}" for name, values in lists if values)
            why = f"  ({record.stop_reason})" if record.stop_reason else ""
            say(f"model {i}  {len(record.epoch)} epochs  {measured}{why}")
            self._open.remove(i)


class BarOfMany(SilentMany):
    """A bar over the epochs of all models, with time left."""

    interval = 0.1

    def __init__(self, epochs: Sequence[int]) -> None:
        from tqdm import tqdm

        self._models, self._epochs = len(epochs), sum(epochs)
        self._bar: Any = tqdm(total=self._epochs, unit=" epochs", unit_scale=True, dynamic_ncols=True)

    def advance(self, left: Sequence[int], histories: Sequence[History]) -> None:  # noqa: ARG002
        """Move the bar; epochs that early stopping spares count as done."""
        self._bar.set_description(f"model {left.count(0)}/{self._models}", refresh=False)
        self._bar.update(self._epochs - sum(left) - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def progress_of_many(verbose: Any, epochs: Sequence[int]) -> SilentMany:
    """Return what shows the progress of models with so many epochs each; verbose as for progress()."""
    how = _how(verbose)
    return SilentMany() if how == 0 else BarOfMany(epochs) if how == 1 else LinesOfMany(len(epochs))
