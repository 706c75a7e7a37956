"""Callbacks that watch one number: early stopping, and learning rates that fall or follow a function."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fallline as fl
from helpers import Scripted, assert_same_bits, refuses


def network(seed=0, rate=0.01):
    model = fl.Model(
        [fl.Input(8), fl.Dense(16, activation="tanh"), fl.Dense(4, activation="softmax")], seed=seed
    )
    model.compile(fl.Adam(rate), "cross_entropy", metrics=["accuracy"])
    return model


def tiny():
    """A model of one number that learns nothing but counts epochs."""
    model = fl.Model([fl.Input(1), fl.Dense(1)], seed=0)
    model.compile(fl.SGD(0.5), "mse")
    return model


def watch(values, callback, **options):
    """The History of a fit in which val_loss is what the values say."""
    one = np.ones((1, 1))
    model = tiny()
    return model, model.fit(
        one,
        one,
        epochs=len(values),
        validation_data=(one, one),
        callbacks=[Scripted(values), callback],
        **options,
    )


LOSSES = [5.0, 4.0, 3.0, 3.5, 3.4, 3.3, 3.2, 1.0, 0.5, 0.1]


@pytest.mark.parametrize(
    "options, epochs, best",
    [
        ({"patience": 1}, 4, 2),
        ({"patience": 2}, 5, 2),
        ({"patience": 5}, 10, 9),
        ({"patience": 1, "min_delta": 1.5}, 2, 0),
        ({"patience": 2, "min_delta": 1.5}, 5, 2),
    ],
    ids=str,
)
def test_early_stopping(options, epochs, best, blobs):
    """Weights of the best epoch come back; epochs are those until patience ran out."""
    x, y = blobs
    model, straight = network(), network()
    callbacks = [Scripted(LOSSES), fl.EarlyStopping(monitor="val_loss", **options)]
    history = model.fit(x, y, epochs=10, validation_data=(x, y), callbacks=callbacks)
    assert len(history.history["loss"]) == epochs
    straight.fit(x, y, epochs=best + 1)
    assert_same_bits(model.get_weights(), straight.get_weights())


def test_early_stopping_may_keep_the_last_weights(blobs):
    x, y = blobs
    model, straight = network(), network()
    stopping = fl.EarlyStopping(patience=2, restore_best_weights=False)
    model.fit(x, y, epochs=10, validation_data=(x, y), callbacks=[Scripted(LOSSES), stopping])
    straight.fit(x, y, epochs=5)
    assert_same_bits(model.get_weights(), straight.get_weights())


def test_early_stopping_knows_that_accuracy_grows(blobs):
    x, y = blobs
    values = [0.1, 0.5, 0.7, 0.6, 0.65, 0.9]
    model, straight = network(), network()
    callbacks = [Scripted(values, "val_accuracy"), fl.EarlyStopping(monitor="val_accuracy", patience=2)]
    history = model.fit(x, y, epochs=6, validation_data=(x, y), callbacks=callbacks)
    assert len(history.history["loss"]) == 5
    straight.fit(x, y, epochs=3)
    assert_same_bits(model.get_weights(), straight.get_weights())


def test_early_stopping_finds_the_minimum_of_an_overfit(rng):
    """Pure noise: the validation loss soon grows, and the restored one is the smallest of the history."""
    x, y = rng.normal(size=(40, 20)), rng.integers(0, 2, 40)
    x_val, y_val = rng.normal(size=(200, 20)), rng.integers(0, 2, 200)
    model = fl.Model(
        [fl.Input(20), fl.Dense(64, activation="relu"), fl.Dense(2, activation="softmax")], seed=0
    )
    model.compile(fl.Adam(0.01), "cross_entropy")
    history = model.fit(
        x, y, epochs=200, validation_data=(x_val, y_val), callbacks=[fl.EarlyStopping(patience=10)]
    ).history["val_loss"]
    assert len(history) < 200
    assert model.evaluate(x_val, y_val)["loss"] == min(history)


def test_an_early_stopping_may_be_used_again(blobs):
    x, y = blobs
    stopping = fl.EarlyStopping(patience=1)
    for _ in range(2):
        history = network().fit(
            x, y, epochs=10, validation_data=(x, y), callbacks=[Scripted(LOSSES), stopping]
        )
        assert len(history.history["loss"]) == 4


def test_patience_0_is_patience_1():
    for patience in (0, 1):
        stopping = fl.EarlyStopping(patience=patience)
        watch([3.0, 2.0, 2.0, 1.0], stopping)
        assert (stopping.stopped_epoch, stopping.best_epoch) == (2, 1)


def test_the_first_epochs_of_each_fit_may_be_passed_over(blobs):
    """The best value is not among them, and epochs count from the beginning of the fit."""
    stopping, model = fl.EarlyStopping(patience=2, start_from_epoch=3), tiny()
    one = np.ones((1, 1))
    values = [0.1, 0.2, 0.3, 5.0, 4.0, 4.5, 4.2, 0.0, 0.0, 0.0]
    for first in (0, 7):
        scripted = Scripted(dict(enumerate(values, first)))
        model.fit(one, one, epochs=10, validation_data=(one, one), callbacks=[scripted, stopping])
        assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (4.0, first + 4, first + 6)


@pytest.mark.parametrize(
    "values, options, stopped, best",
    [
        ([5, 4, 3.9, 3.8, 3.7, 3.6], {"baseline": 1, "patience": 2}, None, 5),  # better every time
        ([5, 4, 4, 3, 3, 3], {"baseline": 1, "patience": 2}, 2, 1),
        ([5, 4, 4, 3, 3, 3], {"baseline": 4.5, "patience": 2}, 5, 3),
        ([5, math.nan, math.nan, 1], {"patience": 2}, 2, 0),
        ([math.nan, math.nan, 2, 3, 3], {"patience": 2}, 1, None),
        ([math.nan, 2, 1, 3, 3], {"patience": 2}, 4, 2),
        ([1, 2, 3, 3, 2.5], {"mode": "max", "patience": 1}, 3, 2),
    ],
)
def test_baselines_and_numbers_that_are_none(values, options, stopped, best):
    stopping = fl.EarlyStopping(**options)
    watch(values, stopping)
    assert (stopping.stopped_epoch, stopping.best_epoch) == (stopped, best)


def keras_stopping(values, patience, min_delta, baseline, start_from_epoch):
    """Epoch after which Keras 3 stops, and its best one; from its documentation and source."""
    best, best_epoch, wait = math.inf, None, 0
    for epoch, value in enumerate(values):
        if epoch < start_from_epoch:
            continue
        wait += 1
        if value < best - min_delta:
            best, best_epoch = value, epoch
            if baseline is None or value < baseline - min_delta:
                wait = 0
        elif wait >= patience and epoch > 0:
            return epoch, best_epoch
    return None, best_epoch


def keras_plateau(values, rate, factor, patience, min_delta, cooldown, min_lr):
    """The rates of the epochs under ReduceLROnPlateau of Keras 3."""
    best, wait, cooling, rates = math.inf, 0, 0, []
    for value in values:
        rates.append(rate)
        if cooling > 0:
            cooling -= 1
            wait = 0
        if value < best - min_delta:
            best, wait = value, 0
        elif cooling == 0:
            wait += 1
            if wait >= patience and rate > min_lr:
                rate = max(rate * factor, min_lr)
                cooling, wait = cooldown, 0
    return rates


def curve(rng):
    """Losses that fall, stay and jump."""
    return [float(v) for v in np.round(3 * np.exp(-np.arange(25) / 8) + rng.normal(scale=0.3, size=25), 2)]


@pytest.mark.parametrize("trial", range(20))
def test_stopping_is_that_of_keras(trial):
    rng = np.random.default_rng(trial)
    values = curve(rng)
    options = {
        "patience": int(rng.integers(0, 5)),
        "min_delta": float(rng.choice([0.0, 0.1, 0.5])),
        "baseline": [None, 1.0, 2.5][rng.integers(3)],
        "start_from_epoch": int(rng.integers(0, 6)),
    }
    stopping = fl.EarlyStopping(**options)
    watch(values, stopping)
    assert (stopping.stopped_epoch, stopping.best_epoch) == keras_stopping(values, **options)


@pytest.mark.parametrize("trial", range(20))
def test_plateaus_are_those_of_keras(trial):
    rng = np.random.default_rng(trial)
    values = curve(rng)
    options = {
        "factor": float(rng.choice([0.1, 0.5, 0.9])),
        "patience": int(rng.integers(0, 4)),
        "min_delta": float(rng.choice([0.0, 0.1])),
        "cooldown": int(rng.integers(0, 4)),
        "min_lr": float(rng.choice([0.0, 0.1])),
    }
    _, history = watch(values, fl.ReduceLROnPlateau(**options))
    assert history.history["learning_rate"] == keras_plateau(values, 0.5, **options)


def test_a_plateau_by_hand():
    """Patience 2, cooldown 1: the rate falls after the epochs 2 and 5, and not below min_lr."""
    _, history = watch([1.0] * 10, fl.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.1))
    assert history.history["learning_rate"] == [0.5] * 3 + [0.25] * 2 + [0.125] * 2 + [0.1] * 3


def test_a_plateau_of_something_that_grows(blobs):
    model = network()
    values = [0.5, 0.6, 0.7, 0.7, 0.7]
    callbacks = [Scripted(values, "accuracy"), fl.ReduceLROnPlateau("accuracy", factor=0.5, patience=1)]
    history = model.fit(*blobs, epochs=5, callbacks=callbacks)
    assert history.history["learning_rate"] == [0.01] * 4 + [0.005]


def test_a_function_sets_the_rate_of_each_epoch(blobs):
    asked, scheduled, by_hand = [], network(), network()

    def function(epoch, rate):
        asked.append((epoch, rate))
        return 0.01 / (1 + epoch)

    history = scheduled.fit(*blobs, epochs=2, callbacks=[fl.LearningRateScheduler(function)])
    scheduled.fit(*blobs, epochs=1, callbacks=[fl.LearningRateScheduler(function)])
    for epoch in range(3):
        by_hand.optimizer.learning_rate = 0.01 / (1 + epoch)
        by_hand.fit(*blobs)
    assert asked == [(0, 0.01), (1, 0.01), (2, 0.005)]
    assert history.history["learning_rate"] == [0.01, 0.005]
    assert_same_bits(scheduled.get_weights(), by_hand.get_weights())


def test_the_rate_is_logged_only_where_it_is_changed(blobs):
    assert "learning_rate" not in network().fit(*blobs).history


@pytest.mark.parametrize(
    "answer, exception",
    [
        ("fast", TypeError),
        (None, TypeError),
        (-0.1, ValueError),
        (math.nan, ValueError),
        (math.inf, ValueError),
    ],
)
def test_a_function_that_answers_nonsense(answer, exception, blobs):
    model = network()
    scheduler = fl.LearningRateScheduler(lambda epoch, rate: 0.1 if epoch < 2 else answer)
    with refuses(exception, r"^LearningRateScheduler: function\(2, rate\)"):
        model.fit(*blobs, epochs=5, callbacks=[scheduler])
    assert model.get_state()["epoch"] == 2


@pytest.mark.parametrize(
    "make", [lambda: fl.LearningRateScheduler(max), fl.ReduceLROnPlateau], ids=["function", "plateau"]
)
def test_a_schedule_is_not_changed_from_outside(make, blobs):
    model = network()
    model.compile(fl.SGD(lambda step: 0.1), "cross_entropy")
    before = model.get_weights()
    with refuses(ValueError, "learning_rate is <function"):
        model.fit(*blobs, validation_data=blobs, callbacks=[make()])
    assert_same_bits(model.get_weights(), before)
