"""Callbacks look at where they will write before the first epoch, and make missing folders."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

import fallline as fl
from helpers import refuses, saved, unchanged


def network():
    model = fl.Model([fl.Input(8), fl.Dense(4, activation="softmax")], seed=0)
    model.compile("adam", "cross_entropy", metrics=["accuracy"])
    return model


class Forbidden(fl.Callback):
    """No epoch may begin."""

    def on_train_begin(self, logs):
        raise AssertionError

    on_epoch_begin = on_train_begin


class Counted(fl.Callback):
    """Logs an integer, and a number that is none."""

    logged = ("count", "share")

    def on_epoch_end(self, epoch, logs):
        logs["count"], logs["share"] = epoch + 7, 0.25


WRITERS = [fl.ModelCheckpoint, fl.BackupAndRestore]


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "path",
    [
        "{val_los}",  # misspelt
        "{val_loss}",  # without validation
        "{}",
        "{0}",
        "{loss:d}",
        "{epoch:.3z}",
        "{loss.x}",
        "{loss[0]}",
        "{loss!z}",
        "{loss",
        "loss}",
        "{share:d}-{nothing}",
    ],
)
def test_a_path_that_cannot_be_filled_in_is_refused_before_anything(path, blobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = network()
    callbacks = [Counted(), fl.ModelCheckpoint(f"deep/{path}.safetensors"), Forbidden()]
    with unchanged(model), refuses(ValueError, f"^ModelCheckpoint: path is .*{re.escape(path)}"):
        model.fit(*blobs, callbacks=callbacks)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    "path, last",
    [
        ("{epoch}", "1"),
        ("{epoch:03d}-{val_accuracy:.0f}-{count:03d}-{share:.2f}", "001-1-008-0.25"),
        ("{epoch}/{count}/m", "1/8/m"),
        ("{{{epoch}}}", "{1}"),
        ("{learning_rate:.0e}", "1e-03"),
    ],
)
def test_names_of_all_that_is_logged_may_stand_in_it(path, last, blobs, tmp_path):
    (x, y), folder = blobs, tmp_path / "new" / "newer"
    schedule = fl.LearningRateScheduler(lambda epoch, rate: rate)
    model = network()
    model.set_weights([np.eye(8, 4) * 100, np.zeros(4)])
    callbacks = [Counted(), schedule, fl.ModelCheckpoint(folder / path)]
    model.fit(x, y, epochs=2, validation_data=(x[:4], x[:4].argmax(1)), callbacks=callbacks)
    assert (folder / last).is_file()


@pytest.mark.parametrize("kind", WRITERS)
def test_missing_folders_are_made(kind, blobs, tmp_path):
    path = tmp_path / "a/b/c"
    found = []
    look = fl.LambdaCallback(on_epoch_begin=lambda epoch, logs: found.append(path.parent.is_dir()))
    network().fit(*blobs, epochs=2, callbacks=[kind(path), look])
    assert found == [True, True]
    assert path.exists() == (kind is not fl.BackupAndRestore)
    assert os.listdir(path.parent) == [path.name] * path.exists()  # noqa: PTH208


@pytest.mark.parametrize("kind", WRITERS)
def test_a_place_that_cannot_be_written_is_refused_before_anything(kind, blobs, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    before = files_below(tmp_path)
    for path, error in (
        (tmp_path / "file" / "below", NotADirectoryError),
        (tmp_path / "folder", IsADirectoryError),
        (f"{tmp_path}/new/", IsADirectoryError),
        (tmp_path / "ring", OSError),
    ):
        model = network()
        with unchanged(model), pytest.raises(error) as caught:
            model.fit(*blobs, callbacks=[Forbidden(), kind(path)])
        assert caught.value.filename == str(path)
        assert files_below(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_named_as_it_was_given(blobs, tmp_path):
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for name, shown in (("best", "best"), ("at-{epoch}", "at-{")):
        with pytest.raises(FileExistsError) as caught:
            network().fit(*blobs, callbacks=[Forbidden(), fl.ModelCheckpoint(tmp_path / "gone" / name)])
        assert caught.value.filename == str(tmp_path / "gone" / shown)


def test_a_model_that_is_not_built_stays_so(blobs, tmp_path):
    model = fl.Model([fl.Dense(4, activation="softmax")], seed=0)
    model.compile("adam", "cross_entropy")
    with pytest.raises(IsADirectoryError):
        model.fit(*blobs, callbacks=[fl.ModelCheckpoint(tmp_path)])
    assert model.inputs is None


def test_a_folder_of_curves_is_looked_at_too(blobs, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError) as caught:
            network().fit(*blobs, callbacks=[fl.TensorBoard(folder), Forbidden()])
        assert caught.value.filename == str(folder)


def test_other_arguments_are_checked_before_folders_are_made(blobs, tmp_path):
    for wrong in (
        {"epochs": -1},
        {"batch_size": 0},
        {"callbacks": [fl.ModelCheckpoint(tmp_path / "a/b"), 3]},
    ):
        with pytest.raises((TypeError, ValueError)):
            network().fit(*blobs, **{"callbacks": [fl.ModelCheckpoint(tmp_path / "a/b")], **wrong})
    assert files_below(tmp_path) == []


def test_a_backup_is_a_file(blobs, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with refuses(ValueError, "^BackupAndRestore: path is .*, a device or a pipe"):
            network().fit(*blobs, callbacks=[fl.BackupAndRestore(path), Forbidden()])


def test_a_backup_behind_a_link_is_deleted_and_the_link_stays(blobs, tmp_path):
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    sizes = []
    look = fl.LambdaCallback(on_epoch_begin=lambda epoch, logs: sizes.append(target.exists()))
    network().fit(*blobs, epochs=3, callbacks=[fl.BackupAndRestore(link), look])
    assert sizes == [False, True, True]
    assert link.is_symlink()
    assert not target.exists()


def test_a_checkpoint_goes_into_a_device(blobs):
    network().fit(*blobs, epochs=2, callbacks=[fl.ModelCheckpoint("/dev/null")])
    assert not os.path.isfile("/dev/null")  # noqa: PTH113


def test_a_log_called_epoch_does_not_stand_for_the_epoch(blobs, tmp_path):
    write = fl.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(epoch=99.0))
    model = network()
    model.fit(*blobs, callbacks=[write, fl.ModelCheckpoint(tmp_path / "{epoch}")])
    assert (tmp_path / "0").read_bytes() == saved(model)
