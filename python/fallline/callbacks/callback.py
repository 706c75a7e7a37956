"""The base of callbacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fallline.declaration import written

if TYPE_CHECKING:
    from typing_extensions import Self

    from fallline._core import NonFiniteLoss
    from fallline.model import Model


class Callback:
    """Base of callbacks: fit() calls its methods; each does nothing unless a subclass defines it.

    Training runs in the core from one call to the next, so a callback that defines on_batch_end() slows down
    small networks. Epochs are counted from 0 over the whole life of the model, batches from 0 in each epoch.
    Set self.model.stop_training = True to stop. Callbacks act in the order of their list; a number that one
    writes into the logs of an epoch is seen by those after it and kept in the History.

    Attributes:
        model: the model being fitted, set by fit().
        monitor: a name that must be among the logs of each epoch, checked before training; None for none.
        logged: names that it writes into the logs of each epoch, so that others may monitor them.
        stop_reason: why it has stopped training, in words, which the History tells; None if it has not.
        saved: names of the attributes that get_state() returns.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> class Shout(fl.Callback):
        ...     def on_epoch_end(self, epoch, logs):
        ...         print("epoch", epoch, sorted(logs))
        >>> model = fl.Model([fl.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> _ = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, callbacks=[Shout()])
        epoch 0 ['loss']
        epoch 1 ['loss']
    """

    model: Model
    monitor: str | None = None
    stop_reason: str | None = None
    logged: tuple[str, ...] = ()
    saved: ClassVar[tuple[str, ...]] = ()
    _call: tuple[tuple[Any, ...], dict[str, Any]] = (), {}

    def _prepare(self, measured: Sequence[str], logged: Sequence[str]) -> None:
        """Look at the places that it will write to, and make missing folders; the last before fit() begins.

        Args:
            measured: names of numbers that are in the logs of each epoch.
            logged: those that callbacks put beside them.
        """

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """Remember the call, to print it."""
        made = super().__new__(cls)
        made._call = arguments, options
        return made

    def __init__(self) -> None:
        """Take no arguments, unless a subclass does."""

    def __repr__(self) -> str:
        arguments, options = self._call
        told = [*map(written, arguments), *(f"{name}={written(value)}" for name, value in options.items())]
        return f"{type(self).__name__}({', '.join(told)})"

    def on_train_begin(self, logs: dict[str, float]) -> None:
        """Act before the first epoch; logs is empty."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        """Act before an epoch; logs is empty."""

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Act after an update; logs has the mean "loss" of the epoch so far."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Act after an epoch; logs has "loss", the metrics, "val_loss", ..."""

    def on_train_end(self, logs: dict[str, float]) -> None:
        """Act after the last epoch, with its logs; not called when fit() raises."""

    def on_non_finite(self, error: NonFiniteLoss) -> bool:  # noqa: ARG002
        """Act on a loss that is nan or infinite; return True to end training instead of raising the error."""
        return False

    def get_state(self) -> dict[str, Any]:
        """Return what BackupAndRestore keeps: numbers, strings, None, arrays, and lists and dicts of them."""
        return {name: getattr(self, name) for name in self.saved}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a get_state(), after on_train_begin()."""
        for name in self.saved:
            setattr(self, name, state[name])

    @property
    def acts_on_batches(self) -> bool:
        """Whether on_batch_end() wants to be called."""
        return type(self).on_batch_end is not Callback.on_batch_end
