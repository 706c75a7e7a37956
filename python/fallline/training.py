"""The epoch loop: the core runs the batches, Python acts between them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fallline import _core
from fallline.callbacks import Callback
from fallline.checks import flag, integer, number
from fallline.data import Data
from fallline.errors import message, unknown
from fallline.history import History
from fallline.network import Network
from fallline.optimizers import Optimizer
from fallline.progress import Silent, check_verbose, progress

if TYPE_CHECKING:
    from fallline.typing import Array

OPERATION = "Model.fit"

# Batches whose rates a schedule is asked for at once.
SCHEDULED = 1024


class Plan(NamedTuple):
    """A fit whose every argument is checked."""

    network: _core.Network
    optimizer: Optimizer
    train: Data
    held_out: Data | None
    batch_size: int
    epochs: int
    shuffle: bool
    callbacks: tuple[Callback, ...]
    verbose: Any


def plan(
    model: Network,
    X: Any,
    y: Any,
    *,
    batch_size: int,
    epochs: int,
    validation_data: Sequence[Any] | None,
    validation_split: float,
    sample_weight: Any,
    class_weight: Any,
    shuffle: bool,
    callbacks: Sequence[Callback],
    verbose: Any,
) -> Plan:
    """Check everything before anything changes."""
    optimizer, _ = model._compiled(OPERATION)
    batch_size = integer(OPERATION, "batch_size", batch_size, low=1, high=2**31 - 1)
    epochs = integer(OPERATION, "epochs", epochs, low=0, high=2**63 - 1)
    check_verbose(verbose, OPERATION)
    flag(OPERATION, "shuffle", shuffle)

    network, train = model.data(X, y, sample_weight, OPERATION, class_weight=class_weight)
    train, held_out = _split(train, validation_split)
    if validation_data is not None:
        if held_out is not None:
            got = "is given beside validation_data"
            raise ValueError(message(OPERATION, "validation_split", got, "one of them"))
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            got = f"is a {type(validation_data).__name__}"
            raise TypeError(message(OPERATION, "validation_data", got, "(X, y) or (X, y, sample_weight)"))
        X_val, y_val, *weight = validation_data
        where = f"{OPERATION}(validation_data)"
        _, held_out = model.data(X_val, y_val, weight[0] if weight else None, where, network=network)

    optimizer.rate(network.step)
    acting = _checked_callbacks(callbacks, model, held_out is not None)
    return Plan(network, optimizer, train, held_out, batch_size, epochs, shuffle, acting, verbose)


def _split(data: Data, share: float) -> tuple[Data, Data | None]:
    share = number(OPERATION, "validation_split", share, low=0, below=1)
    if share == 0:
        return data, None
    n = len(data.x)
    kept = int(n * (1 - share))
    if not 0 < kept < n:
        got = f"is {share:g} of {n} rows"
        raise ValueError(message(OPERATION, "validation_split", got, "at least one row on each side"))
    parts = data.part(None, kept), data.part(kept, None)
    if data.weight is not None and not all(part.weight.any() for part in parts if part.weight is not None):
        got = f"is {share:g}, which leaves a side with weights that are all 0"
        raise ValueError(message(OPERATION, "validation_split", got, "a positive weight on each side"))
    return parts


def _checked_callbacks(callbacks: Any, model: Network, validated: bool) -> tuple[Callback, ...]:
    if isinstance(callbacks, Callback) or not np.iterable(callbacks):
        raise TypeError(message(OPERATION, "callbacks", f"is {callbacks!r}", "a list of Callback objects"))
    made = tuple(callbacks)
    names = ["loss", *(metric.name for metric in model.metrics)]
    names += [f"val_{name}" for name in names] if validated else []
    for i, callback in enumerate(made):
        if not isinstance(callback, Callback):
            got = f"is {callback!r}"
            raise TypeError(
                message(OPERATION, f"callbacks[{i}]", got, "a Callback object, e.g. EarlyStopping()")
            )
        if callback.monitor is not None and callback.monitor not in names:
            raise unknown(OPERATION, f"callbacks[{i}].monitor", callback.monitor, names)
    return made


def run(model: Network, plan: Plan) -> History:
    """Train as planned."""
    rows, outputs = len(plan.train.x), plan.network.outputs
    output = np.full((rows, outputs), np.nan, model.dtype) if model.metrics else None
    with closing(plan.network.trainer(*plan.train, plan.batch_size, plan.shuffle, output)) as trainer:
        model.adopt(plan.network)
        model.stop_training = False
        for callback in plan.callbacks:
            callback.model = model  # type: ignore[assignment]
        with closing(progress(plan.verbose, rows, plan.epochs)) as show:
            return _Loop(model, plan, trainer, output, show).run()


class _Loop:
    """Calls of the trainer, as long as nobody wants to act in between."""

    def __init__(
        self, model: Network, plan: Plan, trainer: _core.Trainer, output: Array | None, show: Silent
    ) -> None:
        self.model, self.plan, self.trainer, self.output, self.show = model, plan, trainer, output, show
        self.history = History()
        self.logs: dict[str, float] = {}
        self.resumed = plan.network.row > 0
        self.by_epoch = bool(plan.callbacks or plan.held_out or model.metrics or show.by_epoch)
        self.by_batch = any(type(c).on_batch_end is not Callback.on_batch_end for c in plan.callbacks)

    def run(self) -> History:
        """Run the epochs; a call of the trainer ends early at a signal, whose handler Python then runs."""
        network, callbacks = self.plan.network, self.plan.callbacks
        last = network.epoch + self.plan.epochs
        for callback in callbacks:
            callback.on_train_begin({})
        begun = -1
        while network.epoch < last and not self.model.stop_training:
            epoch = network.epoch
            if epoch != begun:
                for callback in callbacks:
                    callback.on_epoch_begin(epoch, {})
                begun = epoch
            losses = self._advance(1 if self.by_epoch else last - epoch)
            if self.by_epoch:
                for loss in losses:
                    self._finish_epoch(epoch, float(loss))
            elif len(losses):
                self.history.add_losses(epoch, losses)
                self.show.finish_epochs(len(losses), {"loss": float(losses[-1])})
        for callback in callbacks:
            callback.on_train_end(self.logs)
        return self.history

    def _advance(self, epochs: int) -> Array:
        """Make updates to the end of some epochs, or until rates, display or callbacks want to be asked."""
        network, trainer, n = self.plan.network, self.trainer, len(self.plan.train.x)
        epoch, row = network.epoch, network.row
        left = epochs * trainer.batches_per_epoch - row // self.plan.batch_size
        batches = 1 if self.by_batch else sys.maxsize
        rates = self.plan.optimizer.rates(network.step, min(left, batches, SCHEDULED))
        _, losses = trainer.run(rates, epochs, batches, self.show.interval)
        running = float(losses[-1]) if network.row == 0 and len(losses) else trainer.running_loss
        self.show.advance((network.epoch - epoch) * n + network.row - row, running)
        if self.by_batch:
            for callback in self.plan.callbacks:
                callback.on_batch_end(row // self.plan.batch_size, {"loss": running})
        return losses

    def _finish_epoch(self, epoch: int, loss: float) -> None:
        data, output = self.plan.train, self.output
        if self.resumed and output is not None:
            # The first epoch began in an earlier fit: its rows have no outputs here.
            seen = ~np.isnan(output[:, 0])
            data = Data(data.x, data.y[seen], None if data.weight is None else data.weight[seen])
            output = output[seen]
        self.resumed = False
        self.logs = {"loss": loss} | self.model.scores(data, output)
        if self.plan.held_out is not None:
            held_out = self.model.measure(self.plan.held_out)
            self.logs |= {f"val_{name}": value for name, value in held_out.items()}
        self.history.add(epoch, self.logs)
        self.show.finish_epochs(1, self.logs)
        for callback in self.plan.callbacks:
            callback.on_epoch_end(epoch, self.logs)
