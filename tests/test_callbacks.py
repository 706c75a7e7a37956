"""History, callbacks, early stopping, checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model, refuses


def network(seed=0, rate=0.01):
    model = fl.Model(
        [fl.Input(8), fl.Dense(16, activation="tanh"), fl.Dense(4, activation="softmax")], seed=seed
    )
    model.compile(fl.Adam(rate), "cross_entropy", metrics=["accuracy"])
    return model


class Scripted(fl.Callback):
    """Writes chosen numbers into the logs, so that those who come later see them."""

    def __init__(self, values, key="val_loss"):
        super().__init__()
        self.values, self.key = values, key

    def on_epoch_end(self, epoch, logs):
        logs[self.key] = self.values[epoch]


def test_history_has_one_float_an_epoch(blobs):
    x, y = blobs
    history = network().fit(x, y, epochs=3, validation_data=(x, y))
    assert isinstance(history, fl.History)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    for values in history.history.values():
        assert len(values) == 3
        assert all(type(v) is float and np.isfinite(v) for v in values)


def test_validation_numbers_are_those_of_evaluate(blobs):
    x, y = blobs
    model = network()
    history = model.fit(x[:150], y[:150], epochs=2, validation_data=(x[150:], y[150:]))
    scores = model.evaluate(x[150:], y[150:])
    assert history.history["val_loss"][-1] == scores["loss"]
    assert history.history["val_accuracy"][-1] == scores["accuracy"]


def test_training_numbers_are_those_of_the_batches_before_their_update(blobs):
    x, y = blobs
    model, stepped = network(), network()
    history = model.fit(x, y, epochs=1, batch_size=48, shuffle=False)
    total = right = 0.0
    for start in range(0, 200, 48):
        part = slice(start, start + 48)
        right += (stepped.predict(x[part]).argmax(axis=1) == y[part]).sum()
        total += stepped.train_on_batch(x[part], y[part]) * len(y[part])
    assert history.history["loss"][0] == pytest.approx(total / 200, rel=1e-6)
    assert history.history["accuracy"][0] == pytest.approx(right / 200, rel=1e-12)


def test_a_validation_split_takes_the_last_rows(blobs):
    x, y = blobs
    split, given = network(), network()
    a = split.fit(x, y, epochs=2, validation_split=0.25)
    b = given.fit(x[:150], y[:150], epochs=2, validation_data=(x[150:], y[150:]))
    assert a.history == b.history
    assert_same_model(split, given)


def test_callbacks_are_called_in_order(blobs):
    x, y = blobs
    calls = []

    class Tell(fl.Callback):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def on_train_begin(self, *_):
            calls.append((self.name, "begin"))

        def on_epoch_begin(self, epoch, *_):
            calls.append((self.name, "epoch", epoch))

        def on_epoch_end(self, epoch, logs):
            calls.append((self.name, "end", epoch, "loss" in logs and "val_loss" in logs))

        def on_train_end(self, *_):
            calls.append((self.name, "done"))

    model = network()
    model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=[Tell("a"), Tell("b")])
    by_a = [("begin",), ("epoch", 0), ("end", 0, True), ("epoch", 1), ("end", 1, True), ("done",)]
    assert calls == [(name, *call) for call in by_a for name in "ab"]


def test_a_callback_sees_its_model_and_may_change_the_rate(blobs):
    x, y = blobs
    seen = []

    class Freeze(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append(self.model.get_weights())
            self.model.optimizer.learning_rate = 0.0

    model = network()
    start = model.get_weights()
    model.fit(x, y, epochs=3, callbacks=[Freeze()])
    assert (seen[0][0] != start[0]).any()
    assert_same_bits(seen[1], seen[0])
    assert_same_bits(seen[2], seen[0])


def test_a_callback_may_stop_training(blobs):
    x, y = blobs

    class Stop(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 1:
                self.model.stop_training = True

    model, straight = network(), network()
    history = model.fit(x, y, epochs=50, callbacks=[Stop()])
    assert len(history.history["loss"]) == 2
    straight.fit(x, y, epochs=2)
    assert_same_model(model, straight)
    assert len(model.fit(x, y, epochs=3).history["loss"]) == 3


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


def test_a_monitor_that_nobody_writes_is_refused(blobs):
    x, y = blobs
    model = network()
    for monitor in ("val_loss", "val_acuracy"):
        with refuses(ValueError, monitor):
            model.fit(x, y, epochs=2, callbacks=[fl.EarlyStopping(monitor=monitor, patience=1)])


@pytest.mark.parametrize(
    "options, exception, match",
    [
        ({"patience": -1}, ValueError, "patience"),
        ({"patience": 1.5}, TypeError, "patience"),
        ({"patience": 1, "min_delta": -1.0}, ValueError, "min_delta"),
        ({"patience": 1, "min_delta": "x"}, TypeError, "min_delta"),
        ({"patience": 1, "monitor": 3}, TypeError, "monitor"),
        ({"patience": 1, "restore_best_weights": "yes"}, TypeError, "restore_best_weights"),
    ],
    ids=str,
)
def test_bad_early_stoppings(options, exception, match):
    with refuses(exception, match):
        fl.EarlyStopping(**options)


def test_checkpoints_go_on_bit_for_bit(blobs, tmp_path):
    x, y = blobs
    model = network()
    model.fit(x, y, epochs=3, callbacks=[fl.ModelCheckpoint(tmp_path / "at-{epoch}.safetensors")])
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    resumed = fl.load_model(files[0])
    resumed.fit(x, y, epochs=2)
    assert_same_model(resumed, model)


def test_a_checkpoint_of_the_best_epoch(blobs, tmp_path):
    x, y = blobs
    model, straight = network(), network()
    path = tmp_path / "best.safetensors"
    checkpoint = fl.ModelCheckpoint(path, monitor="val_loss", save_best_only=True)
    model.fit(x, y, epochs=7, validation_data=(x, y), callbacks=[Scripted(LOSSES), checkpoint])
    straight.fit(x, y, epochs=3)
    assert_same_model(fl.load_model(path), straight)


def test_a_checkpoint_into_nowhere_is_an_error(blobs, tmp_path):
    x, y = blobs
    with pytest.raises(OSError, match="folder"):
        network().fit(x, y, callbacks=[fl.ModelCheckpoint(tmp_path / "no" / "folder" / "m.safetensors")])


def test_progress_is_silent_unless_asked(blobs, capsys):
    x, y = blobs
    network().fit(x, y, epochs=2)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    network().fit(x, y, epochs=2, verbose=1)
    captured = capsys.readouterr()
    assert "loss" in captured.out + captured.err


def test_a_learning_rate_may_be_a_function_of_the_step(blobs):
    x, y = blobs
    scheduled, by_hand = network(), network()
    scheduled.compile(fl.SGD(lambda step: 0.1 / (1 + step)), "cross_entropy")
    by_hand.compile(fl.SGD(0.1), "cross_entropy")
    scheduled.fit(x, y, batch_size=50, epochs=2, shuffle=False)
    for step in range(8):
        part = slice(step % 4 * 50, step % 4 * 50 + 50)
        by_hand.optimizer.learning_rate = 0.1 / (1 + step)
        by_hand.train_on_batch(x[part], y[part])
    assert_same_bits(scheduled.get_weights(), by_hand.get_weights())


def test_class_weights_are_sample_weights(blobs):
    x, y = blobs
    by_class, by_sample = network(), network()
    weights = {0: 1.0, 1: 2.0, 2: 0.5, 3: 3.0}
    by_class.fit(x, y, epochs=2, class_weight=weights)
    by_sample.fit(x, y, epochs=2, sample_weight=np.array([weights[c] for c in y]))
    assert_same_bits(by_class.get_weights(), by_sample.get_weights())
