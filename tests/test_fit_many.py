"""Many models at once: each as if it had been fitted alone, and each with an end of its own."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fallline as fl
from cases.fleet import KINDS, classifier, made, regressor
from fallline.fleet import Fleet
from helpers import assert_same_model


@pytest.fixture
def held_out(rng):
    y = rng.integers(0, 4, 60)
    return (rng.normal(size=(60, 8)) + 3 * np.eye(4, 8)[y]).astype(np.float32), y


def assert_same_fits(models, histories, alone, expected):
    for name, model, history, other, record in zip(KINDS, models, histories, alone, expected, strict=False):
        assert (history.epoch, history.history) == (record.epoch, record.history), name
        assert_same_model(model, other)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_every_kind_learns_as_if_alone(threads, blobs, held_out):
    (models, sizes, epochs), (alone, *_) = made(), made()
    validation = [held_out if i % 2 else None for i in range(len(models))]
    with fl.threads(threads):
        got = fl.fit_many(models, *blobs, batch_size=sizes, epochs=epochs, validation_data=validation)
    expected = [
        model.fit(*blobs, batch_size=size, epochs=count, validation_data=data)
        for model, size, count, data in zip(alone, sizes, epochs, validation, strict=True)
    ]
    assert_same_fits(models, got, alone, expected)
    assert [history.stop_reason for history in got] == [record.stop_reason for record in expected]
    assert [name for name, history in zip(KINDS, got, strict=True) if history.stop_reason] == [
        "L-BFGS to its end"
    ]


def test_targets_weights_and_folds_of_their_own(rng, blobs):
    x, y = blobs
    folds = [x[i::3] for i in range(3)]
    targets = [y[0::3], x[1::3, :1] ** 2, x[2::3, 1].tolist()]
    weights = [None, rng.uniform(0, 2, len(folds[1])), None]
    make = [classifier, regressor, lambda: regressor(7, "sgd", "huber", dtype="float64")]
    models, alone = ([f() for f in make] for _ in range(2))
    targets[2] = np.array(targets[2])
    got = fl.fit_many(models, folds, targets, sample_weight=weights, epochs=2, shuffle=False)
    expected = [
        model.fit(*data, sample_weight=weight, epochs=2, shuffle=False)
        for model, *data, weight in zip(alone, folds, targets, weights, strict=True)
    ]
    assert_same_fits(models, got, alone, expected)


def test_lists_of_lists_are_one_table():
    x, y = [[0.0, 1.0], [1.0, 0.0]], [[1.0], [2.0]]
    models, alone = ([regressor(3), regressor(4)] for _ in range(2))
    got = fl.fit_many(models, x, y, epochs=2, validation_data=(x, y))
    assert_same_fits(models, got, alone, [m.fit(x, y, epochs=2, validation_data=(x, y)) for m in alone])


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "min_delta": 0.05},
        {"patience": 2, "restore_best_weights": False},
        {"patience": 1, "start_from_epoch": 3, "min_delta": 1.0},
        {"monitor": "loss", "patience": 3, "min_delta": 0.02},
        {"patience": 2, "mode": "max"},
        {"patience": 2, "baseline": 0.1, "min_delta": 0.2},
        {"patience": 2, "baseline": 10.0, "min_delta": 0.2},
        {"patience": 100},
    ],
    ids=str,
)
def test_early_stopping_is_that_of_the_callback(options, blobs, held_out):
    kinds = ["narrow", "wide", "float64", "batch normalisation", "average"]
    models, alone = ([KINDS[kind][0]() for kind in kinds] for _ in range(2))
    for model in (models[0], alone[0]):
        model.compile(fl.SGD(2.0), "cross_entropy")  # goes up and down
    given = {"epochs": 12, "validation_data": held_out}
    stopping = fl.EarlyStopping(**options)
    before = dict(vars(stopping))
    got = fl.fit_many(models, *blobs, early_stopping=stopping, **given)
    callbacks = [fl.EarlyStopping(**options) for _ in alone]
    expected = [m.fit(*blobs, callbacks=[c], **given) for m, c in zip(alone, callbacks, strict=True)]
    assert_same_fits(models, got, alone, expected)
    assert str(vars(stopping)) == str(before)
    for history, callback in zip(got, callbacks, strict=True):
        assert (history.stop_reason is None) == (callback.stopped_epoch is None)
    stops = {callback.stopped_epoch for callback in callbacks}
    assert stops == {None} if options["patience"] == 100 else stops != {None}


def test_a_validation_loss_that_is_no_number_is_never_better(blobs, held_out):
    x, y = held_out
    broken = np.where(x > 100, x, np.nan), y
    (model, alone), stopping = (classifier(), classifier()), {"patience": 2}
    [got] = fl.fit_many(
        [model], *blobs, epochs=9, validation_data=broken, early_stopping=fl.EarlyStopping(**stopping)
    )
    expected = alone.fit(*blobs, epochs=9, validation_data=broken, callbacks=[fl.EarlyStopping(**stopping)])
    assert got.epoch == expected.epoch == [0, 1]
    assert_same_model(model, alone)


def test_fits_one_after_the_other_are_one_fit(blobs):
    (models, sizes, _), (alone, *_) = made(), made()
    for epochs in (1, 2):
        fl.fit_many(models, *blobs, batch_size=sizes, epochs=epochs)
    for model, size in zip(alone, sizes, strict=True):
        model.fit(*blobs, batch_size=size, epochs=3)
        assert_same_model(models[alone.index(model)], model)


def test_rounds_of_a_fleet_are_one_fit(blobs):
    (models, sizes, _), (alone, *_) = made(), made()
    fleet = Fleet(models, *blobs, batch_size=sizes)
    rests = [i % 3 for i in range(len(models))]
    fleet.run([1] * len(models))
    fleet.run(rests)
    fleet.finish()
    fleet.close()
    expected = [
        model.fit(*blobs, batch_size=size, epochs=1 + rest)
        for model, size, rest in zip(alone, sizes, rests, strict=True)
    ]
    assert_same_fits(models, fleet.histories, alone, expected)


def test_a_forked_child_trains_many(run_script):
    out = run_script(
        """
        import os, signal, warnings
        import numpy as np
        import fallline as fl

        warnings.simplefilter("ignore")
        x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)

        def train():
            models = [fl.Model([fl.Dense(8, "tanh"), fl.Dense(1)], seed=seed) for seed in range(9)]
            for model in models:
                model.compile(fl.Adam(lambda t: 0.01), "mse")
            fl.fit_many(models, x, x[:, :1], epochs=3, validation_data=(x, x[:, :1]))
            return [w.tobytes() for model in models for w in model.get_weights()]

        fl.set_num_threads(3)
        parent = train()
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            os._exit(0 if train() == parent else 3)
        assert os.waitpid(child, 0)[1] == 0
        print("both")
        """
    )
    assert out == "both\n"


def test_memory_does_not_grow_with_the_number_of_models(run_script):
    """Thirty models with an order of the rows (1.6 MB) and labels (0.8 MB) each would take 72 MB."""
    out = run_script(
        """
        import resource
        import numpy as np
        import fallline as fl

        x = np.ones((200_000, 1), dtype=np.float32)
        y = np.arange(len(x)) % 2
        models = [fl.Model([fl.Input(1), fl.Dense(2)], seed=seed) for seed in range(31)]
        for model in models:
            model.compile("sgd", "cross_entropy")
        given = {"batch_size": 1000, "validation_data": (x, y), "early_stopping": fl.EarlyStopping()}
        with fl.threads(2):
            fl.fit_many(models[:1], x, y, **given)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            fl.fit_many(models[1:], x, y, **given)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    assert int(out) < 15_000


def test_progress(blobs, capsys):
    models = [classifier(4), classifier(5), classifier(6)]
    fl.fit_many(models, *blobs, epochs=[1, 2, 0])
    assert capsys.readouterr() == ("", "")
    fl.fit_many(models, *blobs, epochs=[1, 2, 0], verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "model 3/3" in err
    assert "3.00/3.00" in err
    with fl.threads(1):
        fl.fit_many(models, *blobs, epochs=[1, 2, 1], verbose=2, validation_data=blobs)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [
        ["model 0", "1 epochs"],
        ["model 1", "2 epochs"],
        ["model 2", "1 epochs"],
    ]
    assert all(re.search(r"  loss \d\S+  val_loss \d", line) for line in lines)
