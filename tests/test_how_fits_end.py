"""What the History of a fit tells of its end."""

from __future__ import annotations

import csv
import math
import signal

import numpy as np
import pytest

import fallline as fl
from cases.fleet import classifier
from helpers import Scripted, refuses
from streams import cut, network

KEYS = ["loss", "accuracy", "largest", "val_loss", "val_accuracy", "val_largest"]


class Stop(fl.Callback):
    """Ends training at a moment."""

    def __init__(self, moment):
        super().__init__()
        setattr(self, moment, self.act)
        self.moment = moment

    @property
    def acts_on_batches(self):
        return self.moment == "on_batch_end"

    def act(self, *_):
        self.model.stop_training = True


@pytest.mark.parametrize(
    "moment, epochs, updates",
    [("on_train_begin", 0, 0), ("on_epoch_begin", 0, 0), ("on_batch_end", 0, 1), ("on_epoch_end", 1, 9)],
)
@pytest.mark.parametrize("in_batches", [False, True])
def test_a_callback_stops_at_once(in_batches, moment, epochs, updates, blobs):
    model = network()
    X, y, size = (cut(*blobs), None, None) if in_batches else (*blobs, 24)
    history = model.fit(
        X, y, batch_size=size, epochs=3, validation_data=blobs, callbacks=[Stop(moment)], verbose=0
    )
    assert model.get_state()["step"] == updates
    assert history.epoch == list(range(epochs))
    assert {name: len(values) for name, values in history.history.items()} == dict.fromkeys(KEYS, epochs)
    assert list(history.history) == KEYS
    assert history.stop_reason == "stop_training was set"


def test_signal_handlers_and_other_threads_stop_it_too(blobs):
    model = network()

    def stop(*_):
        model.stop_training = True

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        history = model.fit(*blobs, epochs=10**8)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert history.stop_reason == "stop_training was set"


class Bored(fl.Callback):
    """Says why it stops."""

    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = True
        self.stop_reason = "nothing new"


WAYS = {
    "all epochs": ({"epochs": 2}, None),
    "none": ({"epochs": 0}, None),
    "time": ({"epochs": 10**8, "max_seconds": 0.01}, "max_seconds are over"),
    "no time": ({"epochs": 5, "max_seconds": 1e-9}, "max_seconds are over"),
    "patience": (
        {"epochs": 9, "callbacks": [Scripted([1.0] * 9, "loss"), fl.EarlyStopping("loss", patience=2)]},
        "loss has not become better for 2 epochs",
    ),
    "no patience left in the last epoch": (
        {"epochs": 3, "callbacks": [Scripted([1.0] * 9, "loss"), fl.EarlyStopping("loss", patience=2)]},
        "loss has not become better for 2 epochs",
    ),
    "patience beyond the last epoch": (
        {"epochs": 2, "callbacks": [Scripted([1.0] * 9, "loss"), fl.EarlyStopping("loss", patience=2)]},
        None,
    ),
    "own words": ({"epochs": 9, "callbacks": [Bored()]}, "nothing new"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_stop_has_its_reason(way, blobs):
    options, reason = WAYS[way]
    model = network()
    history = model.fit(*blobs, **options)
    assert history.stop_reason == reason
    assert all(len(values) == len(history.epoch) for values in history.history.values())
    assert model.fit(*blobs).stop_reason is None


def test_an_iterable_at_its_end(blobs):
    with pytest.warns(UserWarning, match="gave 4 batches"):
        history = network().fit(iter(cut(*blobs)[:4]), epochs=2, steps_per_epoch=9)
    assert history.stop_reason == "the batches are at their end"


def test_names_that_callbacks_write_are_there_without_an_epoch(blobs):
    history = network().fit(
        *blobs, epochs=0, validation_data=blobs, callbacks=[fl.ReduceLROnPlateau(), fl.EarlyStopping()]
    )
    assert history.history == {name: [] for name in [*KEYS, "learning_rate"]}


def test_many_models_have_their_lists_too(blobs):
    for more, names in (({}, ["loss"]), ({"validation_data": blobs}, ["loss", "val_loss"])):
        models = [classifier(8, seed=i) for i in range(3)]
        for history in fl.fit_many(models, *blobs, epochs=[0, 1, 0], **more)[::2]:
            assert (history.history, history.stop_reason) == ({name: [] for name in names}, None)


@pytest.mark.parametrize("optimizer", [fl.LBFGS(), fl.Chain([(fl.Adam(), 3)])], ids=repr)
def test_optimizers_that_stop_by_themselves(optimizer, rng):
    model = fl.Model([fl.Dense(1)], seed=0, dtype="float64")
    model.compile(optimizer, "mse")
    X = rng.normal(size=(30, 2))
    assert model.fit(X, X[:, 0], epochs=1).stop_reason is None
    assert model.fit(X, X[:, 0]).stop_reason
    again = model.fit(X, X[:, 0])
    assert again.stop_reason
    assert list(again.history) == ["loss"]


# --- the last line of a fit that blows up ---


def explode(blobs, epoch):
    """Batches, the third of which is not finite in one epoch."""

    class Batches:
        now = -1

        def __iter__(self):
            self.now += 1
            for i, (x, y) in enumerate(cut(*blobs)):
                yield (np.full_like(x, np.inf), y) if (self.now, i) == (epoch, 2) else (x, y)

    return Batches()


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("place", [0, 1])
def test_the_last_line_is_in_history_and_log(place, epoch, blobs, tmp_path, capsys):
    model, told = network(), []
    guard = fl.TerminateOnNonFinite()
    halve = fl.LearningRateScheduler(lambda now, rate: rate / 2)
    callbacks = [halve, fl.LambdaCallback(on_epoch_end=lambda now, logs: told.append((now, dict(logs))))]
    callbacks.insert(place, guard)
    history = model.fit(
        explode(blobs, epoch),
        epochs=5,
        validation_data=blobs,
        callbacks=[*callbacks, fl.CSVLogger(tmp_path / "log.csv")],
        verbose=2,
    )
    assert history.epoch == list(range(epoch + 1))
    assert list(history.history) == [*KEYS, "learning_rate"]
    for name, values in history.history.items():
        assert len(values) == epoch + 1
        assert all(map(math.isfinite, values[:-1]))
        assert math.isnan(values[-1]) == (name != "learning_rate")
    assert told[-1][0] == epoch
    lines = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [int(line["epoch"]) for line in lines] == history.epoch
    for line, rate in zip(lines, history.history["learning_rate"], strict=True):
        assert float(line["learning_rate"]) == rate
    assert all(math.isnan(float(lines[-1][name])) for name in KEYS)
    assert len(capsys.readouterr().out.splitlines()) == epoch + 1
    assert history.stop_reason == guard.reason
    assert f"epoch {epoch}, batch 2" in guard.reason
    assert (guard.stopped_epoch, guard.restored_epoch) == (epoch, epoch - 1 if epoch else None)
    assert model.get_state()["epoch"] == epoch  # it has gone back


def test_a_callback_of_ones_own_may_end_it(blobs):
    class Calm(fl.Callback):
        def on_non_finite(self, error):
            return True

    history = network().fit(explode(blobs, 1), epochs=5, callbacks=[Calm()])
    assert history.stop_reason.startswith("Model.fit: the loss is not finite in epoch 1, batch 2")
    assert history.epoch == [0, 1]


def test_a_fit_that_blew_up_is_diagnosed_by_what_it_measured(blobs):
    model = network()
    options = {"epochs": 5, "validation_data": blobs}
    history = model.fit(explode(blobs, 3), **options, callbacks=[fl.TerminateOnNonFinite()])
    whole = fl.History()
    for i, epoch in enumerate(history.epoch[:-1]):
        whole.add(epoch, {name: values[i] for name, values in history.history.items()})
    assert fl.diagnose(history) == fl.diagnose(whole)
    at_once = network().fit(explode(blobs, 0), **options, callbacks=[fl.TerminateOnNonFinite()])
    for record in (at_once, network().fit(*blobs, epochs=0)):
        with refuses(ValueError, "no epochs"):
            fl.diagnose(record)


def test_models_without_an_epoch_have_their_lines(blobs, capsys):
    models = [classifier(8, seed=i) for i in range(2)]
    fl.fit_many(models, *blobs, epochs=[0, 1], verbose=2)
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines[0].split() == ["model", "0", "0", "epochs"]
    assert lines[1].startswith("model 1  1 epochs  loss ")
