"""One row per callback: class, arguments for a fit in some folder, bad arguments, what it shows afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import fallline as fl

MONITOR = (
    ({"monitor": 3}, TypeError, "monitor"),
    ({"monitor": None}, TypeError, "monitor"),
    ({"mode": "best"}, ValueError, "mode"),
    ({"mode": 1}, TypeError, "mode"),
)
PATIENCE = (
    ({"patience": -1}, ValueError, "patience"),
    ({"patience": 1.5}, TypeError, "patience"),
    ({"min_delta": -1.0}, ValueError, "min_delta"),
    ({"min_delta": "x"}, TypeError, "min_delta"),
)
PATH = (
    ({"path": 3}, TypeError, "path"),
    ({"path": b"bytes"}, TypeError, "path"),
    ({"path": ""}, ValueError, "path"),
)


@dataclass(frozen=True)
class CallbackCase:
    make: type
    options: Callable  # of a folder: arguments for a fit of 5 epochs with validation data
    bad: tuple[tuple[dict, type, str], ...]  # (arguments, exception, regex)
    shows: tuple[str, ...] = ()  # attributes that tell what happened
    watches: bool = True  # changes neither weights nor when training ends
    needs: str | None = None  # module of an extra

    @property
    def name(self):
        return self.make.__name__


def nothing(*_):
    """A function for callbacks; pickles."""


def falling(epoch, rate):
    """A rate that depends on the one before."""
    return rate * 0.7 if epoch % 2 else rate


CALLBACKS = [
    CallbackCase(
        fl.EarlyStopping,
        lambda folder: {"monitor": "accuracy", "patience": 1, "min_delta": 0.06},
        bad=(
            *MONITOR,
            *PATIENCE,
            ({"restore_best_weights": "yes"}, TypeError, "restore_best_weights"),
            ({"baseline": "low"}, TypeError, "baseline"),
            ({"baseline": float("nan")}, ValueError, "baseline"),
            ({"start_from_epoch": -1}, ValueError, "start_from_epoch"),
            ({"start_from_epoch": 0.5}, TypeError, "start_from_epoch"),
        ),
        shows=("best", "best_epoch", "stopped_epoch"),
        watches=False,
    ),
    CallbackCase(
        fl.ModelCheckpoint,
        lambda folder: {"path": folder / "best.safetensors", "save_best_only": True},
        bad=(
            *(({"path": "m", **bad}, exception, match) for bad, exception, match in MONITOR),
            *PATH,
            ({"path": "m", "save_best_only": 1}, TypeError, "save_best_only"),
            ({"path": "m", "every": 0}, ValueError, "every"),
            ({"path": "m", "every": 1.5}, TypeError, "every"),
        ),
        shows=("best", "best_epoch"),
    ),
    CallbackCase(
        fl.LearningRateScheduler,
        lambda folder: {"function": falling},
        bad=(({"function": 0.1}, TypeError, "function"), ({"function": None}, TypeError, "function")),
        watches=False,
    ),
    CallbackCase(
        fl.ReduceLROnPlateau,
        lambda folder: {"monitor": "loss", "patience": 1, "min_delta": 0.4, "factor": 0.5, "cooldown": 1},
        bad=(
            *MONITOR,
            *PATIENCE,
            ({"factor": 0.0}, ValueError, "factor"),
            ({"factor": 1.0}, ValueError, "factor"),
            ({"factor": "half"}, TypeError, "factor"),
            ({"cooldown": -1}, ValueError, "cooldown"),
            ({"cooldown": "long"}, TypeError, "cooldown"),
            ({"min_lr": -1e-3}, ValueError, "min_lr"),
            ({"min_lr": None}, TypeError, "min_lr"),
        ),
        shows=("best", "best_epoch"),
        watches=False,
    ),
    CallbackCase(
        fl.CSVLogger,
        lambda folder: {"path": folder / "log.csv"},
        bad=(
            *PATH,
            ({"path": "log.csv", "append": 1}, TypeError, "append"),
            ({"path": "log.csv", "separator": ""}, ValueError, "separator"),
            ({"path": "log.csv", "separator": ", "}, ValueError, "separator"),
            ({"path": "log.csv", "separator": "."}, ValueError, "separator"),
            ({"path": "log.csv", "separator": "e"}, ValueError, "separator"),
            ({"path": "log.csv", "separator": None}, TypeError, "separator"),
        ),
    ),
    CallbackCase(
        fl.LambdaCallback,
        lambda folder: {"on_epoch_end": nothing, "on_batch_end": nothing},
        bad=tuple(
            ({moment: "print"}, TypeError, moment)
            for moment in ("on_epoch_begin", "on_epoch_end", "on_batch_end", "on_train_begin", "on_train_end")
        ),
    ),
    CallbackCase(
        fl.TerminateOnNonFinite,
        lambda folder: {"monitor": "val_loss"},
        bad=tuple(row for row in MONITOR if row[0] != {"monitor": None}),
        shows=("best", "best_epoch", "stopped_epoch", "restored_epoch", "reason"),
    ),
    CallbackCase(
        fl.BackupAndRestore,
        lambda folder: {"path": folder / "fit.safetensors", "every_batches": 3},
        bad=(
            *PATH,
            ({"path": "fit", "every": 0}, ValueError, "every"),
            ({"path": "fit", "every": None}, TypeError, "every"),
            ({"path": "fit", "every_batches": 0}, ValueError, "every_batches"),
            ({"path": "fit", "every_batches": 2.5}, TypeError, "every_batches"),
        ),
    ),
    CallbackCase(
        fl.TensorBoard,
        lambda folder: {"folder": folder / "runs"},
        bad=tuple(({"folder": bad["path"]}, exception, "folder") for bad, exception, _ in PATH),
        needs="tensorboardX",
    ),
]


def label(value):
    """A short id of a row for pytest."""
    return value.name if isinstance(value, CallbackCase) else None
