"""What fit_many() was asked to do, checked before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fallline import _core
from fallline.callbacks import EarlyStopping
from fallline.checks import integer
from fallline.data import Data, as_rows, as_targets, as_weights, check_batch
from fallline.errors import message, unknown
from fallline.frames import Names
from fallline.model import Model
from fallline.optimizers import FirstOrder, Minimizer
from fallline.training import full_batch
from fallline.training.plan import BATCH_SIZE

if TYPE_CHECKING:
    from fallline.losses import Loss
    from fallline.optimizers import Course

OPERATION = "fit_many"


class Plan(NamedTuple):
    """The fit of one model."""

    network: _core.Network
    names: Names
    course: Course
    train: Data
    held_out: Data | None
    batch_size: int
    epochs: int


def checked_models(models: Any) -> list[Model]:
    """Return the models as a list, each of them once."""
    if isinstance(models, Model | str) or not np.iterable(models):
        raise TypeError(message(OPERATION, "models", f"is {models!r}", "a list of compiled models"))
    made = list(models)
    if not made:
        raise ValueError(message(OPERATION, "models", "is empty", "at least one model"))
    places: dict[int, int] = {}
    for i, model in enumerate(made):
        if not isinstance(model, Model):
            raise TypeError(message(OPERATION, f"models[{i}]", f"is {model!r}", "a compiled Model"))
        first = places.setdefault(id(model), i)
        if first != i:
            got = f"is models[{first}] once more"
            raise ValueError(message(OPERATION, f"models[{i}]", got, "each model once"))
    return made


def patience(stopping: Any, validated: bool) -> dict[str, Any] | None:
    """Return the rule of an EarlyStopping as the core reads it."""
    if stopping is None:
        return None
    if type(stopping) is not EarlyStopping:
        raise TypeError(message(OPERATION, "early_stopping", f"is {stopping!r}", "an EarlyStopping or None"))
    known = ["loss", "val_loss"] if validated else ["loss"]
    if stopping.monitor not in known:
        raise unknown(OPERATION, "early_stopping.monitor", stopping.monitor, known)
    return {
        "of_validation": stopping.monitor == "val_loss",
        "higher_is_better": stopping.mode == "max",
        "restores": stopping.restore_best_weights,
        "epochs": stopping.patience,
        "start_from": stopping.start_from_epoch,
        "min_delta": stopping.min_delta,
        "baseline": stopping.baseline,
    }


def plan(
    models: Sequence[Model],
    X: Any,
    y: Any,
    batch_size: Any,
    epochs: Any,
    validation_data: Any,
    sample_weight: Any,
) -> list[Plan]:
    """Check everything before anything changes."""
    n = len(models)
    each = zip(
        models,
        _of_each(X, n, "X", lambda value: _dimensions(value) >= 2),
        _of_each(y, n, "y", lambda value: _dimensions(value) >= 1),
        _of_each(sample_weight, n, "sample_weight", lambda value: value is None or _dimensions(value) == 1),
        _of_each(validation_data, n, "validation_data", lambda value: value is None or _is_data(value)),
        _of_each(batch_size, n, "batch_size", lambda _: True),
        _of_each(epochs, n, "epochs", lambda _: True),
        strict=True,
    )
    checked = _Checked()
    return [_plan(i, checked, model, *given) for i, (model, *given) in enumerate(each)]


def _plan(
    i: int,
    checked: _Checked,
    model: Model,
    X: Any,
    y: Any,
    weight: Any,
    held_out: Any,
    batch_size: Any,
    epochs: Any,
) -> Plan:
    where = f"{OPERATION}(models[{i}])"
    course, loss = model._compiled(where, training=True)
    optimizer = course.optimizer
    if course.is_chain:
        expected = "an optimizer of one stage; Model.fit runs chains"
        raise ValueError(message(OPERATION, f"models[{i}]", f"learns by {model.optimizer!r}", expected))
    one_batch = isinstance(optimizer, Minimizer)
    network, train = checked.data(model, loss, None, model.names, (X, y, weight), where, one_batch)
    names = model.names.learned(X, y)
    if network.foreign:
        got = "has a layer or a loss of your own, in Python"
        expected = "those of fallline, which many threads run at once; Model.fit takes all"
        raise ValueError(message(OPERATION, f"models[{i}]", got, expected))
    size = BATCH_SIZE
    if batch_size is not None:
        size = integer(OPERATION, "batch_size", batch_size, low=1, high=2**31 - 1)
    wanted = 1
    if isinstance(optimizer, Minimizer):
        full_batch.check(model, network, where)
        if batch_size is not None and size < len(train.x):
            got = f"is {size} of {len(train.x)} rows, for {optimizer!r}"
            expected = "None, for all rows: each batch is another function to go down on"
            raise ValueError(message(where, "batch_size", got, expected))
        wanted = optimizer.max_iterations
    elif isinstance(optimizer, FirstOrder):
        optimizer.rate(network.step)
    if epochs is not None:
        wanted = integer(OPERATION, "epochs", epochs, low=0, high=2**62)
    held = None
    if held_out is not None:
        if not isinstance(held_out, tuple | list) or len(held_out) not in (2, 3):
            got = f"is a {type(held_out).__name__}"
            expected = "(X, y) or (X, y, sample_weight), or a list of them with one for each model"
            raise TypeError(message(OPERATION, "validation_data", got, expected))
        x, targets, *rest = held_out
        given = x, targets, rest[0] if rest else None
        held = checked.data(model, loss, network, names, given, f"{where}(validation_data)")[1]
    return Plan(network, names, course, train, held, size, wanted)


class _Checked:
    """Arrays that were checked, and converted where they must be, once for all models that take them alike."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}
        self._alive: list[Any] = []  # so that no two arrays have one address

    def data(
        self,
        model: Model,
        loss: Loss,
        network: _core.Network | None,
        names: Names,
        given: tuple[Any, Any, Any],
        where: str,
        one_batch: bool = False,
    ) -> tuple[_core.Network, Data]:
        """As Model.data()."""
        X, y, weight = given
        dtype, width = model.dtype, network.inputs if network else model.inputs
        columns, answers = names
        x = self._once(lambda: as_rows(X, where, dtype, width, columns, y), X, "X", dtype, width, columns)
        if one_batch:
            check_batch(x, where)
        network = network or model.made_for(x.shape[1], where)
        model._computing[0].check_rows(x, where)
        shape, kind = (len(x), network.outputs), (loss.takes_classes, loss.target_range)
        targets = self._once(
            lambda: as_targets(y, where, dtype, *shape, loss, answers), y, "y", dtype, shape, kind, answers
        )
        weights = self._once(lambda: as_weights(weight, None, where, dtype, targets), weight, len(x), dtype)
        return network, Data(x, targets, weights)

    def _once(self, check: Callable[[], Any], value: Any, *how: Hashable) -> Any:
        key = (id(value), *how)
        if key not in self._known:
            self._alive.append(value)
            self._known[key] = check()
        return self._known[key]


def _of_each(value: Any, n: int, argument: str, fits: Callable[[Any], bool]) -> list[Any]:
    """Return one value for each of n models: those of a list, or the only one n times."""
    if not isinstance(value, list | tuple) or not value or not all(map(fits, value)):
        return [value] * n
    if len(value) != n:
        got, expected = f"is a list of {len(value)}", f"one for all models, or a list of {n}, one for each"
        raise ValueError(message(OPERATION, argument, got, expected))
    return list(value)


def _dimensions(value: Any) -> int:
    """Of an array; nested lists are not taken for several arrays."""
    return len(getattr(value, "shape", ()))


def _is_data(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) in (2, 3) and _dimensions(value[0]) >= 2
