"""Cut epochs of chains, of methods that see all rows, and of samplers that learn."""

from __future__ import annotations

import copy
import signal
import threading

import numpy as np
import pytest

import fallline as fl
from cuts import BATCHES, ROWS, SIZE, Cuts, interruptible, network, stop
from helpers import assert_same_bits


@pytest.fixture
def data(rng):
    x = rng.normal(size=(ROWS, 6))
    return x, np.tanh(x[:, :2] - x[:, 2:4])


def stages(model):
    """(stage, its whole epochs), of a chain."""
    return tuple(model.get_state()["arrays"]["optimizer.course"][:2].astype(int).tolist())


def test_a_budget_is_one_of_whole_epochs(data):
    model = network(optimizer=fl.Chain([(fl.Adam(0.02), 3), (fl.SGD(0.01), 2)]))
    model.fit(*data, batch_size=SIZE, callbacks=[Cuts(stop, 1)])
    assert (stages(model), model.get_state()["epoch"]) == ((0, 1), 2)
    assert len(model.fit(*data, batch_size=SIZE).epoch) == 4
    assert (stages(model), model.get_state()["epoch"]) == ((1, 2), 6)


@pytest.mark.parametrize("batch", [0, 5, 11])
def test_a_plateau_judges_whole_epochs(batch, data):
    """Against the rule on the losses of the epochs that were whole."""
    patience, least = 2, 0.05
    model = network(
        optimizer=fl.Chain([(fl.Adam(0.03), fl.Plateau(patience, min_delta=least)), (fl.SGD(0.01), 3)])
    )
    losses = []
    for epoch in (0, 2, 3):
        losses += model.fit(*data, batch_size=SIZE, callbacks=[Cuts(stop, epoch, batch)]).history["loss"]
    losses += model.fit(*data, batch_size=SIZE).history["loss"]
    best, waited, first = np.inf, 0, 0
    while waited < patience:
        best, waited = (
            (losses[first], 0)
            if best == np.inf or best - losses[first] > least * best
            else (best, waited + 1)
        )
        first += 1
    assert len(losses) == first + 3


@pytest.mark.parametrize(
    "optimizer", [fl.SGD(1e-4), fl.LBFGS(max_iterations=10**7, gtol=0, ftol=0)], ids=repr
)
def test_epochs_that_ctrl_c_ends_are_counted(optimizer, data):
    """All rows make one update: there is no epoch that is half done."""
    model = fl.Model([fl.Input(6), fl.Dense(40, "tanh"), fl.Dense(2)], seed=1, dtype="float64")
    model.compile(fl.Chain([(optimizer, 10**7)]), "mse")
    with interruptible():
        threading.Timer(0.25, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            model.fit(*data, batch_size=ROWS, epochs=10**7)
    assert model.get_state()["epoch"] > 0
    assert stages(model) == (0, model.get_state()["epoch"])


def test_epochs_before_a_loss_that_is_not_finite_are_counted(data):
    rate = fl.schedules.Piecewise([2 * BATCHES], [0.01, 1e30])
    model = network("float32", fl.Chain([(fl.SGD(rate), 50)]))
    with pytest.raises(fl.NonFiniteLoss, match="epoch 2"):
        model.fit(*data, batch_size=SIZE)
    assert stages(model) == (0, 2)


@pytest.mark.parametrize("watched", [False, True])
def test_a_schedule_that_raises_leaves_the_count_of_whole_epochs(watched, data):
    def rate(step):
        if step == 2 * BATCHES:
            raise ZeroDivisionError
        return 0.01

    model = network(optimizer=fl.Chain([(fl.SGD(rate), 50)]))
    watching = [Cuts(stop, 99)] if watched else []  # one batch at a time, or many
    with pytest.raises(ZeroDivisionError):
        model.fit(*data, batch_size=SIZE, callbacks=watching)
    whole = model.get_state()["step"] // BATCHES
    assert whole == (2 if watched else 0)  # rates are asked for ahead
    assert stages(model) == (0, whole)


def test_a_second_moment_is_that_of_a_whole_epoch(data):
    """What a cut epoch has gathered is not mixed into that of the next."""
    sampler, fresh = (fl.samplers.AWSGD("examples", learning_rate=0.0) for _ in range(2))
    model = fl.Model([fl.Input(6), fl.Dense(2)], seed=0, dtype="float64")
    model.compile(fl.SGD(0.0), "mse")
    model.fit(*data, batch_size=SIZE, sampler=sampler, callbacks=[Cuts(stop, 0, 9)])
    twin = copy.deepcopy(model)
    model.fit(*data, batch_size=SIZE, sampler=sampler)
    twin.fit(*data, batch_size=SIZE, sampler=fresh)
    assert sampler.second_moment == fresh.second_moment


def test_a_batch_that_is_given_up_for_a_signal_is_told_once(rng):
    """Large batches are taken in pieces: those before the signal are done again."""
    x = rng.normal(size=(16_000, 8))
    results, signals, over = [], [], threading.Event()

    def disturb():
        while not over.wait(0.02):
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda *_: signals.append(1))
    thread = threading.Thread(target=disturb)
    try:
        for disturbed in (False, True):
            sampler = fl.samplers.AWSGD("examples")
            model = fl.Model([fl.Input(8), fl.Dense(64, "tanh"), fl.Dense(1)], seed=0, dtype="float64")
            model.compile(fl.SGD(0.1), "mse")
            if disturbed:
                thread.start()
            model.fit(x, x[:, 0] * x[:, 1], batch_size=8000, epochs=20, sampler=sampler)
            results.append([*model.get_weights(), sampler.probabilities, np.array(sampler.second_moment)])
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert signals
    assert_same_bits(*results)
