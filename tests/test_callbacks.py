"""History, callbacks, checkpoints, logs in files."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest

import fallline as fl
from helpers import Scripted, assert_same_bits, assert_same_model, refuses, unchanged


def network(seed=0, rate=0.01):
    model = fl.Model(
        [fl.Input(8), fl.Dense(16, activation="tanh"), fl.Dense(4, activation="softmax")], seed=seed
    )
    model.compile(fl.Adam(rate), "cross_entropy", metrics=["accuracy"])
    return model


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


def test_a_monitor_that_nobody_writes_is_refused(blobs):
    x, y = blobs
    model = network()
    for monitor in ("val_loss", "val_acuracy"):
        with refuses(ValueError, monitor):
            model.fit(x, y, epochs=2, callbacks=[fl.EarlyStopping(monitor=monitor, patience=1)])


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
    model.fit(
        x,
        y,
        epochs=7,
        validation_data=(x, y),
        callbacks=[Scripted([5, 4, 3, 3.5, 3.4, 3.3, 3.2]), checkpoint],
    )
    straight.fit(x, y, epochs=3)
    assert_same_model(fl.load_model(path), straight)


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
    weights = {0: 1.0, 1: 2.0, 2.0: 0.5, np.float64(3): 3.0}  # keys as they are among labels kept as floats
    by_class.fit(x, y, epochs=2, class_weight=weights)
    by_sample.fit(x, y, epochs=2, sample_weight=np.array([weights[c] for c in y]))
    assert_same_bits(by_class.get_weights(), by_sample.get_weights())


@pytest.mark.parametrize("weights", ["balanced", {0: 2.0}])
def test_rows_of_several_classes_have_no_class_weight(weights, rng):
    x, y = rng.normal(size=(4, 2)), np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0]])
    model = fl.Model([fl.Input(2), fl.Dense(3, "sigmoid")], seed=0)
    model.compile("sgd", "binary_cross_entropy")
    with unchanged(model), refuses(ValueError, "rows that have no single class"):
        model.fit(x, y, class_weight=weights)


def test_what_a_callback_writes_into_the_logs_is_kept_and_seen(blobs):
    x, y = blobs
    seen = []
    write = fl.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(norm=np.float32(epoch)))
    look = fl.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs.get("norm")))
    history = network().fit(x, y, epochs=3, callbacks=[look, write, look])
    assert history.history["norm"] == [0.0, 1.0, 2.0]
    assert seen == [None, 0.0, None, 1.0, None, 2.0]


def test_what_a_callback_declares_may_be_monitored(blobs):
    x, y = blobs

    class Norm(fl.Callback):
        logged = ("norm",)

        def on_epoch_end(self, epoch, logs):
            logs["norm"] = abs(epoch - 3)

    stopping = fl.EarlyStopping(monitor="norm", patience=1)
    history = network().fit(x, y, epochs=9, callbacks=[Norm(), stopping])
    assert (len(history.epoch), stopping.best_epoch) == (5, 3)


@pytest.mark.parametrize("value", ["high", None, [1.0]])
def test_logs_are_numbers(value, blobs):
    write = fl.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=value))
    with refuses(TypeError, r"logs\['mine'\]"):
        network().fit(*blobs, callbacks=[write])


def test_functions_are_called_with_what_a_callback_is(blobs):
    calls = []
    moments = ["train_begin", "epoch_begin", "batch_end", "epoch_end", "train_end"]

    def note(moment):
        return lambda *arguments: calls.append((moment, *arguments[:-1], sorted(arguments[-1])))

    lambdas = fl.LambdaCallback(**{f"on_{moment}": note(moment) for moment in moments})
    network().fit(*blobs, batch_size=100, callbacks=[lambdas])
    logs = ["accuracy", "loss"]
    batches = [("batch_end", 0, ["loss"]), ("batch_end", 1, ["loss"])]
    begin, end = [("train_begin", []), ("epoch_begin", 0, [])], [("epoch_end", 0, logs), ("train_end", logs)]
    assert calls == begin + batches + end


def test_the_core_is_left_alone_unless_batches_are_asked_for():
    assert not fl.LambdaCallback(on_epoch_end=print).acts_on_batches
    assert fl.LambdaCallback(on_batch_end=print).acts_on_batches
    assert not fl.BackupAndRestore("x").acts_on_batches
    assert fl.BackupAndRestore("x", every_batches=1).acts_on_batches


def table(path, separator=","):
    return [line.split(separator) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_csv_file_holds_the_history_exactly(separator, blobs, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("an old file")
    logger = fl.CSVLogger(path, separator=separator)
    history = network().fit(*blobs, epochs=3, validation_data=blobs, callbacks=[logger])
    header, *rows = table(path, separator)
    assert header == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    assert columns.pop("epoch") == ("0", "1", "2")
    assert {name: [float(v) for v in values] for name, values in columns.items()} == history.history


def test_a_csv_file_may_be_gone_on_with(blobs, tmp_path):
    path, model = tmp_path / "log.csv", network()
    for _ in range(2):
        model.fit(*blobs, epochs=2, callbacks=[fl.CSVLogger(path, append=True)])
    header, *rows = table(path)
    assert header == ["epoch", "loss", "accuracy"]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    with refuses(ValueError, r"val_loss.*columns of"):
        model.fit(*blobs, validation_data=blobs, callbacks=[fl.CSVLogger(path, append=True)])
    assert len(table(path)) == 5


def test_a_csv_file_nowhere_is_an_error_before_training(blobs, tmp_path):
    model = network()
    with unchanged(model), pytest.raises(OSError, match="folder"):
        model.fit(*blobs, callbacks=[fl.CSVLogger(tmp_path / "folder" / "log.csv")])


def test_a_missing_extra_is_named(blobs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    model = network()
    with unchanged(model), pytest.raises(ImportError, match=r"tensorboardX.*fallline\[tensorboard\]"):
        model.fit(*blobs, callbacks=[fl.TensorBoard(tmp_path)])


def events(folder):
    """(tag, step, value) of every scalar in the event files of a folder."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    for file in folder.iterdir():
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = event_pb2.Event.FromString(content[12 : 12 + length])
            yield from ((v.tag, event.step, v.simple_value) for v in event.summary.value)
            content = content[16 + length :]


def test_tensorboard_gets_every_number(blobs, tmp_path):
    pytest.importorskip("tensorboardX")
    history = (
        network().fit(*blobs, epochs=3, validation_data=blobs, callbacks=[fl.TensorBoard(tmp_path)]).history
    )
    for side, prefix in (("train", ""), ("validation", "val_")):
        written = sorted(events(tmp_path / side))
        expected = sorted(
            (tag, step, np.float32(value))
            for tag in ("loss", "accuracy")
            for step, value in enumerate(history[prefix + tag])
        )
        assert written == expected


def test_a_fit_of_no_time_at_all(blobs):
    model = network()
    before = model.get_weights()
    history = model.fit(*blobs, epochs=10, max_seconds=1e-9)
    assert history.history == {"loss": [], "accuracy": []}
    assert history.stop_reason == "max_seconds are over"
    assert_same_bits(model.get_weights(), before)
