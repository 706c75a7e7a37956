"""One model from many starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fallline import _core
from fallline.checks import choice, integer, number
from fallline.data import as_rows
from fallline.errors import message
from fallline.fleet import Fleet
from fallline.model import Model
from fallline.optimizers import Chain, Minimizer
from fallline.search.meeting import alike, near, spread_of
from fallline.search.replicas import OneByOne, Replica, Replicas
from fallline.search.results import ModelBasin, MultiStart
from fallline.search.symmetry import canonical, check_stack

if TYPE_CHECKING:
    from fallline.typing import Array, Float64Array

OPERATION = "multi_start"
PROBED = 256  # rows, where none are given


def multi_start(
    model: Model,
    X: Any,
    y: Any,
    starts: int = 20,
    *,
    epochs: int | None = None,
    merge: Literal["outputs", "weights"] | None = "outputs",
    tolerance: float = 1e-2,
    check_every: int = 10,
    probe: Any = None,
    batch_size: int | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
) -> MultiStart:
    """Train a model from many starts at once, and tell the minima apart that they find.

    Every check_every epochs those that have come to the same are merged: the one with the lowest loss goes on for all.
    The epochs that this saves are left to the others: all together may make `epochs` for each start. The same are those

    - whose "outputs" for the probe, a and b, differ in the root mean square by at most tolerance times the deviation of
      b over the rows, and whose losses by at most tolerance · (1 + loss);
    - or whose "weights", ‖a − b‖ <= tolerance · (1 + ‖b‖), with hidden units in order and signs of odd activations made
      alike. Wide networks have many weights for one function, and merge less by them.

    This is a rule of thumb: networks that predict alike may still part later. Where each start counts, look less often,
    with a smaller tolerance, or do not merge. Many starts pay where the loss has minima between which the start
    decides: in small networks. Wide ones come down as far from everywhere; a single fit will do, or fit_many if it is
    an ensemble that is wanted.

    Args:
        model: a compiled model; it stays as it is. Starts are models declared alike, with the seeds model.seed,
            model.seed + 1, ...
        X: (n, inputs), as in Model.fit.
        y: labels, as in Model.fit.
        starts: how many, >= 1. Default 20.
        epochs: passes over the rows for one start, >= 1. Default None: max_iterations of the optimizer, or 100. A start
            that stops by itself, as with LBFGS or Chain([(Adam(), Plateau())]), leaves the rest to the others.
        merge: "outputs", "weights" or None. Default "outputs".
        tolerance: how much those may differ that are the same, > 0. Default 0.01.
        check_every: epochs between two looks, >= 1. Default 10.
        probe: (m, inputs), rows whose predictions are compared. Default None: up to 256 of X, evenly chosen.
        batch_size: as in Model.fit. Default None: 32, or all rows for optimizers that need them.
        sample_weight: (n,), weights of the rows, >= 0. Default None: all alike.
        shuffle: draw a new order for each epoch. Default True.

    Returns:
        A MultiStart: the basins, the best model, and an ensemble of distinct ones. Ends with the same outputs share
        a basin, or with the same weights.

    Raises:
        KeyboardInterrupt: Ctrl-C; its attribute `found` is the MultiStart of all that is done.
        RuntimeError: the model is not compiled.
        TypeError: an argument of the wrong kind.
        ValueError: an argument out of range, wrong shapes, or layers whose weights cannot be compared.
        NonFiniteLoss: the loss is nan or infinite on all ways.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
        >>> model = fl.Model([fl.Dense(2, activation="tanh"), fl.Dense(1)], seed=0)
        >>> model.compile(fl.SGD(0.1, momentum=0.9), "mse")
        >>> found = fl.multi_start(model, X, y, starts=20, epochs=400, check_every=50)
        >>> found
        2 basins, 20 starts, 8,000 epochs; 18 merged, which saved ... epochs
               loss  starts  epochs  stopped because
                ...      18 ...      epochs are spent
            0.125...      2 ...      epochs are spent
        >>> found.best.predict(X).round(2).ravel() + 0
        array([0., 1., 1., 0.], dtype=float32)

    References:
        Boender, Rinnooy Kan, Timmer & Stougie 1982, A stochastic method for global optimization.
    """
    count = integer(OPERATION, "starts", starts, low=1)
    limit = _epochs(model, epochs)
    if merge is not None:
        choice(OPERATION, "merge", merge, ("outputs", "weights"))
    number(OPERATION, "tolerance", tolerance, above=0)
    every = integer(OPERATION, "check_every", check_every, low=1)
    if merge == "weights":
        check_stack(model.layers, OPERATION)
    models = [model.anew((model.seed + i) % 2**64) for i in range(count)]
    one_batch = isinstance(model.optimizer, Minimizer)
    network, _ = models[0].data(X, y, sample_weight, OPERATION, one_batch=one_batch)
    where = f"{OPERATION}(probe)"
    names, width = models[0].names.learned(X, y), network.inputs
    rows = as_rows(X if probe is None else probe, where, model.dtype, width, names.columns)
    if probe is None:
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, PROBED).astype(int))]

    def met(replicas: Sequence[Replica]) -> Iterable[tuple[int, int]]:
        losses = np.array([replica.value for replica in replicas])
        if merge == "weights":
            return near(np.array([canonical(r.model) for r in replicas]), losses, None, tolerance)
        return alike(_outputs(replicas, rows), losses, tolerance)

    def met_at_last(replicas: Sequence[Replica]) -> Iterable[tuple[int, int]]:
        if merge == "weights":
            return met(replicas)
        outputs, losses = _outputs(replicas, rows), np.array([replica.value for replica in replicas])
        return alike(outputs, losses, tolerance, spread_of(outputs))

    replicas = {i: Replica(made) for i, made in enumerate(models)}
    team = Fleet if _runs_in_the_core(model, network) else OneByOne
    arguments = {"batch_size": batch_size, "sample_weight": sample_weight, "shuffle": shuffle}
    interrupt = None
    with closing(team(models, X, y, **arguments)) as trainers:
        lockstep = Replicas(replicas, trainers)
        try:
            lockstep.advance(limit, every, None if merge is None else met, "epochs are spent")
        except KeyboardInterrupt as signal:
            interrupt = signal
    scores = {i: models[i].evaluate(X, y, sample_weight=sample_weight) for i in lockstep.ends()}
    for i, score in scores.items():
        replicas[i].value = score["loss"]
    labels, basins = np.full(count, -1), list[ModelBasin]()
    for i, numbers in lockstep.basins(met_at_last).items():
        labels[numbers] = len(basins)
        end = replicas[i]
        reason = end.reason or "interrupted"
        basins.append(ModelBasin(end.model, scores[i], np.array(numbers), end.iterations, reason))
    total = sum(replica.iterations for replica in replicas.values())
    found = MultiStart(tuple(basins), labels, lockstep.merged, total, lockstep.saved)
    if interrupt is not None:
        vars(interrupt)["found"] = found
        raise interrupt
    return found


def _runs_in_the_core(model: Model, network: _core.Network) -> bool:
    return not (network.foreign or isinstance(model.optimizer, Chain))


def _epochs(model: Model, epochs: int | None) -> int:
    if not isinstance(model, Model):
        raise TypeError(message(OPERATION, "model", f"is {model!r}", "a compiled Model"))
    model._compiled(OPERATION)
    most = getattr(model.optimizer, "max_iterations", 100) if epochs is None else epochs
    return integer(OPERATION, "epochs", most, low=1)


def _outputs(replicas: Sequence[Replica], rows: Array) -> Float64Array:
    """Return what each predicts, (n, rows, width)."""
    return np.array([replica.model.predict(rows) for replica in replicas], np.float64)
