"""Fits that are killed and go on, and fits that end because a loss is not finite."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

import fallline as fl
from helpers import Scripted, assert_same_bits, assert_same_model, refuses, saved, unchanged

# Trains, or kills itself after a batch; data, seed and callbacks are those of a script that is started again.
SCRIPT = """
import json, os, signal, sys
import numpy as np
import fallline as fl

rng = np.random.default_rng(0)
x, y = rng.normal(size=(230, 8)).astype(np.float32), rng.integers(0, 4, 230)
weight = rng.uniform(0, 2, 230)
batches = [(x[i : i + 20], y[i : i + 20], weight[i : i + 20]) for i in range(0, 200, 20)]

def generator():
    while True:
        yield from batches

def largest(y_true, y_pred, sample_weight=None):
    return np.average(y_pred.max(axis=1) * y_true, weights=sample_weight)

def kill(batch, logs):
    if sys.argv[1:] == [str(model.get_state()["epoch"]), str(batch)]:
        os.kill(os.getpid(), signal.SIGKILL)

model = fl.Model([fl.Dense(16, activation="relu"), fl.Dropout(0.2), fl.Dense(4, activation="softmax")], seed=5)
model.compile(fl.Adam(0.02), "cross_entropy", metrics=["accuracy", largest])
stopping = fl.EarlyStopping("val_accuracy", patience=2, start_from_epoch=1)
history = model.fit(
    {data},
    epochs=8,
    validation_data=(x[200:], y[200:]),
    callbacks=[
        fl.BackupAndRestore("backup.safetensors", every_batches=3),  # acts after the others all the same
        fl.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.05),
        stopping,
        fl.CSVLogger("log.csv"),
        fl.LambdaCallback(on_batch_end=kill),
    ],
)
model.save("model.safetensors")
print(json.dumps([history.epoch, history.history, stopping.best, stopping.best_epoch, stopping.stopped_epoch]))
"""
DATA = {
    "arrays": "x[:200], y[:200], sample_weight=weight[:200], batch_size=20",
    "in order": "x[:200], y[:200], sample_weight=weight[:200], batch_size=20, shuffle=False",
    "batches": "batches",
    "generator": "generator(), steps_per_epoch=10",
    "counted": "batches, steps_per_epoch=7",
}
KILLS = [("0", "4"), ("1", "1"), ("2", "6"), None]


def run(folder, source, kill):
    """Run the script until its end or until it kills itself; what it printed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", source, *(kill or ())],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if kill is None else -signal.SIGKILL), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What the script ends with if nobody kills it, for each kind of data: once for all tests."""
    found = {}

    def result(data):
        if data not in found:
            folder = tmp_path_factory.mktemp("straight")
            found[data] = (
                run(folder, SCRIPT.replace("{data}", DATA[data]), None),
                folder,
            )
        return found[data]

    return result


@pytest.mark.parametrize("data", DATA)
def test_a_killed_run_goes_on_bit_for_bit(data, straight, tmp_path):
    """Killed within three epochs: History, weights, optimizer, callbacks and files are those of a run in peace."""
    source = SCRIPT.replace("{data}", DATA[data])
    for kill in KILLS:
        printed = run(tmp_path, source, kill)
        assert (tmp_path / "backup.safetensors").exists() == (kill is not None)
    expected, folder = straight(data)
    assert json.loads(printed) == json.loads(expected)
    for file in ("model.safetensors", "log.csv"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_batches_in_order_are_arrays_in_order(straight):
    """The three sources of the same batches tell the same, so that no test above compares nonsense with itself."""
    results = [json.loads(straight(data)[0]) for data in ("in order", "batches", "generator")]
    assert results[0] == results[1] == results[2]
    assert results[0][-1] is not None  # it was stopped early


def network(seed=0, rate=0.02):
    model = fl.Model(
        [fl.Input(8), fl.Dense(12, activation="tanh"), fl.Dense(4, activation="softmax")], seed=seed
    )
    model.compile(fl.Adam(rate), "cross_entropy", metrics=["accuracy"])
    return model


class Cut(Exception):
    """A power cut."""


def cut_after(epoch):
    def fail(now, logs):
        if now == epoch:
            raise Cut

    return fl.LambdaCallback(on_epoch_end=fail)


def interrupted(path, blobs, model=None, **options):
    """The file of a fit that was cut in its third epoch."""
    with pytest.raises(Cut):
        (model or network()).fit(
            *blobs, epochs=5, callbacks=[fl.BackupAndRestore(path), cut_after(2)], **options
        )
    assert path.exists()


def test_a_seed_that_was_drawn_comes_back(blobs, tmp_path):
    model = network(seed=None)
    twin = network(seed=model.seed)
    interrupted(tmp_path / "fit", blobs, model)
    again = network(seed=None)
    history = again.fit(*blobs, epochs=5, callbacks=[fl.BackupAndRestore(tmp_path / "fit")])
    assert history.history == twin.fit(*blobs, epochs=5).history
    assert_same_model(again, twin)
    assert not (tmp_path / "fit").exists()


def test_epochs_may_be_added_and_layers_stay_joined(blobs, tmp_path):
    interrupted(tmp_path / "fit", blobs)
    model, straight = network(), network()
    history = model.fit(*blobs, epochs=7, callbacks=[fl.BackupAndRestore(tmp_path / "fit")])
    assert history.history == straight.fit(*blobs, epochs=7).history
    assert (model.layers[1].kernel == straight.get_weights()[0]).all()


def test_a_fit_that_had_ended_ends_at_once(blobs, tmp_path):
    """Killed after early stopping, before the file was deleted: nothing is trained again."""
    path, best = tmp_path / "fit", []

    class Slain(fl.Callback):
        def on_train_end(self, logs):
            best.append(self.model.get_weights())
            raise Cut

    def callbacks():
        return [
            Scripted([1.0, 2.0, 0.0], "loss"),
            fl.EarlyStopping("loss", patience=1),
            fl.BackupAndRestore(path),
        ]

    with pytest.raises(Cut):
        network().fit(*blobs, epochs=9, callbacks=[*callbacks(), Slain()])
    model = network()
    history = model.fit(*blobs, epochs=9, callbacks=callbacks())
    assert history.history["loss"] == [1.0, 2.0]
    assert_same_bits(model.get_weights(), best[0])


def other_layers():
    model = fl.Model([fl.Input(8), fl.Dense(13), fl.Dense(4, activation="softmax")], seed=0)
    model.compile("adam", "cross_entropy", metrics=["accuracy"])
    return model


def other_optimizer():
    model = network()
    model.compile(fl.Adam(0.02, beta_1=0.8), "cross_entropy", metrics=["accuracy"])
    return model


def trained(blobs):
    model = network()
    model.fit(*blobs)
    return model


OTHERS = [
    (lambda b: other_layers(), {}, "layers"),
    (lambda b: other_optimizer(), {}, "optimizer"),
    (trained, {}, "first_epoch was 0"),
    (lambda b: network(), {"batch_size": 31}, "batch_size was 32; expected 31"),
    (lambda b: network(), {"shuffle": False}, "sampler was Shuffled"),
    (lambda b: network(), {"validation_split": 0.5}, "rows was 200; expected 100"),
]


@pytest.mark.parametrize("make, options, match", OTHERS)
def test_the_file_of_another_fit_is_refused(make, options, match, blobs, tmp_path):
    interrupted(tmp_path / "fit", blobs)
    before = (tmp_path / "fit").read_bytes()
    model = make(blobs)
    with unchanged(model), refuses(ValueError, match):
        model.fit(*blobs, epochs=5, callbacks=[fl.BackupAndRestore(tmp_path / "fit")], **options)
    assert (tmp_path / "fit").read_bytes() == before


def test_other_files_are_refused(blobs, tmp_path):
    model = network()
    for content in (b"", b"{}", saved(model)):
        (tmp_path / "fit").write_bytes(content)
        with unchanged(model), refuses(ValueError, "fit"):
            model.fit(*blobs, callbacks=[fl.BackupAndRestore(tmp_path / "fit")])


def test_other_callbacks_are_refused(blobs, tmp_path):
    interrupted(tmp_path / "fit", blobs)
    with refuses(ValueError, r"callbacks are \['EarlyStopping'\]; expected \[\]"):
        network().fit(
            *blobs, epochs=5, callbacks=[fl.BackupAndRestore(tmp_path / "fit"), fl.EarlyStopping("loss")]
        )


def test_one_backup_a_fit(blobs, tmp_path):
    with refuses(ValueError, "BackupAndRestore"):
        network().fit(*blobs, callbacks=[fl.BackupAndRestore(tmp_path / name) for name in "ab"])


def test_a_state_that_no_file_holds_is_named(blobs, tmp_path):
    class Odd(fl.Callback):
        def get_state(self):
            return {"file": open}

    with refuses(TypeError, r"file is <built-in function open>"):
        network().fit(*blobs, callbacks=[Odd(), fl.BackupAndRestore(tmp_path / "fit")])


def test_states_of_own_callbacks_come_back(blobs, tmp_path):
    class Sum(fl.Callback):
        saved = ("total", "parts", "table")

        def on_train_begin(self, logs):
            self.total, self.parts, self.table = 0.0, [], {}

        def on_epoch_end(self, epoch, logs):
            self.total += logs["loss"]
            self.parts.append(np.array([epoch, logs["loss"]]))
            self.table["last"] = (epoch, None, "text", np.int64(epoch))

    path = tmp_path / "fit"
    with pytest.raises(Cut):
        network().fit(*blobs, epochs=5, callbacks=[Sum(), fl.BackupAndRestore(path), cut_after(3)])
    resumed, straight = Sum(), Sum()
    network().fit(*blobs, epochs=5, callbacks=[resumed, fl.BackupAndRestore(path)])
    network().fit(*blobs, epochs=5, callbacks=[straight])
    assert resumed.total == straight.total
    assert_same_bits(resumed.parts, straight.parts)


def test_epochs_between_backups(blobs, tmp_path):
    path, sizes = tmp_path / "fit", []
    look = fl.LambdaCallback(on_epoch_begin=lambda epoch, logs: sizes.append(path.exists()))
    network().fit(*blobs, epochs=4, callbacks=[fl.BackupAndRestore(path, every=2), look])
    assert sizes == [False, False, True, True]
    assert list(tmp_path.iterdir()) == []


def explode_in(epoch, blobs):
    """The blobs as batches of 50 rows; in one epoch the third is not finite."""

    class Bad:
        def __init__(self):
            self.epoch = -1

        def __iter__(self):
            self.epoch += 1
            for i in range(0, 200, 50):
                x, y = (a[i : i + 50].copy() for a in blobs)
                if (self.epoch, i) == (epoch, 100):
                    x[0, 0] = np.nan
                yield x, y

    return Bad()


@pytest.mark.parametrize("epoch", [0, 3])
def test_training_ends_with_the_last_good_weights(epoch, blobs):
    model, straight, guard = network(), network(), fl.TerminateOnNonFinite()
    history = model.fit(explode_in(epoch, blobs), epochs=6, callbacks=[guard])
    straight.fit(*blobs, batch_size=50, epochs=epoch, shuffle=False)
    assert_same_model(model, straight)
    assert history.epoch == list(range(epoch + 1))
    assert np.isfinite(history.history["loss"]).tolist() == [True] * epoch + [False]
    assert guard.stopped_epoch == epoch
    assert guard.restored_epoch == (epoch - 1 if epoch else None)
    assert f"epoch {epoch}, batch 2, first in the data" in guard.reason
    model.fit(*blobs, epochs=2)
    assert guard.reason is not None  # it tells of its own fit


def test_training_ends_with_the_best_weights(blobs):
    model, straight = network(), network()
    guard = fl.TerminateOnNonFinite(monitor="val_accuracy")
    callbacks = [Scripted([0.3, 0.7, 0.6, 0.5], "val_accuracy"), guard]
    model.fit(explode_in(3, blobs), epochs=6, validation_data=blobs, callbacks=callbacks)
    straight.fit(*blobs, batch_size=50, epochs=2, shuffle=False)
    assert_same_model(model, straight)
    assert (guard.stopped_epoch, guard.restored_epoch) == (3, 1)


def test_early_stopping_beside_it_has_the_last_word(blobs):
    """Its best weights are finite too."""
    for order in (1, -1):
        model, straight = network(), network()
        callbacks = [fl.TerminateOnNonFinite(), fl.EarlyStopping("loss")][::order]
        scripted = Scripted([0.2, 0.1, 0.3, np.nan], "loss")
        model.fit(explode_in(3, blobs), epochs=6, callbacks=[scripted, *callbacks])
        straight.fit(*blobs, batch_size=50, epochs=2, shuffle=False)
        assert_same_bits(model.get_weights(), straight.get_weights())


def test_weights_that_blow_up_in_the_last_batch_are_not_kept(rng):
    """The loss of an epoch may be finite and the weights after it may not."""
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    model = fl.Model([fl.Input(3), fl.Dense(1)], seed=0, dtype="float64")
    model.compile(fl.SGD(lambda step: 1e-2 if step < 4 else 1e308), "mse")
    guard = fl.TerminateOnNonFinite()
    history = model.fit(x * 10, y, batch_size=10, epochs=5, shuffle=False, callbacks=[guard])
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert (guard.stopped_epoch, guard.restored_epoch) == (1, 0)
    assert history.epoch == [0, 1]
    model.compile(fl.SGD(1e308), "mse")
    model.set_weights([np.zeros((3, 1)), np.zeros(1)])
    history = model.fit(x * 10, y, batch_size=40, epochs=5, callbacks=[guard])
    assert (len(history.epoch), guard.restored_epoch) == (1, None)
    assert "weights" in guard.reason
    assert not model.get_weights()[0].any()


def test_without_it_the_error_is_raised(blobs):
    with pytest.raises(fl.NonFiniteLoss):
        network().fit(
            explode_in(1, blobs), epochs=3, callbacks=[fl.LambdaCallback(), fl.EarlyStopping("loss")]
        )


def test_going_back_by_hand(blobs):
    """get_state() and set_state(): weights, optimizer and counters, as if the epochs between had not been."""
    model, straight = network(), network()
    model.fit(*blobs, epochs=2)
    state = model.get_state()
    model.fit(*blobs, epochs=3)
    model.set_state(state)
    straight.fit(*blobs, epochs=2)
    assert_same_model(model, straight)
    arrays = state["arrays"]
    for bad in (
        dict(list(arrays.items())[1:]),
        {**arrays, "more": np.zeros(1)},
        {**arrays, "1.kernel": np.zeros((8, 3))},
    ):
        with unchanged(model), refuses(ValueError, "^Model.set_state: "):
            model.set_state({**state, "arrays": bad})
    other = {name: array + 1 for name, array in arrays.items()}
    for bad in ({"step": 3, "arrays": other}, {**state, "arrays": other, "epoch": -1}):
        with unchanged(model), refuses(ValueError, "^Model.set_state: "):
            model.set_state(bad)
    with refuses(RuntimeError, "no weights yet"):
        fl.Model([fl.Dense(1)]).get_state()
