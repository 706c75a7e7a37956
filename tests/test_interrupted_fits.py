"""BackupAndRestore in the process, and with the model, of the fit that was interrupted."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_model, refuses, unchanged
from streams import cut, network

SIZE, BATCHES = 24, 9  # of 200 rows


class Fails(fl.Callback):
    """Raises after chosen batches of epochs, once each."""

    def __init__(self, *at, error=InterruptedError):
        super().__init__()
        self.at, self.error = list(at), error

    def on_epoch_begin(self, epoch, logs):
        self.epoch = epoch

    def on_batch_end(self, batch, logs):
        if (self.epoch, batch) in self.at:
            self.at.remove((self.epoch, batch))
            raise self.error


SOURCES = {
    "arrays": lambda x, y: ((x, y), {"batch_size": SIZE}),
    "weights drawn by": lambda x, y: ((x, y), {"batch_size": SIZE, "sampler": fl.samplers.AWSGD()}),
    "batches": lambda x, y: ((cut(x, y),), {}),
    "counted batches": lambda x, y: ((cut(x, y),), {"steps_per_epoch": 7}),
}


def pieces(model, blobs, source, path, fails, **options):
    """The History of a fit that is called again whenever it fails, with the same model."""
    arguments, given = SOURCES[source](*blobs)
    stopping = fl.EarlyStopping("loss", patience=3)
    options = {
        "epochs": 6,
        "validation_data": blobs,
        "callbacks": [
            fl.BackupAndRestore(path, every_batches=2),
            fl.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.05),
            stopping,
            fails,
        ],
    } | options
    while True:
        again = list(fails.at)
        try:
            return model.fit(*arguments, **given, **options), stopping
        except fails.error:
            assert path.exists()
            assert len(fails.at) == len(again) - 1


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_model_goes_on_bit_for_bit(source, blobs, tmp_path):
    """Interrupted before the first backup within an epoch, within epochs, and twice in one."""
    model, straight = network(), network()
    fails = Fails((0, 4), (1, 2), (1, 5), (4, 0))
    history, stopping = pieces(model, blobs, source, tmp_path / "fit", fails)
    expected, at_rest = pieces(straight, blobs, source, tmp_path / "other", Fails())
    assert not fails.at
    assert (history.epoch, history.history) == (expected.epoch, expected.history)
    assert (stopping.best, stopping.best_epoch) == (at_rest.best, at_rest.best_epoch)
    assert_same_model(model, straight)
    assert not list(tmp_path.iterdir())


def test_a_fit_of_a_model_that_had_learned_goes_on(blobs, tmp_path):
    """Its first epoch is not 0, and another fit follows it."""
    model, straight = network(), network()
    for each, fails in ((model, Fails((3, 5), (6, 1))), (straight, Fails())):
        each.fit(*blobs, epochs=2)
        pieces(each, blobs, "arrays", tmp_path / "fit", fails)
        each.partial_fit(*blobs)
        each.fit(*blobs, batch_size=SIZE)
    assert_same_model(model, straight)


def test_ctrl_c_in_a_notebook(blobs, tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        model, straight = network(), network()
        history, _ = pieces(
            model, blobs, "arrays", tmp_path / "fit", Fails((2, 3), (3, 3), error=KeyboardInterrupt)
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert history.history == pieces(straight, blobs, "arrays", tmp_path / "fit", Fails())[0].history
    assert_same_model(model, straight)


def test_a_new_compile_and_weights_between_are_those_of_the_file(blobs, tmp_path):
    model, straight = network(), network()
    arguments = {"batch_size": SIZE, "epochs": 3}
    backup = fl.BackupAndRestore(tmp_path / "fit", every_batches=1)
    with pytest.raises(InterruptedError):
        model.fit(*blobs, **arguments, callbacks=[backup, Fails((1, 4))])
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.compile(fl.Adam(0.01), "cross_entropy", model.metrics)
    model.fit(*blobs, **arguments, callbacks=[backup])
    straight.fit(*blobs, **arguments)
    assert_same_model(model, straight)


def test_a_model_that_was_trained_otherwise_is_refused(blobs, tmp_path):
    """Its own fit came to an end since; a fit whose file was deleted begins where the model is."""
    model, path = network(), tmp_path / "fit"
    backup = fl.BackupAndRestore(path, every_batches=1)
    with pytest.raises(InterruptedError):
        model.fit(*blobs, epochs=3, callbacks=[backup, Fails((1, 4))])
    model.fit(*blobs, epochs=2)
    with unchanged(model), refuses(ValueError, "first_epoch was 0; expected 4"):
        model.fit(*blobs, epochs=3, callbacks=[backup])
    path.unlink()
    assert model.fit(*blobs, epochs=2, callbacks=[backup]).epoch == [4, 5]
    with pytest.raises(InterruptedError):
        model.fit(*blobs, epochs=3, callbacks=[backup, Fails((7, 4))])
    assert model.fit(*blobs, epochs=3, callbacks=[backup]).epoch == [6, 7, 8]


def test_a_fit_that_was_stopped_has_ended(blobs, tmp_path):
    """Not by an error: nothing is left to go on from, and the next fit has all its epochs."""

    class Stop(fl.Callback):
        def on_batch_end(self, batch, logs):
            self.model.stop_training = batch == 4

    model, path = network(), tmp_path / "fit"
    backup = fl.BackupAndRestore(path, every_batches=1)
    for options in ({"callbacks": [backup, Stop()]}, {"callbacks": [backup], "max_seconds": 0.01}):
        model.fit(*blobs, batch_size=SIZE, epochs=10**7, **options)
        assert not path.exists()
    step = model.get_state()["step"]
    assert len(model.fit(*blobs, batch_size=SIZE, epochs=2, callbacks=[backup]).epoch) == 2
    assert model.get_state()["step"] == step + 2 * BATCHES


def test_a_position_that_no_fit_has_left_is_refused(blobs):
    """As in a damaged file."""
    model = network()
    trainer = model._network.trainer(*blobs, None, SIZE)
    for row in (-SIZE, 0, 1, SIZE + 1, 200, 240):
        with unchanged(model), refuses(ValueError, f"has used {row} rows of an epoch"):
            trainer.resume(0, row, (0.0, 0.0, 0.0))
    trainer.close()
