"""The epoch loop: the core runs the batches, Python acts between them."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fallline import _core, batches
from fallline.callbacks import BackupAndRestore
from fallline.data import Data
from fallline.errors import message
from fallline.history import History
from fallline.optimizers import FirstOrder
from fallline.progress import Silent, progress
from fallline.training import backup
from fallline.training.arrays import ArrayTrainer
from fallline.training.full_batch import FullBatchTrainer
from fallline.training.plan import OPERATION, Drawn, Plan
from fallline.training.stream import StreamTrainer

if TYPE_CHECKING:
    from fallline.model import Model
    from fallline.optimizers import Course
    from fallline.typing import Float64Array


def run(model: Model, plan: Plan) -> History:
    """Train as planned."""
    saved, first = None, plan.network.epoch
    backups = [callback for callback in plan.callbacks if isinstance(callback, BackupAndRestore)]
    for callback in backups:
        # A model that was interrupted in the fit has gone on from where it began.
        begun = first if model._unfinished is None else model._unfinished
        read = backup.read(callback.path, model, _identity(plan, begun))
        if read is not None:
            (restored, saved), first = read, begun
            vars(model).update(vars(restored))
            plan = plan._replace(network=model._built(OPERATION))
    with closing(Fit(model, plan, first)) as fit:
        model.adopt(plan.network, plan.names)
        model.stop_training = False
        model._unfinished = first if backups else None
        history = fit.run(saved)
    model._unfinished = None
    return history


def _trainer(model: Model, plan: Plan) -> ArrayTrainer | StreamTrainer | FullBatchTrainer:
    """Return what runs the batches for the optimizer that is at work."""
    course, _ = model._compiled(OPERATION)
    network, data = plan.network, plan.train
    if course.minimizer is not None and isinstance(data, Data):
        return FullBatchTrainer(model, network, data, course.minimizer)
    optimizer = cast("FirstOrder", course.optimizer)
    if isinstance(data, Data):
        return ArrayTrainer(model, network, data, optimizer, plan.batch_size, cast("Drawn", plan.sampler))
    return StreamTrainer(model, network, data, optimizer)


def _identity(plan: Plan, first: int) -> dict[str, Any]:
    """Return what a fit that goes on must have in common with the one before."""
    arrays = isinstance(plan.train, Data)
    return {
        "inputs": plan.network.inputs,
        "names": plan.names.plain(),
        "first_epoch": first,
        "rows": len(plan.train.x) if isinstance(plan.train, Data) else None,
        "batch_size": plan.batch_size if arrays else None,
        "sampler": repr(plan.sampler.declared) if plan.sampler else None,
    }


class Fit:
    """A fit under way: calls of the trainer, as long as nobody wants to act in between."""

    def __init__(self, model: Model, plan: Plan, first: int) -> None:
        self.model, self.plan = model, plan
        self.trainer = _trainer(model, plan)
        self.show: Silent = progress(plan.verbose, self.trainer.rows_per_epoch, plan.epochs)
        logged = (name for callback in plan.callbacks for name in callback.logged)
        self.history = History([*plan.measured, *logged])
        self.logs: dict[str, float] = {}
        self._first = first
        self._begun = -1  # the epoch whose beginning callbacks were told
        self._by_epoch = bool(plan.callbacks or plan.held_out or model.metrics or self.show.by_epoch)
        self._by_batch = any(callback.acts_on_batches for callback in plan.callbacks)
        self._until = time.perf_counter() + plan.max_seconds

    @property
    def within_epoch(self) -> bool:
        """Whether an epoch has begun and not ended."""
        return self.plan.network.row > 0

    def run(self, saved: Mapping[str, Any] | None) -> History:
        """Run the epochs; a call of the trainer ends early at a signal, whose handler Python then runs."""
        network, callbacks, history = self.plan.network, self.plan.callbacks, self.history
        for callback in callbacks:
            callback.model = self.model
            if isinstance(callback, BackupAndRestore):
                callback.fit = self
        for callback in callbacks:
            callback.on_train_begin({})
        if saved is not None:
            self.set_state(saved)
        while self._left > 0 and not self.model.stop_training and time.perf_counter() < self._until:
            if not self._ready():
                break
            epoch = network.epoch
            if epoch != self._begun:
                self._begun = epoch
                for callback in callbacks:
                    callback.on_epoch_begin(epoch, {})
                continue  # or end
            try:
                losses = self._advance(1 if self._by_epoch else self._course.left(self._left))
            except _core.NonFiniteLoss as error:
                handled = [callback.on_non_finite(error) for callback in callbacks]
                if not any(handled):
                    raise
                history.stop_reason = self._told or str(error)
                self._finish_epoch(epoch, dict.fromkeys(self.plan.measured, math.nan))
                break
            if self._by_epoch:
                for loss in losses:
                    self._finish_epoch(epoch, self._measure(float(loss)))
            elif len(losses):
                history.add_losses(epoch, losses)
                self.show.finish_epochs(len(losses), {"loss": float(losses[-1])})
        history.stop_reason = history.stop_reason or self._stop_reason()
        for callback in callbacks:
            callback.on_train_end(self.logs)
        return history

    @property
    def _left(self) -> int:
        """Epochs still to do."""
        return sys.maxsize if self.plan.epochs is None else self.plan.epochs - len(self.history.epoch)

    @property
    def _told(self) -> str | None:
        """What the first callback that has stopped training says why."""
        return next((each.stop_reason for each in self.plan.callbacks if each.stop_reason), None)

    def _stop_reason(self) -> str | None:
        """Return why training ends here; None if all epochs are done. The rest of a chain is for the next fit."""
        if self.model.stop_training:
            return self._told or self.trainer.ended or "stop_training was set"
        if self._left > 0:
            return "max_seconds are over"
        return self.trainer.ended if self._course.next() is None else None

    @property
    def _course(self) -> Course:
        return self.model._compiled(OPERATION)[0]

    @property
    def _rule(self) -> FirstOrder | None:
        optimizer = self._course.optimizer
        return optimizer if isinstance(optimizer, FirstOrder) else None

    def _ready(self) -> bool:
        """Go on to the next stage of a chain where one is over; False if nothing is left to do."""
        while self.trainer.ended or self._course.is_over():
            after = self._course.next()
            if after is None:
                self.history.stop_reason = self.trainer.ended or "the chain is at its end"
                return False
            self.trainer.close()
            self.model._enter(after)
            self.trainer = _trainer(self.model, self.plan)
        return True

    def close(self) -> None:
        """Let go of the model, the data and the terminal."""
        self.show.close()
        self.trainer.close()
        for callback in self.plan.callbacks:
            vars(callback).pop("fit", None)  # with all the data

    def _advance(self, epochs: int) -> Float64Array:
        """Make updates to the end of some epochs, or until rates, display or callbacks want to be asked."""
        network, trainer, batch = self.plan.network, self.trainer, self.trainer.batch
        seconds = min(self.show.interval, self._until - time.perf_counter())
        try:
            rows = trainer.run(epochs, 1 if self._by_batch else sys.maxsize, seconds)
        finally:
            losses = trainer.losses
            self._course.count(losses)
        running = float(losses[-1]) if network.row == 0 and len(losses) else trainer.running_loss
        self.show.advance(rows, running)
        if self._by_batch and rows:
            for callback in self.plan.callbacks:
                callback.on_batch_end(batch, {"loss": running})
        return losses

    def _measure(self, loss: float) -> dict[str, float]:
        logs = {"loss": loss} | self.model.scores(*self.trainer.measured())
        held_out = self.plan.held_out
        if held_out is not None:
            with self.model.averaged():
                scores = (
                    self.model.measure(held_out)
                    if isinstance(held_out, Data)
                    else batches.measure(self.model, held_out, OPERATION, "validation_data")
                )
            logs |= {f"val_{name}": value for name, value in scores.items()}
        return logs

    def _finish_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        self.logs, self._begun = logs, -1
        backups = [c for c in self.plan.callbacks if isinstance(c, BackupAndRestore)]
        for callback in self.plan.callbacks:
            if callback not in backups:
                callback.on_epoch_end(epoch, self.logs)
        for name, value in self.logs.items():
            if not isinstance(value, float | int | np.number | np.bool_):
                raise TypeError(message(OPERATION, f"logs[{name!r}]", f"is {value!r}", "a number"))
        self.history.add(epoch, self.logs)
        self.show.finish_epochs(1, self.logs)
        for callback in backups:
            callback.on_epoch_end(epoch, self.logs)

    def save(self, path: str) -> None:
        """Write the model and the state of the fit."""
        backup.write(path, self.model, self.get_state())

    def get_state(self) -> dict[str, Any]:
        """Return all that the rest of the fit depends on, beside the model."""
        rate = None if self._rule is None else self._rule.learning_rate
        return {
            **_identity(self.plan, self._first),
            "begun": self._begun,
            "epoch": self.history.epoch,
            "history": self.history.history,
            "logs": self.logs,
            "learning_rate": None if callable(rate) else rate,
            "stop_training": self.model.stop_training,
            "trainer": self.trainer.get_state(),
            "callbacks": [[type(c).__name__, state] for c, state in self._states()],
        }

    def _states(self) -> list[tuple[Any, dict[str, Any]]]:
        states = [(callback, callback.get_state()) for callback in self.plan.callbacks]
        return [(callback, state) for callback, state in states if state]

    def set_state(self, saved: Mapping[str, Any]) -> None:
        """Go on from a get_state() of the same fit."""
        callbacks = [callback for callback, _ in self._states()]
        names = [type(callback).__name__ for callback in callbacks]
        before = [name for name, _ in saved["callbacks"]]
        if names != before:
            got = f"are {names}"
            expected = f"{before}, as in the run that goes on"
            raise ValueError(message(OPERATION, "callbacks", got, expected))
        for callback, (_, state) in zip(callbacks, saved["callbacks"], strict=True):
            callback.set_state(state)
        self.trainer.set_state(saved["trainer"])
        self._begun, self.logs = saved["begun"], dict(saved["logs"])
        self.history.epoch, self.history.history = saved["epoch"], saved["history"]
        if saved["learning_rate"] is not None and self._rule is not None:
            self._rule.learning_rate = saved["learning_rate"]
        self.model.stop_training = saved["stop_training"]
        self.show.resume(len(self.history.epoch), self.plan.network.row)
