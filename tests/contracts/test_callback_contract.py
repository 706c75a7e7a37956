"""What every callback promises, driven by the rows of `cases/callbacks.py`."""

from __future__ import annotations

import copy
import inspect
import json
import pickle

import numpy as np
import pytest

import fallline as fl
from cases.callbacks import CALLBACKS, label
from helpers import assert_same_bits, refuses, saved

every = pytest.mark.parametrize("case", CALLBACKS, ids=label)
HOOKS = [name for name in vars(fl.Callback) if name.startswith("on_")]


def network():
    hidden = fl.Dense(16, activation="relu")
    model = fl.Model([fl.Input(8), hidden, fl.Dropout(0.2), fl.Dense(4, activation="softmax")], seed=0)
    model.compile(fl.Adam(0.02), "cross_entropy", metrics=["accuracy"])
    return model


def made(case, folder):
    """The callback of a row, in a folder that exists."""
    if case.needs:
        pytest.importorskip(case.needs)
    folder.mkdir(exist_ok=True)
    return case.make(**case.options(folder))


def fit(model, data, callbacks, epochs=5):
    x, y = data
    held_out = x[150:], y[150:]
    return model.fit(
        x[:150], y[:150], batch_size=16, epochs=epochs, validation_data=held_out, callbacks=callbacks
    )


def plain(state):
    """A state as JSON text, arrays as lists: raises if it holds anything else."""
    return json.dumps(state, default=lambda value: {"array": np.asarray(value).tolist()}, sort_keys=True)


def test_every_callback_has_a_row():
    public = {v for v in vars(fl).values() if inspect.isclass(v) and issubclass(v, fl.Callback)}
    assert public - {fl.Callback} == {case.make for case in CALLBACKS}
    assert {getattr(fl.callbacks, name) for name in fl.callbacks.__all__} == public


@every
def test_every_argument_has_a_bad_row(case):
    assert set(inspect.signature(case.make).parameters) == {name for bad, _, _ in case.bad for name in bad}


@pytest.mark.parametrize(
    "case, bad, exception, match", [(c, *row) for c in CALLBACKS for row in c.bad], ids=str
)
def test_bad_arguments_are_refused(case, bad, exception, match):
    with refuses(exception, f"^{case.name}: .*{match}"):
        case.make(**bad)


@every
def test_a_pickled_callback_does_the_same(case, blobs, tmp_path):
    callbacks = made(case, tmp_path / "a"), pickle.loads(pickle.dumps(made(case, tmp_path / "b")))
    models = network(), network()
    histories = [fit(m, blobs, [c]).history for m, c in zip(models, callbacks, strict=True)]
    assert histories[0] == histories[1]
    assert saved(models[0]) == saved(models[1])
    assert {type(pickle.loads(pickle.dumps(c))) for c in callbacks} == {case.make}


@every
def test_the_state_goes_round(case, blobs, tmp_path):
    """What a callback tells in the middle of a fit, another one of its kind tells after it was given it."""
    callback, other, states = made(case, tmp_path), made(case, tmp_path), []
    keep = fl.LambdaCallback(
        on_epoch_end=lambda epoch, logs: states.append(copy.deepcopy(callback.get_state()))
    )
    model = network()
    fit(model, blobs, [callback, keep], epochs=2)
    other.model = model
    other.on_train_begin({})
    other.set_state(states[-1])
    assert plain(other.get_state()) == plain(states[-1])


@every
def test_a_killed_fit_goes_on_as_if_it_never_was(case, blobs, tmp_path):
    """The script fails within each of some epochs, and starts again; files and attributes agree as well."""

    def script(folder, fail_at):
        def fail(batch, logs):
            if fail_at and (model.get_state()["epoch"], batch) == fail_at[0]:
                fail_at.pop(0)
                raise InterruptedError

        backup = fl.BackupAndRestore(folder / "backup.safetensors", every_batches=4)
        callback = made(case, folder)
        callbacks = [callback, fl.LambdaCallback(on_batch_end=fail)]
        # the row of BackupAndRestore is its own backup
        callbacks += [] if isinstance(callback, fl.BackupAndRestore) else [backup]
        model = network()
        return model, callback, fit(model, blobs, callbacks)

    fail_at = [(0, 6), (2, 1), (2, 6)]
    while fail_at:
        with pytest.raises(InterruptedError):
            script(tmp_path / "a", fail_at)
    model, callback, history = script(tmp_path / "a", [])
    straight, expected, uninterrupted = script(tmp_path / "b", [])
    assert history.history == uninterrupted.history
    assert history.epoch == uninterrupted.epoch
    assert saved(model) == saved(straight)
    for name in case.shows:
        assert getattr(callback, name) == getattr(expected, name)
    files = [{p.name: p.read_bytes() for p in (tmp_path / side).iterdir() if p.is_file()} for side in "ab"]
    assert files[0] == files[1]


@every
def test_watching_does_not_touch_training(case, blobs, tmp_path):
    if not case.watches:
        return
    watched, alone = network(), network()
    assert fit(watched, blobs, [made(case, tmp_path)]).history == fit(alone, blobs, []).history
    assert saved(watched) == saved(alone)


@every
def test_it_may_be_used_again(case, blobs, tmp_path):
    """Two fits with one object give what two objects give."""
    once, models = made(case, tmp_path / "a"), [network(), network()]
    first = fit(models[0], blobs, [once]).history
    second = fit(models[1], blobs, [once]).history
    assert second == first
    assert saved(models[0]) == saved(models[1])


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != "on_non_finite"])
def test_a_hook_that_raises_leaves_a_usable_model(hook, blobs):
    """Whenever it happens, the model is between two updates, as one that makes as many of them."""

    def fail(self, *arguments):
        raise ZeroDivisionError(hook)

    model, straight = network(), network()
    with pytest.raises(ZeroDivisionError, match=hook):
        fit(model, blobs, [type("Fail", (fl.Callback,), {hook: fail})()], epochs=2)
    counts = model.get_state()
    straight.fit(blobs[0][:150], blobs[1][:150], batch_size=16, epochs=counts["step"] // 10)
    while straight.get_state()["step"] < counts["step"]:
        straight.fit(
            blobs[0][:150],
            blobs[1][:150],
            batch_size=16,
            callbacks=[type("One", (fl.Callback,), {"on_batch_end": stop})()],
        )
    assert saved(model) == saved(straight)
    fit(model, blobs, [])
    fit(straight, blobs, [])
    assert_same_bits(model.get_weights(), straight.get_weights())


def stop(self, batch, logs):
    """End the fit after an update."""
    self.model.stop_training = True
