"""What fit() was asked to do, checked before anything changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fallline import _core, batches, samplers
from fallline.batches import are_batches
from fallline.callbacks import BackupAndRestore, Callback
from fallline.checks import flag, integer, number
from fallline.data import ClassWeights, Data, rows_kept
from fallline.declaration import resolve
from fallline.errors import message, unknown
from fallline.frames import Names
from fallline.optimizers import FirstOrder, Minimizer
from fallline.progress import check_verbose
from fallline.samplers import Sampler
from fallline.samplers.sampler import Rows
from fallline.training import full_batch
from fallline.training.stream import BatchStream

if TYPE_CHECKING:
    from fallline.network import Network

OPERATION = "Model.fit"

BATCH_SIZE = 32


class Drawn(NamedTuple):
    """A sampler, and the core's for the rows at hand."""

    declared: Sampler
    core: _core.Sampler


class Plan(NamedTuple):
    """A fit whose every argument is checked."""

    network: _core.Network
    names: Names
    train: Data | BatchStream
    held_out: Data | Any  # or an iterable of batches, or None
    batch_size: int
    epochs: int | None  # None: until the optimizer stops by itself
    sampler: Drawn | None  # None for batches from an iterable
    max_seconds: float
    measured: tuple[str, ...]  # names of what an epoch measures
    callbacks: tuple[Callback, ...]
    verbose: Any


def plan(
    model: Network,
    X: Any,
    y: Any,
    *,
    batch_size: int | None,
    epochs: int | None,
    validation_data: Any,
    validation_split: float,
    sample_weight: Any,
    class_weight: Any,
    shuffle: bool,
    sampler: Any,
    steps_per_epoch: int | None,
    max_seconds: float | None,
    callbacks: Sequence[Callback],
    verbose: Any,
) -> Plan:
    """Check everything before anything changes."""
    course, _ = model._compiled(OPERATION, training=True)
    optimizers = [optimizer for optimizer, _ in course.stages]
    at_once = [optimizer for optimizer in optimizers if isinstance(optimizer, Minimizer)]
    size = (
        batch_size
        if batch_size is None
        else integer(OPERATION, "batch_size", batch_size, low=1, high=2**31 - 1)
    )
    if epochs is not None:
        epochs = integer(OPERATION, "epochs", epochs, low=0, high=2**63 - 1)
    elif not course.is_chain:
        epochs = at_once[0].max_iterations if at_once else 1
    check_verbose(verbose, OPERATION)
    chosen = _sampler(sampler, flag(OPERATION, "shuffle", shuffle))
    drawn = None
    seconds = math.inf if max_seconds is None else number(OPERATION, "max_seconds", max_seconds, above=0)
    steps = None if steps_per_epoch is None else integer(OPERATION, "steps_per_epoch", steps_per_epoch, low=1)
    share = number(OPERATION, "validation_split", validation_split, low=0, below=1)
    train: Data | BatchStream
    held_out: Any = None
    if y is None and are_batches(X):
        if at_once:
            expected = "arrays: each batch is another function to go down on"
            raise ValueError(message(OPERATION, "X", f"gives batches to {at_once[0]!r}", expected))
        batches.refuse_beside(
            OPERATION, sample_weight=sample_weight, sampler=sampler, validation_split=share or None
        )
        by_class = None if class_weight is None else ClassWeights(class_weight, part=True)
        train = BatchStream(X, steps, epochs, OPERATION, by_class)
        first = train.first()
        network, _ = model.data(
            *first, train.where(0), class_weight=by_class, measured=True, part=True, one_batch=True
        )
        names = model.names.learned(*first[:2])
    else:
        if steps is not None:
            got = f"is {steps} beside arrays"
            raise ValueError(message(OPERATION, "steps_per_epoch", got, "None, or X that gives batches"))
        by_class = None if class_weight is None else ClassWeights(class_weight, held_out=share)
        network, train = model.data(
            X, y, sample_weight, OPERATION, class_weight=by_class, measured=True, one_batch=bool(at_once)
        )
        names = model.names.learned(X, y)
        rows = len(train.x)
        train, held_out = _split(train, share)
        if train.weight is not None and not train.weight.any():
            got = "leaves no row a weight"
            raise ValueError(message(OPERATION, "class_weight", got, "a weight > 0 for some row"))
        drawn = Drawn(chosen, chosen.core(_rows(model, network, train, rows)))
    if validation_data is not None:
        if held_out is not None:
            got = "is given beside validation_data"
            raise ValueError(message(OPERATION, "validation_split", got, "one of them"))
        held_out = _held_out(model, validation_data, network, names)

    if at_once:
        full_batch.check(model, network, OPERATION)
    if at_once and sampler is not None and not course.is_chain:
        expected = f"None: {at_once[0]!r} sees all rows at once"
        raise ValueError(message(OPERATION, "sampler", f"is {chosen!r}", expected))
    rows = len(train.x) if isinstance(train, Data) else 0
    if at_once and not course.is_chain and size is not None and size < rows:
        got = f"is {size} of {rows} rows, for {at_once[0]!r}"
        expected = "None, for all rows: each batch is another function to go down on"
        raise ValueError(message(OPERATION, "batch_size", got, expected))
    if isinstance(course.optimizer, FirstOrder):
        course.optimizer.rate(network.step)
    measured = ("loss", *(key for metric in model.metrics for key in metric.keys(network.outputs)))
    if held_out is not None:
        measured += tuple(f"val_{name}" for name in measured)
    acting = _checked_callbacks(callbacks, measured)
    size = BATCH_SIZE if size is None else size
    return Plan(network, names, train, held_out, size, epochs, drawn, seconds, measured, acting, verbose)


def _sampler(given: Any, shuffle: bool) -> Sampler:
    if given is None:
        return samplers.Shuffled() if shuffle else samplers.Sequential()
    sampler = resolve(Sampler, given, OPERATION, "sampler")
    if not shuffle:
        got = f"is False beside sampler={sampler!r}"
        raise ValueError(message(OPERATION, "shuffle", got, "one of them: the sampler says what is drawn"))
    return sampler


def _rows(model: Network, network: _core.Network, train: Data, given: int) -> Rows:
    _, loss = model._compiled(OPERATION)
    obstacle = None
    if network.no_row_squares is not None:
        place, why = network.no_row_squares
        obstacle = f"layers[{place}], {model.layers[place]!r}, which {why}"
    return Rows(train.y, given, network.outputs, loss.of_one_class(network.outputs), obstacle)


def _held_out(model: Network, given: Any, network: _core.Network, names: Names) -> Any:
    """Return validation data: checked arrays, or batches of which the first is checked."""
    argument = "validation_data"
    if are_batches(given, labelled=True):
        batches_of = iter(given)
        if batches_of is given:
            got = f"is a {type(given).__name__}, which can be gone through once"
            raise ValueError(message(OPERATION, argument, got, "a list of batches, or what starts anew"))
        where = f"{OPERATION}({argument}[0])"
        for first in batches_of:
            parts = batches.unpacked(first, where)
            model.data(*parts, where, measured=True, part=True, network=network, names=names)
            return given
        raise batches.empty(OPERATION, argument)
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        got = f"is a {type(given).__name__}"
        raise TypeError(message(OPERATION, argument, got, "(X, y) or (X, y, sample_weight)"))
    X, y, *weight = given
    where = f"{OPERATION}({argument})"
    own = weight[0] if weight else None
    return model.data(X, y, own, where, measured=True, network=network, names=names)[1]


def _split(data: Data, share: float) -> tuple[Data, Data | None]:
    if share == 0:
        return data, None
    kept = rows_kept(len(data.x), share, OPERATION)
    parts = data.part(None, kept), data.part(kept, None)
    if data.weight is not None and not all(part.weight.any() for part in parts if part.weight is not None):
        got = f"is {share:g}, which leaves a side with weights that are all 0"
        raise ValueError(message(OPERATION, "validation_split", got, "a positive weight on each side"))
    return parts


def _checked_callbacks(callbacks: Any, measured: tuple[str, ...]) -> tuple[Callback, ...]:
    if isinstance(callbacks, Callback) or not np.iterable(callbacks):
        raise TypeError(message(OPERATION, "callbacks", f"is {callbacks!r}", "a list of Callback objects"))
    made = tuple(callbacks)
    names, logged = [*measured], [name for callback in made for name in getattr(callback, "logged", ())]
    for i, callback in enumerate(made):
        if not isinstance(callback, Callback):
            got = f"is {callback!r}"
            raise TypeError(
                message(OPERATION, f"callbacks[{i}]", got, "a Callback object, e.g. EarlyStopping()")
            )
        if callback.monitor is not None and callback.monitor not in names + logged:
            raise unknown(OPERATION, f"callbacks[{i}].monitor", callback.monitor, names + logged)
    backups = [callback for callback in made if isinstance(callback, BackupAndRestore)]
    if len(backups) > 1:
        got = f"has {len(backups)} of BackupAndRestore"
        raise ValueError(message(OPERATION, "callbacks", got, "one at most"))
    for callback in made:
        callback._prepare(names, logged)
    # A backup holds what the others have done.
    return (*(callback for callback in made if callback not in backups), *backups)
