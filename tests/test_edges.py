"""Corners of the public API that once gave wrong numbers or worse."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest

import fallline as fl
from fallline import _core
from helpers import refuses


def classifier(**compiled) -> fl.Model:
    model = fl.Model([fl.Input(3), fl.Dense(4, activation="relu"), fl.Dense(2, activation="softmax")], seed=1)
    model.compile(**({"optimizer": fl.SGD(0.1), "loss": "cross_entropy"} | compiled))
    return model


@pytest.mark.parametrize("weight", [[0, 0, 0, 0, 1, 1, 1, 1], [1e-40] * 8])
def test_batches_of_no_weight_leave_finite_weights(weight, rng):
    X, y = rng.normal(size=(8, 3)), rng.integers(0, 2, 8)
    model = classifier()
    history = model.fit(X, y, batch_size=4, shuffle=False, sample_weight=np.array(weight))
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_batch_of_no_weight_changes_nothing(rng):
    model = classifier()
    before = model.get_weights()
    model.fit(rng.normal(size=(4, 3)), np.zeros(4, int), class_weight={0: 0.5}, epochs=0)
    network = model._network
    assert network is not None
    in_order = _core.Sampler({"name": "sequential"}, 8)
    trainer = network.trainer(
        rng.normal(size=(8, 3)), np.zeros(8, int), np.array([0.0] * 4 + [1.0] * 4), 4, in_order
    )
    trainer.run(np.array([0.1]), 1, 1, 10.0)
    trainer.close()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_of_numbers_that_are_not_finite_are_refused(rng):
    X = rng.normal(size=(8, 3))
    X[2, 1] = np.nan
    model = classifier(loss=fl.CrossEntropy(reduction="sum"))
    with pytest.raises(fl.NonFiniteLoss, match="the data"):
        model.loss_and_gradients(X, np.zeros(8, int))


@pytest.mark.parametrize(
    "between",
    [[fl.BatchNormalization(epsilon=1e-50)], [fl.Residual([fl.Activation("exponential")]) for _ in range(6)]],
    ids=["1 / sqrt(0)", "e^e^..."],
)
def test_what_overflows_beyond_the_last_column_stays_out_of_the_norm_of_gradients(between, rng):
    first = fl.Dense(11, bias_initializer=fl.initializers.Constant(-50.0))
    model = fl.Model([fl.Input(5), first, *between, fl.Dense(3)], seed=0)
    model.compile(fl.SGD(1.0, clip_norm=1e-3), "mse")
    learned = [i for i, (_, name, _) in enumerate(model._network.parameters) if not name.startswith("moving")]
    before = model.get_weights()
    model.train_on_batch(rng.normal(size=(40, 5)), rng.normal(size=(40, 3)))
    after = model.get_weights()
    step = np.sqrt(sum(np.square(after[i] - before[i], dtype=float).sum() for i in learned))
    assert step == pytest.approx(1e-3, rel=0.02)


def test_a_lone_activation_cannot_give_its_work_to_the_loss():
    model = fl.Model([fl.Input(3), fl.Activation("softmax")])
    with refuses(ValueError, "softmax"):
        model.compile("sgd", "cross_entropy")


@pytest.mark.parametrize("batch_size", [2**31, 2**70])
def test_batches_of_absurd_size_are_refused(batch_size, rng):
    with refuses(ValueError, "batch_size"):
        classifier().fit(rng.normal(size=(8, 3)), np.zeros(8, int), batch_size=batch_size)


def test_a_validation_part_needs_some_weight(rng):
    model = classifier()
    before = model.get_weights()
    with refuses(ValueError, "validation_split"):
        model.fit(
            rng.normal(size=(8, 3)),
            np.zeros(8, int),
            validation_split=0.5,
            sample_weight=np.repeat([1.0, 0.0], 4),
        )
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_out_of_range_targets_are_refused_batch_by_batch(rng):
    model = fl.Model([fl.Input(3), fl.Dense(1, activation="sigmoid")], seed=0)
    model.compile("sgd", "binary_cross_entropy")
    for targets in (np.full(8, 5.0), np.full(8, 5)):
        with refuses(ValueError, "from 0 to 1"):
            model.train_on_batch(rng.normal(size=(8, 3)), targets)


def test_memory_that_overlaps_is_refused():
    x = np.linspace(-1, 1, 9)
    with refuses(ValueError, "shared"):
        fl.ops.relu(x[:-1], out=x[1:])
    with refuses(ValueError, "shared"):
        fl.SGD(0.1).step([x, x[2:]], [np.ones(9), np.ones(7)])
    with refuses(ValueError, "shared"):
        fl.SGD(0.1).step([x[:-1]], [x[1:]])
    np.testing.assert_array_equal(fl.ops.relu(x, out=x), np.maximum(np.linspace(-1, 1, 9), 0))


def test_gradients_may_be_lists():
    theta = np.zeros(200_000)
    fl.SGD(1.0).step([theta], [[1.0] * len(theta)])
    np.testing.assert_array_equal(theta, -1)


def test_ctrl_c_is_over_when_it_is_over(rng):
    """A single batch after an interrupted fit is a batch like any other."""
    X, y = rng.normal(size=(64, 3)), rng.integers(0, 2, 64)
    model = classifier()
    ignored = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # as a shell's background job may have it
    try:
        threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y, epochs=10**7)
    finally:
        signal.signal(signal.SIGINT, ignored)
    before = model.get_weights()[0]
    assert np.isfinite(model.train_on_batch(X, y))
    assert (model.get_weights()[0] != before).any()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_handlers_of_other_signals_do_not_wait_for_the_end(rng):
    model = classifier()

    def stop(*_):
        model.stop_training = True

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        model.fit(rng.normal(size=(64, 3)), rng.integers(0, 2, 64), epochs=10**8)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert model.stop_training


def test_a_trainer_may_be_closed_while_it_runs(rng):
    network = classifier()._network
    assert network is not None
    trainer = network.trainer(rng.normal(size=(64, 3)), rng.integers(0, 2, 64))
    thread = threading.Thread(target=trainer.run, args=(np.array([0.1]), 10**9, 10**9, 0.5))
    thread.start()
    time.sleep(0.1)
    trainer.close()
    thread.join()
    with pytest.raises(RuntimeError, match="closed"):
        trainer.run(np.array([0.1]), 1, 1, 1.0)
