"""The logs as a table in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fallline.callbacks.callback import Callback
from fallline.checks import file_path, flag
from fallline.errors import message

if TYPE_CHECKING:
    from pathlib import Path


FORBIDDEN = '\n\r.+-_"'


class CSVLogger(Callback):
    """Write the logs of each epoch as a line of a CSV file, whole and at once; numbers read back exactly.

    The first line names the columns: epoch, loss, the metrics, val_loss, ...

    Args:
        path: the file.
        append: go on below what the file holds, instead of beginning it anew. Default False.
        separator: one character between the columns. Default ",".

    Raises:
        OSError: in fit(), the place cannot be written.
        ValueError: in fit(), logs that are not those of the columns that the file has.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import fallline as fl
        >>> model = fl.Model([fl.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", "mse")
        >>> _ = model.fit(np.ones((4, 2)), np.ones(4), callbacks=[fl.CSVLogger("log.csv")])
        >>> print(Path("log.csv").read_text())
        epoch,loss
        0,1.0
        <BLANKLINE>
    """

    def __init__(self, path: str | os.PathLike[str], *, append: bool = False, separator: str = ",") -> None:
        self.path = file_path("CSVLogger", "path", path)
        self.append = flag("CSVLogger", "append", append)
        expected = "one character that is in no number, e.g. ',' or '\\t'"
        if not isinstance(separator, str):
            raise TypeError(message("CSVLogger", "separator", f"is {separator!r}", expected))
        if len(separator) != 1 or separator.isalnum() or separator in FORBIDDEN:
            raise ValueError(message("CSVLogger", "separator", f"is {separator!r}", expected))
        self.separator = separator
        self._columns: list[str] | None = None

    def on_train_begin(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """See that the file can be written; an old one is replaced when the first epoch has ended."""
        self._columns = None
        with self._file().open("a"):
            pass

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the line."""
        columns = ["epoch", *logs]
        if self._columns is None and self.append:
            self._columns = self._header()
        begun = self._columns is not None
        self._columns = self._columns or columns
        if sorted(columns) != sorted(self._columns):
            expected = f"{self._columns}, the columns of {self.path!r}"
            raise ValueError(message("CSVLogger", "logs", f"are {columns}", expected))
        lines = [] if begun else [self._columns]
        lines.append([str(epoch) if name == "epoch" else repr(float(logs[name])) for name in self._columns])
        with self._file().open("a" if begun else "w", encoding="utf-8") as file:
            file.write("".join(f"{self.separator.join(line)}\n" for line in lines))

    def _file(self) -> Path:
        from pathlib import Path

        return Path(self.path)

    def _header(self) -> list[str] | None:
        """Return the columns of the file, or None if it is empty."""
        with self._file().open(encoding="utf-8") as file:
            line = file.readline().rstrip("\n")
        return line.split(self.separator) if line else None

    def get_state(self) -> dict[str, Any]:
        """Return the columns, and how long the file is."""
        size = None if self._columns is None else self._file().stat().st_size
        return {"columns": self._columns, "size": size}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Cut the file where it was, as later lines will be written again."""
        if state["size"] is None:
            return
        size = self._file().stat().st_size
        if size < state["size"]:
            got = f"is {self.path!r}, of {size} bytes"
            expected = f"the file of the run that goes on, of at least {state['size']}"
            raise ValueError(message("CSVLogger", "path", got, expected))
        os.truncate(self.path, state["size"])
        self._columns = state["columns"]
