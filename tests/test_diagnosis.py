"""A diagnosis of real fits, and the rules on histories written by hand."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import refuses


def history(**logs):
    record = fl.History()
    for epoch, values in enumerate(zip(*logs.values(), strict=True)):
        record.add(epoch, dict(zip(logs, values, strict=True)))
    return record


def moons(rng, n, noise):
    t, upper = rng.uniform(0, np.pi, n), rng.integers(0, 2, n)
    x = np.c_[np.where(upper, np.cos(t), 1 - np.cos(t)), np.where(upper, np.sin(t), 0.5 - np.sin(t))]
    return x + noise * rng.normal(size=x.shape), upper


def fit(layers, optimizer, loss, rows, epochs, rng):
    train, held_out = moons(rng, rows, 0.3), moons(rng, 300, 0.3)
    model = fl.Model([*layers, fl.Dense(1, activation="sigmoid")], seed=0)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model.fit(*train, epochs=epochs, validation_data=held_out)


def test_a_network_that_cannot_learn(rng):
    """Ten layers of sigmoid: the gradient does not reach the first ones."""
    deep = [fl.Dense(8, activation="sigmoid") for _ in range(10)]
    record = fit(deep, fl.SGD(0.1), "mse", 200, 20, rng)
    for found in (fl.diagnose(record), fl.diagnose(record, monitor="accuracy"), fl.diagnose(record, 0.05)):
        assert found.verdict == "underfitting"
        advice = " ".join(found.suggestions)
        assert all(word in advice for word in ("relu", "Adam", "kernel_initializer"))
        assert "EarlyStopping" not in advice


def test_a_network_that_learns_by_heart(rng):
    wide = [fl.Dense(64, activation="relu"), fl.Dense(64, activation="relu")]
    record = fit(wide, fl.Adam(0.01), "binary_cross_entropy", 30, 150, rng)
    assert record.history["loss"][-1] < 0.02
    found = fl.diagnose(record)
    assert found.verdict == "overfitting"
    advice = " ".join(found.suggestions)
    assert all(word in advice for word in ("EarlyStopping", "L1", "L2", "Dropout"))
    best = int(np.argmin(record.history["val_loss"])) + 1
    assert f"best after {best} of 150 epochs" in found.reason


def test_a_network_that_is_good(rng):
    small = [fl.Dense(16, activation="relu")]
    record = fit(small, fl.Adam(0.01), "binary_cross_entropy", 2000, 20, rng)
    assert fl.diagnose(record, target=0.3).verdict == "good"
    assert fl.diagnose(record, target=0.85, monitor="accuracy").suggestions == ()


# (history, target, monitor, verdict)
RULES = {
    "misses on both": (history(loss=[1.0, 0.8], val_loss=[1.0, 0.9]), 0.5, "loss", "underfitting"),
    "misses in training only": (history(loss=[1.0, 0.6], val_loss=[1.0, 0.4]), 0.5, "loss", "underfitting"),
    "misses in validation": (history(loss=[1.0, 0.1], val_loss=[0.9, 0.8]), 0.5, "loss", "overfitting"),
    "rises again": (history(loss=[1, 0.3, 0.1], val_loss=[0.9, 0.4, 0.8]), 0.5, "loss", "overfitting"),
    "reaches on both": (history(loss=[1.0, 0.1], val_loss=[0.9, 0.5]), 0.5, "loss", "good"),
    "never validated": (history(loss=[1.0, 0.1]), 0.5, "loss", "unvalidated"),
    "half of the first": (history(loss=[1.0, 0.51], val_loss=[1.0, 0.1]), None, "loss", "underfitting"),
    "half, reached": (history(loss=[1.0, 0.49], val_loss=[1.0, 0.5]), None, "loss", "good"),
    "what should be high": (history(loss=[1, 1], f1=[0.5, 0.89]), None, "f1", "underfitting"),
    "high enough": (history(f1=[0.5, 0.95], val_f1=[0.5, 0.9]), None, "f1", "good"),
    "not high enough": (history(f1=[0.5, 0.95], val_f1=[0.95, 0.8]), None, "f1", "overfitting"),
    "an error should be low": (history(mae=[0.5, 0.1], val_mae=[0.5, 0.4]), 0.2, "mae", "overfitting"),
    "an own metric should be low": (
        history(mine=[0.5, 0.1], val_mine=[0.5, 0.4]),
        0.2,
        "mine",
        "overfitting",
    ),
    "not a number": (history(loss=[1.0, np.nan], val_loss=[1.0, 0.1]), None, "loss", "underfitting"),
}


@pytest.mark.parametrize("row", RULES)
def test_rules(row):
    record, target, monitor, verdict = RULES[row]
    found = fl.diagnose(record, target, monitor=monitor)
    assert found.verdict == verdict
    assert str(found).startswith(f"{verdict}: ")
    assert str(found).count("\n- ") == len(found.suggestions)
    assert bool(found.suggestions) == (verdict != "good")


def test_training_that_still_gets_better_is_to_go_on_first():
    assert "more epochs" in fl.diagnose(history(loss=[1.0, 0.9, 0.8]), 0.1).suggestions[0]
    assert "more epochs" not in str(fl.diagnose(history(loss=[1.0, 0.8, 0.9]), 0.1))
    assert "more epochs" in fl.diagnose(history(accuracy=[0.2, 0.3]), monitor="accuracy").suggestions[0]


@pytest.mark.parametrize(
    "record, options, exception, match",
    [
        ({"loss": [1.0]}, {}, TypeError, "history"),
        (fl.History(), {}, ValueError, "no epochs"),
        (history(loss=[1.0]), {"monitor": "val_loss"}, ValueError, "monitor"),
        (history(loss=[1.0]), {"monitor": "acc"}, ValueError, "monitor"),
        (history(loss=[1.0]), {"target": "low"}, TypeError, "target"),
        (history(loss=[1.0]), {"target": np.nan}, ValueError, "target"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(record, options, exception, match):
    with refuses(exception, match):
        fl.diagnose(record, **options)
