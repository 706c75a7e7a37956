"""Batches that do not fit, streams that break or end: the model stays between two updates."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses, unchanged
from streams import BATCH, cut, network


def spoil(batches, number, batch):
    return [*batches[:number], batch, *batches[number + 1 :]]


BAD = {
    "no tuple": (lambda x, y: x, TypeError, "batch is a ndarray"),
    "a tuple of 1": (lambda x, y: (x,), TypeError, "tuple of 1"),
    "a tuple of 4": (lambda x, y: (x, y, y, y), TypeError, "tuple of 4"),
    "other columns": (lambda x, y: (x[:, :5], y), ValueError, r"X has shape \(24, 5\)"),
    "fewer labels": (lambda x, y: (x, y[1:]), ValueError, r"y has shape \(23,\)"),
    "labels too large": (lambda x, y: (x, y + 4), ValueError, "classes"),
    "empty": (lambda x, y: (x[:0], y[:0]), ValueError, "empty"),
    "text": (lambda x, y: (x.astype(str), y), TypeError, "dtype"),
    "bad weights": (lambda x, y: (x, y, -np.ones(BATCH)), ValueError, "sample_weight"),
}


@pytest.mark.parametrize("number", [0, 4])
@pytest.mark.parametrize("row", BAD)
def test_a_bad_batch_is_named_and_changes_nothing(row, number, blobs):
    """The first one is refused before anything happens, a later one between two updates."""
    make, exception, match = BAD[row]
    batches = spoil(cut(*blobs), number, make(*cut(*blobs)[number]))
    model, straight = network(), network()
    for batch in batches[:number]:
        straight.train_on_batch(*batch)
    with refuses(exception, rf"^Model.fit\(X\[{number}\]\): .*{match}"):
        model.fit(iter(batches) if number else batches)
    assert_same_bits(model.get_weights(), straight.get_weights())
    model.fit(cut(*blobs))  # and nothing hinders the next fit
    with unchanged(model), refuses(exception, rf"^Model.evaluate\(X\[{number}\]\): .*{match}"):
        model.evaluate(iter(batches))


def test_a_generator_that_raises_leaves_a_usable_model(blobs):
    def broken():
        yield from cut(*blobs)[:3]
        raise KeyError("disk")

    model, straight = network(), network()
    with pytest.raises(KeyError, match="disk"):
        model.fit(broken())
    for batch in cut(*blobs)[:3]:
        straight.train_on_batch(*batch)
    assert_same_bits(model.get_weights(), straight.get_weights())
    model.fit(cut(*blobs))
    straight.fit(cut(*blobs))
    assert_same_bits(model.get_weights(), straight.get_weights())  # of an epoch anew


def test_labels_of_another_kind_in_the_middle_are_refused(blobs):
    batches = spoil(cut(*blobs), 2, (blobs[0][:5], np.eye(4)[blobs[1][:5]]))
    with refuses(ValueError, r"X\[2\]\): y has shape \(5, 4\)"):
        network().fit(batches)


def test_nan_in_a_batch_stops_between_updates(blobs):
    x, y = blobs
    bad = x.copy()
    bad[2 * BATCH] = np.nan
    model, straight = network(), network()
    with pytest.raises(fl.NonFiniteLoss, match=r"epoch 0, batch 2.*data"):
        model.fit(cut(bad, y))
    for batch in cut(x, y)[:2]:
        straight.train_on_batch(*batch)
    assert_same_bits(model.get_weights(), straight.get_weights())


REFUSED = [
    (iter, {"epochs": 2}, ValueError, "once.*steps_per_epoch"),
    (lambda b: [], {}, ValueError, r"X has shape \(0,\)"),
    (lambda b: iter([]), {}, ValueError, "no batches"),
    (lambda b: iter([]), {"steps_per_epoch": 3}, ValueError, "no batches"),
    (list, {"sample_weight": np.ones(200)}, ValueError, "sample_weight"),
    (list, {"class_weight": {9: 1.0}}, ValueError, "class_weight"),
    (list, {"validation_split": 0.2}, ValueError, "validation_split"),
    (list, {"steps_per_epoch": 0}, ValueError, "steps_per_epoch"),
    (list, {"steps_per_epoch": 1.5}, TypeError, "steps_per_epoch"),
    (list, {"validation_data": iter([])}, ValueError, "once"),
    (list, {"validation_data": [(np.ones((3, 5)), np.zeros(3, int))]}, ValueError, r"validation_data\[0\]"),
    (list, {"max_seconds": 0}, ValueError, "max_seconds"),
    (list, {"max_seconds": "long"}, TypeError, "max_seconds"),
    (lambda b: 3, {}, ValueError, "X has shape"),
    (lambda b: b[0][0], {}, TypeError, "y is None"),
]


@pytest.mark.parametrize("make, options, exception, match", REFUSED)
def test_what_does_not_fit_is_refused(make, options, exception, match, blobs):
    model = network()
    model.fit(*blobs)
    with unchanged(model), refuses(exception, match):
        model.fit(make(cut(*blobs)), **options)


def test_steps_are_for_batches(blobs):
    with refuses(ValueError, "steps_per_epoch"):
        network().fit(*blobs, steps_per_epoch=3)


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_no_batches_cannot_be_measured(method):
    with refuses(ValueError, "no batches"):
        getattr(network(), method)(iter([]))


@pytest.mark.parametrize("given, epochs", [(9 + 4, 2), (18, 2), (4, 1)])
def test_a_generator_that_ends_early_ends_training(given, epochs, blobs):
    batches = (cut(*blobs) * 3)[:given]
    model, straight = network(), network()
    with pytest.warns(UserWarning, match=rf"gave {given % 9} batches for epoch.*steps_per_epoch=9"):
        history = model.fit(iter(batches), epochs=5, steps_per_epoch=9)
    assert len(history.epoch) == epochs
    for batch in batches:
        straight.train_on_batch(*batch)
    assert_same_bits(model.get_weights(), straight.get_weights())


def test_stopping_within_an_epoch(blobs):
    class Stop(fl.Callback):
        def on_batch_end(self, batch, logs):
            self.model.stop_training = batch == 3

    model, straight = network(), network()
    history = model.fit(cut(*blobs), epochs=5, callbacks=[Stop()])
    assert history.history == {"loss": [], "accuracy": [], "largest": []}
    assert history.stop_reason == "stop_training was set"
    for batch in cut(*blobs)[:4]:
        straight.train_on_batch(*batch)
    assert_same_bits(model.get_weights(), straight.get_weights())


def test_a_model_in_a_fit_is_not_trained_by_others(blobs):
    class Meddle(fl.Callback):
        def on_batch_end(self, batch, logs):
            self.model.train_on_batch(*blobs)

    model = network()
    with pytest.raises(RuntimeError, match="in a fit that this is called from"):
        model.fit(cut(*blobs), callbacks=[Meddle()])
    model.train_on_batch(*blobs)


INTERRUPTED = """
import numpy as np
import signal
import fallline as fl

signal.signal(signal.SIGINT, signal.default_int_handler)
model = fl.Model([fl.Input(800), fl.Dense(800, activation="relu"), fl.Dense(1)], seed=0)
model.compile(fl.Adam(1e-6), "mse")
x, y = np.ones(({rows}, 800), np.float32), np.ones(({rows}, 1))
model.fit([(x[:8], y[:8])])
print("training", flush=True)
try:
    model.fit([(x, y)] * 3, epochs=10**9)
except KeyboardInterrupt:
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit([(x[:8], y[:8])])
    print("interrupted")
"""


@pytest.mark.parametrize("rows", [4, 20_000])
def test_ctrl_c_stops_a_fit_of_batches(rows, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(rows=rows)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "training\n", process.stderr.read()
        threading.Event().wait(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (out, process.returncode) == ("interrupted\n", 0), err
