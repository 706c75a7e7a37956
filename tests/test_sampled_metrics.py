"""Metrics of training rows under samplers: over the rows as drawn, with the weights that their losses had."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from cases.samplers import CLASSES, GROUPS, VARIANTS, N, label
from fallline import samplers

ONCE = (samplers.Shuffled, samplers.Sequential)
repeating = pytest.mark.parametrize(
    "case, options", [(c, o) for c, o in VARIANTS if not issubclass(c.make, ONCE)], ids=label
)
RARE = (np.arange(6000) % 37 == 0).astype(int)


class Seen(fl.metrics.Metric):
    """Keeps what metrics are called with, in the order in which they are."""

    name = "seen"

    def __init__(self):
        self.calls = []

    def __call__(self, y_true, y_pred, sample_weight=None):
        self.calls.append((y_true.copy(), y_pred.copy(), sample_weight))
        weight = np.ones(len(y_true)) if sample_weight is None else sample_weight
        return float(weight * np.arange(1, len(y_true) + 1) @ y_pred[:, 0])


def mean_loss(y_true, y_pred, sample_weight=None):
    """The loss "mae" as a metric."""
    return float(np.average(np.abs(y_true - y_pred).mean(axis=1), weights=sample_weight))


@repeating
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_each_draw_counts_with_the_weight_of_its_loss(case, options, weighted, batch_size, rng):
    """A model whose weight i falls by the weight of row i's loss when it is drawn, so that all draws show."""
    own = rng.uniform(0.5, 2, N) if weighted else None
    layer = fl.Dense(1, use_bias=False, kernel_initializer=fl.Constant(1e6))
    model, seen, shown = fl.Model([fl.Input(N), layer], seed=0, dtype="float64"), Seen(), []
    model.compile(fl.SGD(1.0), fl.MAE("sum"), [seen])
    look = fl.LambdaCallback(on_batch_end=lambda batch, logs: shown.append(model.get_weights()[0][:, 0]))
    sampler = case.make(**({"over": GROUPS} if "over" in case.make.arguments else {}) | options)
    targets = -np.arange(N) - 1.0  # that tell the row
    model.fit(
        np.eye(N),
        targets,
        sample_weight=own,
        batch_size=batch_size,
        epochs=3,
        sampler=sampler,
        callbacks=[look],
    )
    falls = -np.diff(np.concatenate([np.full((1, N), 1e6), shown]), axis=0)
    batches = -(-N // batch_size)
    for epoch, (y_true, y_pred, given) in enumerate(seen.calls):
        rows = (-y_true[:, 0] - 1).astype(int)
        weight = np.ones(N) if given is None else given
        for batch in range(batches):
            places = slice(batch * batch_size, (batch + 1) * batch_size)
            told = np.bincount(rows[places], weight[places], N)
            number = epoch * batches + batch
            np.testing.assert_allclose(falls[number], told, atol=1e-8)
            before = 1e6 - falls[:number].sum(axis=0)
            np.testing.assert_allclose(y_pred[places, 0], before[rows[places]], rtol=1e-12)


@pytest.mark.parametrize(
    "sampler",
    ["balanced", "with_replacement", samplers.Weighted(RARE + 0.1), samplers.Balanced(RARE)],
    ids=repr,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", [{}, {"class_weight": {0: 2.0, 1: 0.3}}], ids=str)
def test_the_loss_as_a_metric_is_the_loss(sampler, dtype, weights, rng):
    """In batches that are taken whole, and in pieces; on any number of threads."""
    x, y = rng.normal(size=(6000, 3)), RARE.astype(float)
    for batch_size in (32, 5000):
        found = []
        for threads in (1, 3):
            with fl.threads(threads):
                model = fl.Model([fl.Input(3), fl.Dense(1)], seed=0, dtype=dtype)
                model.compile(fl.SGD(0.05), "mae", [mean_loss, "accuracy", Seen()])
                history = model.fit(x, y, batch_size=batch_size, epochs=2, sampler=sampler, **weights).history
                found.append(history)
        assert found[0]["mean_loss"] == pytest.approx(found[0]["loss"], rel=1e-5)
        assert found[0] == found[1]


def test_what_is_unbiased_measures_all_rows(rng):
    """Of many epochs, the mean is that of all rows, as an evaluation has it."""
    x, y = rng.normal(size=(600, 3)) + RARE[:600, None], RARE[:600]
    model = fl.Model([fl.Input(3), fl.Dense(2, "softmax")], seed=0)
    model.compile(fl.SGD(0.0), "cross_entropy", ["accuracy"])
    whole = model.evaluate(x, y)["accuracy"]
    for sampler in (samplers.Balanced(unbiased=True), samplers.AWSGD(), samplers.AWSGD("examples")):
        accuracy = model.fit(x, y, epochs=300, sampler=sampler).history["accuracy"]
        assert np.mean(accuracy) == pytest.approx(whole, abs=4 * np.std(accuracy) / np.sqrt(300))


@repeating
@pytest.mark.parametrize("weighted", [False, True])
def test_a_killed_fit_measures_the_same_draws(case, options, weighted, tmp_path, rng):
    x, own = rng.normal(size=(N, 3)), rng.uniform(0.5, 2, N) if weighted else None

    def script(path, fail_at):
        def fail(batch, logs):
            if fail_at and (model.get_state()["epoch"], batch) == fail_at[0]:
                fail_at.pop(0)
                raise InterruptedError

        model = fl.Model([fl.Input(3), fl.Dense(2, "softmax")], seed=3)
        model.compile(fl.Adam(0.1), "cross_entropy", [Seen(), "accuracy"])
        callbacks = [fl.BackupAndRestore(path, every_batches=1), fl.LambdaCallback(on_batch_end=fail)]
        options_of_fit = {"sample_weight": own, "batch_size": 5, "epochs": 4, "callbacks": callbacks}
        return model.fit(x, CLASSES, sampler=case.make(**options), **options_of_fit).history

    straight, killed = script(tmp_path / "a", []), [(0, 0), (1, 1), (2, 0)]
    while killed:
        with pytest.raises(InterruptedError):
            script(tmp_path / "b", killed)
    assert script(tmp_path / "b", killed) == straight


def test_a_chain_measures_draws_and_then_all_rows(rng):
    x, y = rng.normal(size=(60, 3)), RARE[:60]
    model, seen = fl.Model([fl.Input(3), fl.Dense(2, "softmax")], seed=3), Seen()
    model.compile(fl.Chain([(fl.SGD(0.1), 2), (fl.LBFGS(), 2)]), "cross_entropy", [seen])
    model.fit(x, y, epochs=4, sampler="balanced")
    drawn, whole = seen.calls[:2], seen.calls[2:]
    assert all(y_true.mean() > 0.2 for y_true, _, _ in drawn)
    assert all((y_true == y).all() for y_true, _, _ in whole)
