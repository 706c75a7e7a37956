"""Training that survives the end of its process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fallline import files
from fallline.callbacks.callback import Callback
from fallline.checks import file_path, integer
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.training.loop import Fit


class BackupAndRestore(Callback):
    """Keep the whole state of a fit in a file, so that the same script, started again, goes on from it.

    The file holds weights, optimizer state, counters, History, the state of the other callbacks and, within
    an epoch, what it has measured so far; a run that was killed ends with the same bits as one that was not.
    It is replaced as a whole, so a crash leaves the one before, and deleted when the fit has ended. This
    callback acts after all others, wherever it stands in the list. In one process, too, a fit that an exception
    has ended goes on from the file when it is called again, with the same model or one declared alike.

    What random numbers the script itself draws, and functions (a schedule, a metric), are not in the file. An
    iterable of batches must give the same batches again; those used before are read and passed over.

    Args:
        path: the file; each fit of a script needs one of its own. Missing folders are made.
        every: save after each so many epochs, >= 1. Default 1.
        every_batches: save also after each so many batches of an epoch, >= 1. Default None.

    Raises:
        OSError: in fit(), before it begins, the place cannot be written.
        ValueError: a number out of range; in fit(), a file of another model or fit.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> def script(power_cut):
        ...     model = fl.Model([fl.Dense(1)], seed=0)
        ...     model.compile("adam", "mse")
        ...     callbacks = [fl.BackupAndRestore("fit.safetensors")]
        ...     if power_cut:
        ...         callbacks.append(fl.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch == 2 and 1 / 0))
        ...     return model.fit(np.ones((4, 2)), np.ones(4), epochs=5, callbacks=callbacks).history
        >>> script(power_cut=True)
        Traceback (most recent call last):
        ...
        ZeroDivisionError: division by zero
        >>> resumed = script(power_cut=False)
        >>> resumed == script(power_cut=False)
        True
    """

    fit: Fit

    def __init__(
        self, path: str | os.PathLike[str], *, every: int = 1, every_batches: int | None = None
    ) -> None:
        kind = "BackupAndRestore"
        self.path = file_path(kind, "path", path)
        self.every = integer(kind, "every", every, low=1)
        self.every_batches = (
            None if every_batches is None else integer(kind, "every_batches", every_batches, low=1)
        )

    @property
    def acts_on_batches(self) -> bool:
        """Whether it saves within epochs."""
        return self.every_batches is not None

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Save, if it is time; the end of an epoch is on_epoch_end()'s."""
        if self.every_batches and (batch + 1) % self.every_batches == 0 and self.fit.within_epoch:
            self.fit.save(self.path)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Save, if it is time."""
        if (epoch + 1) % self.every == 0:
            self.fit.save(self.path)

    def on_train_end(self, logs: dict[str, float]) -> None:  # noqa: ARG002
        """Delete the file."""
        files.delete(self.path)

    def _prepare(self, measured: Sequence[str], logged: Sequence[str]) -> None:  # noqa: ARG002
        files.check_place(self.path)
        if not files.can_be_read_back(self.path):
            got = f"is {self.path!r}, a device or a pipe"
            raise ValueError(message("BackupAndRestore", "path", got, "a file, which can be read again"))
        files.make_folder(self.path)
