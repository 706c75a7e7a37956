"""The training loss of an epoch: Σ w (data loss + penalty) / Σ w over its batches, each before its update."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fallline as fl
from helpers import assert_near
from streams import cut

ROWS, SIZE = 50, 16  # the last of four batches has 2 rows
L1, L2 = 0.03, 0.2


@pytest.fixture
def data(rng):
    x = rng.normal(size=(ROWS, 3))
    return x, x @ rng.normal(size=(3, 2)) + 0.3, rng.uniform(0.1, 3, ROWS)


def network(dtype="float64", reduction="mean", proximal=False, **options):
    penalties = [fl.L1(L1, proximal=True)] * 2 if proximal else [fl.L2(L2), fl.L1(L1)]
    dense = fl.Dense(2, kernel_regularizer=penalties[0], bias_regularizer=penalties[1])
    model = fl.Model([fl.Input(3), dense], seed=1, dtype=dtype)
    model.compile(fl.SGD(0.05 if reduction == "mean" else 1e-3, **options), fl.MSE(reduction=reduction))
    return model


def penalty(model, proximal):
    kernel, bias = (w.astype(np.float64) for w in model.get_weights())
    if proximal:
        return L1 * (np.abs(kernel).sum() + np.abs(bias).sum())
    return L2 / 2 * (kernel**2).sum() + L1 * np.abs(bias).sum()


def by_hand(model, batches, reduction="mean", proximal=False):
    """(loss of the epoch, losses so far after each batch), along the updates of a model made on the way."""
    model = copy.deepcopy(model)
    parts = []
    for x, y, w in batches:
        rows = ((model.predict(x).astype(np.float64) - y) ** 2).mean(axis=1)
        parts.append(((w * rows).sum(), w.sum(), penalty(model, proximal)))
        model.train_on_batch(x, y, w)
    sums, weights, penalties = np.array(parts).T
    data_so_far = np.cumsum(sums) / (np.cumsum(weights) if reduction == "mean" else 1)
    so_far = data_so_far + np.cumsum(weights * penalties) / np.cumsum(weights)
    return so_far[-1], so_far.tolist()


CASES = [
    {},
    {"dtype": "float32"},
    {"reduction": "sum"},
    {"proximal": True},
    {"clip_norm": 0.5},  # by way of whole gradients
    {"momentum": 0.9, "average": 0.9},
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_batch_has_its_own_penalty(case, weighted, data):
    x, y, w = data
    w = w if weighted else np.ones(ROWS)
    given = {"sample_weight": w} if weighted else {}
    told = {name: case[name] for name in ("reduction", "proximal") if name in case}
    model = network(**case)
    expected, so_far = by_hand(model, cut(x, y, w, size=SIZE), **told)
    tolerance = 1e-5 if case.get("dtype") == "float32" else 1e-13
    running = []
    look = fl.LambdaCallback(on_batch_end=lambda batch, logs: running.append(logs["loss"]))
    options = {"batch_size": SIZE, "shuffle": False}
    batches = cut(*((x, y, w) if weighted else (x, y)), size=SIZE)
    for fit in (
        lambda m: m.fit(x, y, **given, **options).history["loss"],
        lambda m: m.fit(x, y, **given, **options, callbacks=[look]).history["loss"],
        lambda m: m.fit(batches).history["loss"],
        lambda m: m.fit(batches, callbacks=[look]).history["loss"],
        lambda m: fl.fit_many([m], x, y, **given, **options)[0].history["loss"],
        lambda m: [m.partial_fit(x, y, **given, batch_size=SIZE)],
    ):
        assert_near(fit(copy.deepcopy(model)), [expected], tolerance)
    assert_near(running, [*so_far, *so_far], tolerance)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("size", [SIZE, ROWS])
def test_at_rest_it_is_that_of_evaluate(reduction, size, data):
    """A penalty that stays the same is neither lost nor counted more than once."""
    x, y, w = data
    model = network(reduction=reduction)
    model.optimizer.learning_rate = 0.0
    expected = model.evaluate(x, y, sample_weight=w)["loss"]
    losses = model.fit(x, y, sample_weight=w, batch_size=size, epochs=3).history["loss"]
    assert_near(losses, [expected] * 3, 1e-14)


def test_all_rows_at_once_are_measured_after_the_iteration(data):
    x, y, w = data
    model = network()
    model.compile(fl.LBFGS(), "mse")
    losses = model.fit(x, y, sample_weight=w, epochs=3).history["loss"]
    assert losses[-1] == pytest.approx(model.evaluate(x, y, sample_weight=w)["loss"], rel=1e-13)


@pytest.mark.parametrize("make", [lambda x, y: (x, y), lambda x, y: (cut(x, y, size=SIZE),)])
def test_a_fit_that_goes_on_within_an_epoch_has_all_penalties(make, data, tmp_path):
    x, y, _ = data

    class Fail(fl.Callback):
        def on_batch_end(self, batch, logs):
            if batch == 2:
                raise InterruptedError

    model, straight = network(), network()
    options = {} if len(make(x, y)) == 1 else {"batch_size": SIZE}
    backup = fl.BackupAndRestore(tmp_path / "fit", every_batches=1)
    with pytest.raises(InterruptedError):
        model.fit(*make(x, y), **options, callbacks=[backup, Fail()])
    resumed = model.fit(*make(x, y), **options, callbacks=[backup]).history
    assert resumed == straight.fit(*make(x, y), **options).history


def test_any_number_of_threads_tells_the_same(rng):
    x = rng.normal(size=(2000, 40)).astype(np.float32)
    histories = []
    for threads in (1, 2, 3):
        with fl.threads(threads):
            model = fl.Model([fl.Dense(90, "tanh", kernel_regularizer=fl.L2(1e-2)), fl.Dense(1)], seed=0)
            model.compile(fl.Adam(1e-2), "mse")
            histories.append(model.fit(x, x[:, 0], batch_size=300, epochs=2).history)
    assert histories[0] == histories[1] == histories[2]
