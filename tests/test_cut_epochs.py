"""Epochs that are cut: they are over, whoever cuts them and whatever runs them."""

from __future__ import annotations

import copy
import pickle
import signal
import threading

import numpy as np
import pytest

import fallline as fl
from cuts import BATCHES, ROWS, SIZE, Cut, Cuts, fail, interrupt, interruptible, network, stop
from fallline import serialization
from helpers import assert_same_bits, assert_same_model, refuses, saved
from streams import cut, endless


@pytest.fixture
def data(rng):
    x = rng.normal(size=(ROWS, 6))
    return x, np.tanh(x[:, :2] - x[:, 2:4])


def stamped(x, y, epoch, batch):
    """The batches, of which one in an epoch is not finite."""

    class Batches:
        epoch = -1

        def __iter__(self):
            self.epoch += 1
            for i, (a, b) in enumerate(cut(x, y, size=SIZE)):
                yield (np.full_like(a, np.nan), b) if (self.epoch, i) == (epoch, batch) else (a, b)

    return Batches()


WAYS = {
    "stop_training": (stop, None),
    "an exception": (fail, Cut),
    "Ctrl-C": (interrupt, KeyboardInterrupt),
}
SOURCES = {
    "arrays": lambda x, y: ((x, y), {"batch_size": SIZE, "shuffle": False}),
    "batches": lambda x, y: ((cut(x, y, size=SIZE),), {}),
    "a generator": lambda x, y: ((endless(cut(x, y, size=SIZE)),), {"steps_per_epoch": BATCHES}),
}


def fitted(model, arguments, options, error, **more):
    """The History of a fit, or None if it ends in the error."""
    if error is None:
        return model.fit(*arguments, **options, **more)
    with interruptible(), pytest.raises(error):
        model.fit(*arguments, **options, **more)
    return None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("way", WAYS)
def test_the_next_fit_uses_every_row(way, source, dtype, data):
    """Against single updates on the batches, whose masks and moments follow from their number."""
    act, error = WAYS[way]
    model, straight = network(dtype, metrics=["mae"]), network(dtype, metrics=["mae"])
    arguments, options = SOURCES[source](*data)
    history = fitted(model, arguments, options, error, epochs=5, callbacks=[Cuts(act)])
    state = model.get_state()
    assert (state["epoch"], state["step"], state["begun"]) == (2, BATCHES + 4, False)
    assert "row" not in state
    if history is not None:
        assert history.epoch == [0]
        assert {len(values) for values in history.history.values()} == {1}
    arguments, options = SOURCES[source](*data)
    rest = model.fit(*arguments, **options, epochs=2)
    batches = cut(*data, size=SIZE)
    losses = [straight.train_on_batch(*batch) for batch in [*batches, *batches[:4], *batches, *batches]]
    assert_same_bits(model.get_weights(), straight.get_weights())
    assert rest.epoch == [2, 3]
    weights = [len(y) for _, y in batches]
    expected = [np.average(losses[-k * BATCHES :][:BATCHES], weights=weights) for k in (2, 1)]
    np.testing.assert_allclose(rest.history["loss"], expected, rtol=1e-6 if dtype == "float32" else 1e-13)


def test_other_rows_are_all_used(rng):
    """By a fit of other rows after a new compile, after loading, and among many."""
    a, b = rng.normal(size=(2, 960, 3))
    for again in (lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
        for fit in (lambda m: m.fit(b, b[:, 1]), lambda m: fl.fit_many([m], b, b[:, 1])):
            model = fl.Model([fl.Input(3), fl.Dense(1)], seed=0)
            model.compile("sgd", "mse")
            model.fit(a, a[:, 0], callbacks=[Cuts(stop, 0, 19)])
            model.compile("sgd", "mse")
            model = again(model)
            fit(model)
            assert model.get_state()["step"] == 30


def test_a_cut_epoch_has_used_its_order(data):
    """The next one has that which follows, as in a fit that was never cut."""
    used = []

    class Look(fl.Layer):
        def forward(self, x, training):
            used.extend(x[:, 0].tolist() if training else [])
            return x

        def backward(self, gradient):
            return gradient

    def made():
        model = fl.Model([fl.Input(6), Look(), fl.Dense(2)], seed=4, dtype="float64")
        model.compile("sgd", "mse")
        return model

    made().fit(*data, batch_size=SIZE, epochs=3)
    orders = np.reshape(used, (3, ROWS)).tolist()
    used.clear()
    model = made()
    model.fit(*data, batch_size=SIZE, epochs=3, callbacks=[Cuts(stop, 0)])
    model.fit(*data, batch_size=SIZE, epochs=2)
    assert used == [*orders[0][: 4 * SIZE], *orders[1], *orders[2]]


COPIES = {
    "save": saved,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
    "get_state": lambda model: model.get_state(),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", COPIES)
def test_what_is_kept_of_an_epoch_holds_no_position(kind, source, data, tmp_path):
    """A copy made within an epoch is the model of which that epoch was cut there."""
    kept = []

    def keep(model):
        kept.append(COPIES[kind](model))
        model.stop_training = True

    model = network()
    arguments, options = SOURCES[source](*data)
    model.fit(*arguments, **options, epochs=3, callbacks=[Cuts(keep)])
    [other] = kept
    if kind == "save":
        (tmp_path / "m").write_bytes(other)
        other = fl.load_model(tmp_path / "m")
    elif kind == "get_state":
        state, other = other, network()
        other.set_state(state)
    assert_same_model(other, model)
    for each in (model, other):
        each.fit(*data, batch_size=SIZE, epochs=2)
    assert_same_model(other, model)


@pytest.mark.parametrize("row, epoch", [(0, 3), (8, 4)])
def test_files_with_a_position_load_without_it(row, epoch, data, tmp_path):
    """As they were written once: rows used of the running epoch beside the epochs that are done."""
    model = network()
    model.fit(*data, epochs=3)
    description, arrays = model.described()
    del description["begun"]
    serialization.write(tmp_path / "old", description | {"row": row}, arrays)
    loaded, other = fl.load_model(tmp_path / "old"), network()
    state = model.get_state()
    del state["begun"]
    other.set_state(state | {"row": row})
    for each in (loaded, other):
        assert each.get_state()["epoch"] == epoch
        assert_same_bits(each.get_weights(), model.get_weights())
        assert each.fit(*data, batch_size=SIZE, epochs=2).epoch == [epoch, epoch + 1]
        assert each.get_state()["step"] == model.get_state()["step"] + 2 * BATCHES
    assert_same_model(loaded, other)
    for bad in (-1, 0.5, "8"):
        with refuses(ValueError if bad == -1 else TypeError, "row is "):
            other.set_state(state | {"row": bad})


def test_a_batch_that_is_not_finite_cuts_its_epoch(data):
    model, untouched = network(), network()
    with pytest.raises(fl.NonFiniteLoss, match="epoch 1, batch 3"):
        model.fit(stamped(*data, 1, 3), epochs=3)
    assert (model.get_state()["epoch"], model.get_state()["step"]) == (2, BATCHES + 3)
    with pytest.raises(fl.NonFiniteLoss):
        untouched.fit(stamped(*data, 0, 0), epochs=3)
    assert_same_model(untouched, network())  # an epoch counts from its first update on


@pytest.mark.parametrize("source", SOURCES)
def test_the_clock_cuts_an_epoch(source, data):
    model = network()
    arguments, options = SOURCES[source](*data)
    history = model.fit(*arguments, **options, epochs=10**9, max_seconds=0.05)
    state = model.get_state()
    whole = len(history.epoch)
    assert state["step"] // BATCHES == whole
    assert state["epoch"] == whole + (state["step"] % BATCHES > 0)
    assert history.stop_reason == "max_seconds are over"
    assert len(model.fit(*data, batch_size=SIZE, epochs=2).epoch) == 2
    assert model.get_state()["step"] == state["step"] + 2 * BATCHES


def test_many_models_are_cut_alike(data):
    """By the clock, in rounds and alone: the next epochs are whole, and those of fit() from there."""
    models = [network(seed=i) for i in range(4)]
    histories = fl.fit_many(models, *data, batch_size=SIZE, epochs=10**8, max_seconds=0.1)
    for model, history in zip(models, histories, strict=True):
        state = model.get_state()
        assert len(history.epoch) == state["step"] // BATCHES
        assert state["epoch"] == len(history.epoch) + (state["step"] % BATCHES > 0)
    alone = copy.deepcopy(models)
    again = fl.fit_many(models, *data, batch_size=SIZE, epochs=2)
    for model, other, history in zip(models, alone, again, strict=True):
        expected = other.fit(*data, batch_size=SIZE, epochs=2)
        assert (history.epoch, history.history) == (expected.epoch, expected.history)
        assert_same_model(model, other)


def test_a_part_of_a_stream_is_no_epoch(data):
    """Whether it is gone through or given up."""
    model = network()
    model.fit(*data, batch_size=SIZE, callbacks=[Cuts(stop, 0)])
    model.partial_fit(*data, batch_size=SIZE)
    assert (model.get_state()["epoch"], model.get_state()["begun"]) == (1, False)
    rows = np.zeros((3_000_000, 6), np.float32)
    with interruptible():
        threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(rows, rows[:, :2], batch_size=SIZE)
    assert (model.get_state()["epoch"], model.get_state()["begun"]) == (1, False)
    assert model.fit(*data, batch_size=SIZE).epoch == [1]


def test_schedulers_are_asked_once_an_epoch(data):
    asked = []
    halve = fl.LearningRateScheduler(lambda epoch, rate: asked.append((epoch, rate)) or rate / 2)
    model = network(optimizer=fl.SGD(1.0))
    model.fit(*data, batch_size=SIZE, callbacks=[halve, Cuts(stop, 0)])
    history = model.fit(*data, batch_size=SIZE, epochs=2, callbacks=[halve])
    assert asked == [(0, 1.0), (1, 0.5), (2, 0.25)]
    assert history.history["learning_rate"] == [0.25, 0.125]


def test_a_signal_that_does_not_end_training_tells_nobody_twice(data):
    begun = []
    tell = fl.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        network().fit(*data, batch_size=1, epochs=20, callbacks=[tell])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert begun == list(range(20))


def test_going_back_within_an_epoch_begins_another(data):
    """What a callback puts back is the model between two epochs; the fit still does its number of them."""
    model, straight = network(), network()
    state = model.get_state()

    def go_back(m):
        m.set_state(state)
        back.at = None

    back = Cuts(go_back, 0, 5)
    history = model.fit(*data, batch_size=SIZE, epochs=3, callbacks=[back])
    expected = straight.fit(*data, batch_size=SIZE, epochs=3)
    assert (history.epoch, history.history) == (expected.epoch, expected.history)
    assert_same_model(model, straight)
