"""Signals during long calls: handlers run within a tenth of a second, and what they raise ends the call."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="handlers run on the main thread"
)


class Alarm(Exception):
    pass


@contextmanager
def alarm(seconds, act):
    """act() is called by a signal after so many seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: act())
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def classifier(width=64, optimizer="adam", seed=0):
    model = fl.Model([fl.Input(64), fl.Dense(width, "relu"), fl.Dense(4, "softmax")], seed=seed)
    model.compile(optimizer, "cross_entropy")
    return model


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    return rng.normal(size=(200_000, 64)).astype(np.float32), rng.integers(0, 4, 200_000)


# Each would take minutes.
LONG = {
    "fit": lambda m, X, y: m.fit(X, y, epochs=10**5),
    "fit with large batches": lambda m, X, y: m.fit(X, y, batch_size=100_000, epochs=10**5),
    "partial_fit": lambda m, X, y: m.partial_fit(
        np.broadcast_to(X[:1], (10**8, 64)), np.zeros(10**8, np.uint8)
    ),
    "evaluate": lambda m, X, y: m.evaluate(np.broadcast_to(X[:1], (10**8, 64)), np.zeros(10**8, np.uint8)),
    "predict": lambda m, X, y: m.predict(np.broadcast_to(X[:1], (3 * 10**8, 64))),
    "fit_many": lambda m, X, y: fl.fit_many([m, classifier(8)], X, y, epochs=10**5, verbose=0),
    "stream": lambda m, X, y: m.fit([(X, y)], epochs=10**5),
    "multi_start": lambda m, X, y: fl.multi_start(m, X, y, starts=3, epochs=10**5),
    "annealing": lambda m, X, y: classifier(4, fl.SimulatedAnnealing(proposals=10**9)).fit(
        X[:50], y[:50], epochs=10**6
    ),
    "L-BFGS": lambda m, X, y: classifier(512, fl.LBFGS(gtol=0)).fit(X, y, epochs=10**5),
    "minimize": lambda m, X, y: fl.minimize(
        lambda x: (float((x**4).sum()), 4 * x**3), np.ones(9), optimizer="sgd", gtol=0, max_iterations=10**9
    ),
}
# One update, or one gradient, of seconds.
ONE = {
    "train_on_batch": lambda m, X, y: m.train_on_batch(X, y),
    "loss_and_gradients": lambda m, X, y: m.loss_and_gradients(X, y),
}


@pytest.mark.parametrize("call", [*LONG, *ONE])
def test_a_handler_that_raises_ends_a_long_call(call, rows):
    model = classifier(4096 if call in ONE else 256)
    model.stop_training = False
    late = []

    def act():
        late.append(time.perf_counter())
        raise Alarm

    before = model.get_weights()
    with alarm(0.3, act), pytest.raises(Alarm):
        (LONG | ONE)[call](model, *rows)
    ended = time.perf_counter()
    assert ended - late[0] < 5  # not after the minutes that were left
    if call in ONE:
        assert_same_bits(model.get_weights(), before)
    model.fit(rows[0][:100], rows[1][:100])


@pytest.mark.parametrize("batch_size", [32, 100_000])
def test_a_handler_that_does_not_raise_changes_no_bit(batch_size, rows, tmp_path):
    X, y = rows
    alone, watched = classifier(128), classifier(128)
    epochs = 1 if batch_size == 32 else 3
    alone.fit(X, y, batch_size=batch_size, epochs=epochs)
    calls = []

    def act():
        calls.append(watched.predict(X[:5]))
        watched.save(tmp_path / "model.safetensors")
        signal.setitimer(signal.ITIMER_REAL, 0.1)

    with alarm(0.1, act):
        watched.fit(X, y, batch_size=batch_size, epochs=epochs)
    assert calls
    assert_same_model(watched, alone)
