"""The logs as curves of TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from fallline import files
from fallline.callbacks.callback import Callback
from fallline.checks import file_path
from fallline.extras import require


class TensorBoard(Callback):
    """Write the logs of each epoch for TensorBoard; needs the extra "tensorboard".

    Training goes to folder/train and validation to folder/validation, under the same names, so that both are
    curves of one chart.

    Args:
        folder: where to; a folder of its own for each run tells runs apart.

    Raises:
        OSError: in fit(), before it begins, the folder cannot be made or written to.
        ImportError: in fit(), the extra is not installed.
        TypeError: a folder that is no path.

    Example:
        >>> import fallline as fl
        >>> fl.TensorBoard("runs/first").folder
        'runs/first'
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = file_path("TensorBoard", "folder", folder)
        self._writers: dict[str, Any] = {}

    def _prepare(self, measured: Sequence[str], logged: Sequence[str]) -> None:  # noqa: ARG002
        files.check_folder(self.folder)

    def on_train_begin(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """See that the extra is there."""
        require("tensorboardX", "tensorboard", "TensorBoard")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write each log as a point."""
        for name, value in logs.items():
            side = "validation" if name.startswith("val_") else "train"
            if side not in self._writers:
                module = require("tensorboardX", "tensorboard", "TensorBoard")
                self._writers[side] = module.SummaryWriter(f"{self.folder}/{side}")
            self._writers[side].add_scalar(name.removeprefix("val_"), value, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
