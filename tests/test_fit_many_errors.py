"""Many models at once when something goes wrong: bad numbers, bad arguments, Ctrl-C, no time left."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import fallline as fl
from cases.fleet import classifier, regressor
from cases.own_layers import Scale
from helpers import assert_same_model, refuses, saved


def test_a_model_that_diverges_ends_alone(blobs):
    def make(rate):
        return regressor(6, fl.SGD(rate))

    x, targets = blobs[0], blobs[0][:, :1]
    rates = [0.01, 1e12, 0.02, 1e25]
    models, alone = ([make(rate) for rate in rates] for _ in range(2))
    with pytest.warns(RuntimeWarning, match=r"models \[1, 3\].*stop_reason"):
        got = fl.fit_many(models, x, targets, epochs=5)
    for i, model in enumerate(alone):
        if i in (1, 3):
            with pytest.raises(fl.NonFiniteLoss) as error:
                model.fit(x, targets, epochs=5)
            assert got[i].stop_reason == str(error.value)
            assert len(got[i].epoch) < 5
        else:
            assert got[i].history == model.fit(x, targets, epochs=5).history
        assert_same_model(models[i], model)
        assert all(np.isfinite(w).all() for w in models[i].get_weights())


def test_a_model_that_diverges_may_go_back_to_its_best_weights(blobs):
    x, y = blobs[0], blobs[0][:, :1]
    rates = fl.schedules.Piecewise([15], [0.01, 1e30])  # the third epoch of seven batches
    model, alone = regressor(6, fl.SGD(rates)), regressor(6, fl.SGD(rates))
    with pytest.warns(RuntimeWarning, match="not finite"):
        [got] = fl.fit_many([model], x, y, epochs=5, early_stopping=fl.EarlyStopping("loss"))
    alone.fit(x, y, epochs=2)
    assert len(got.epoch) == 2
    for weight, best in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, best)


class TornError(Exception):
    """Of a schedule."""


def tearing(step):
    if step == 10:
        raise TornError
    return 0.01


def test_a_schedule_that_raises_leaves_models_that_go_on(blobs):
    x, y = blobs[0], blobs[0][:, :1]
    rates = [tearing, 0.01, 0.02]
    models, alone = ([regressor(6, fl.SGD(rate)) for rate in rates] for _ in range(2))
    with pytest.raises(TornError):
        fl.fit_many(models, x, y, epochs=100_000, batch_size=20)
    assert models[0].get_state()["step"] == 0  # rates are asked for before the updates
    for model in (models[0], alone[0]):
        model.compile(fl.SGD(0.01), "mse")
    fl.fit_many(models[:1], x, y, epochs=2, batch_size=20)
    alone[0].fit(x, y, epochs=2, batch_size=20)
    assert_same_model(models[0], alone[0])
    for model in models[1:]:
        assert np.isfinite(model.fit(x, y).history["loss"][0])


def test_time_is_up(blobs):
    models = [classifier(8, seed=seed) for seed in range(50)]
    epochs = [10**9] * 49 + [0]
    with fl.threads(2):
        got = fl.fit_many(models, *blobs, epochs=epochs, max_seconds=0.2)
    begun = [model for model in models[:49] if model.get_state()["step"]]
    assert len(begun) == 2  # one on each thread; the others were not reached
    assert {history.stop_reason for history in got[:49]} == {"max_seconds are over"}
    assert got[49].stop_reason is None
    fresh = classifier(8, seed=48)
    fresh.build(8)
    assert_same_model(models[48], fresh)
    fl.fit_many(models, *blobs)


INTERRUPTED = """
    import signal
    import numpy as np
    import tqdm
    import fallline as fl

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fl.set_num_threads({threads})
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=({rows}, 4)).astype(np.float32), rng.normal(size=({rows}, 1))

    def made():
        models = [fl.Model([fl.Input(4), fl.Dense(3, "tanh"), fl.Dense(1)], seed=seed) for seed in range(5)]
        for model in models:
            model.compile(fl.Adam({rate}), "mse")
        return models

    models = made()
    epochs = [10**9, 2, 2, 10**9, 2]
    print("training", flush=True)
    try:
        fl.fit_many(models, x, y, batch_size={batch}, epochs=epochs, verbose={verbose})
    except KeyboardInterrupt as interrupt:
        before = [model.get_state() for model in models]
        assert max(state["epoch"] for state in before) > 0
        for model, record, state in zip(models, interrupt.histories, before):
            assert len(record.epoch) == state["step"] // -(-{rows} // {batch})
            assert state["epoch"] - len(record.epoch) in (0, 1)
            assert record.stop_reason == (None if len(record.epoch) == 2 else "interrupted")
        twins = made()
        for model, twin, state in zip(models, twins, before):
            twin.set_state(state)
            model.fit(x, y, batch_size={batch})
        fl.fit_many(twins, x, y, batch_size={batch})
        for model, twin in zip(models, twins):
            assert all((a == b).all() for a, b in zip(model.get_weights(), twin.get_weights()))
        print("interrupted")
"""


@pytest.mark.parametrize(
    "threads, rows, batch, rate, verbose",
    [(1, 20, 4, "1e-6", 0), (2, 20, 4, "1e-6", 1), (2, 3000, 1, "lambda t: 1e-6", 0)],
)
def test_ctrl_c_keeps_what_is_done(threads, rows, batch, rate, verbose, tmp_path):
    source = "if True:" + INTERRUPTED.format(
        threads=threads, rows=rows, batch=batch, rate=rate, verbose=verbose
    )
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert process.stdout.readline() == "training\n", process.stderr.read()
        threading.Event().wait(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (out, process.returncode) == ("interrupted\n", 0), err


def test_a_model_belongs_to_one_fit_at_a_time(blobs):
    x, y = blobs
    models, refused = [classifier(4), classifier(5)], []

    class Meanwhile(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            before = [saved(model) for model in models]
            with refuses(RuntimeError, "in a fit that this is called from"):
                fl.fit_many(models[::-1], x, y)
            assert [saved(model) for model in models] == before
            refused.append(epoch)

    models[1].build(8)
    models[0].fit(x, y, callbacks=[Meanwhile()])

    def rate(step):
        if step:
            with refuses(RuntimeError, "being trained|in a fit"):  # by the thread that asks for rates
                models[0].fit(x, y)
            refused.append("fit")
        return 0.1

    models[1].compile(fl.SGD(rate), "cross_entropy")
    fl.fit_many(models, x, y, batch_size=100)
    assert refused == [0, "fit"]


def many(count=3):
    models = [classifier(4 + i) for i in range(count)]
    models[0].build(8)
    return models


def uncompiled():
    return [classifier(), fl.Model([fl.Dense(4)])]


def with_own_layer():
    return [classifier(), classifier(8, "adam", Scale())]


def with_own_loss():
    model = regressor()
    model.compile("adam", lambda y_true, y_pred: (y_pred - y_true) ** 2)
    return [regressor(), model]


def chained():
    return [classifier(), classifier(8, fl.Chain([(fl.Adam(), 2), fl.SGD()]))]


def same_twice():
    model = classifier()
    return [model, classifier(), model]


X, Y = np.zeros((20, 8), np.float32), np.zeros(20, int)
BAD = [
    (lambda: [], {}, ValueError, "models is empty"),
    (classifier, {}, TypeError, "models is Model"),
    (lambda: [classifier(), "adam"], {}, TypeError, r"models\[1\] is 'adam'"),
    (same_twice, {}, ValueError, r"models\[2\] is models\[0\] once more"),
    (uncompiled, {}, RuntimeError, r"fit_many\(models\[1\]\): model is not compiled"),
    (with_own_layer, {}, ValueError, r"models\[1\] has a layer or a loss of your own"),
    (with_own_loss, {"y": np.zeros(20)}, ValueError, r"models\[1\] has a layer or a loss of your own"),
    (chained, {}, ValueError, r"models\[1\] learns by Chain"),
    (many, {"X": [X, X]}, ValueError, "X is a list of 2; expected .* a list of 3"),
    (many, {"X": [X[:, :7], X, X]}, ValueError, r"fit_many\(models\[0\]\): X has shape \(20, 7\)"),
    (many, {"X": np.zeros((20, 7))}, ValueError, r"models\[0\]\): X has shape"),
    (many, {"y": [Y, Y[:19], Y]}, ValueError, r"models\[1\]\): y has shape \(19,\)"),
    (many, {"y": Y + 4}, ValueError, r"models\[0\]\): y has classes from 4 to 4"),
    (
        many,
        {"sample_weight": [None, np.ones(3), None]},
        ValueError,
        r"models\[1\]\): sample_weight has shape",
    ),
    (many, {"validation_data": X}, TypeError, "validation_data is a ndarray"),
    (many, {"validation_data": [(X, Y)] * 2}, ValueError, "validation_data is a list of 2"),
    (many, {"validation_data": (X, Y[:3])}, ValueError, r"models\[0\]\)\(validation_data\): y has shape"),
    (many, {"batch_size": 0}, ValueError, "batch_size is 0"),
    (many, {"batch_size": [8, 8]}, ValueError, "batch_size is a list of 2"),
    (many, {"epochs": [1, 1, -1]}, ValueError, "epochs is -1"),
    (many, {"epochs": 1.5}, TypeError, "epochs is 1.5"),
    (many, {"shuffle": 1}, TypeError, "shuffle is 1"),
    (many, {"max_seconds": 0}, ValueError, "max_seconds is 0"),
    (many, {"verbose": 3}, ValueError, "verbose is 3"),
    (many, {"early_stopping": 3}, TypeError, "early_stopping is 3"),
    (many, {"early_stopping": fl.EarlyStopping()}, ValueError, "early_stopping.monitor is 'val_loss'"),
    (
        many,
        {"early_stopping": fl.EarlyStopping("accuracy")},
        ValueError,
        "early_stopping.monitor is 'accuracy'",
    ),
]


def states(models):
    made = models if isinstance(models, list) else [models]
    return [m.get_state() if m.inputs else None for m in made if isinstance(m, fl.Model)]


@pytest.mark.parametrize("make, given, error, match", BAD)
def test_bad_arguments_change_nothing(make, given, error, match):
    models = make()
    before = str(states(models))
    with refuses(error, match):
        fl.fit_many(models, **{"X": X, "y": Y, **given})
    assert str(states(models)) == before
