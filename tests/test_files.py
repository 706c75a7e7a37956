"""Where models are saved: links, modes, owners, devices, pipes, the home folder, buffers."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses, saved

NOBODY = 65534
ROOT = os.geteuid() == 0


def made(seed=0):
    return fl.Model([fl.Input(3), fl.Dense(2)], seed=seed)


@pytest.fixture
def model():
    return made()


@pytest.fixture
def content(model):
    return saved(model)


@pytest.fixture
def place(tmp_path):
    """The path of a model that is there already."""
    path = tmp_path / "m.safetensors"
    made(seed=1).save(path)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_the_mode_stays(mode, model, place, content):
    place.chmod(mode)
    model.save(place)
    assert stat.S_IMODE(place.stat().st_mode) == mode
    assert place.read_bytes() == content


def test_a_new_file_has_the_mode_that_open_gives(model, tmp_path):
    before = os.umask(0o027)
    try:
        model.save(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_private_file_is_private_while_it_is_written(model, place, monkeypatch):
    place.chmod(0o600)
    modes, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: modes.append(os.fstat(fd).st_mode & 0o777) or fsync(fd))
    model.save(place)
    assert modes == [0o600]


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_the_owner_stays(model, place, content):
    os.chown(place, NOBODY, NOBODY)
    place.chmod(0o4640)
    model.save(place)
    found = place.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (NOBODY, NOBODY, 0o4640)
    assert place.read_bytes() == content


@pytest.mark.skipif(not ROOT, reason="only root becomes somebody else")
def test_whoever_cannot_give_the_owner_leaves_it(place, tmp_path, content):
    """Another's file that may be written to: only its content changes."""
    place.chmod(0o666)
    place.write_bytes(bytes(5000))  # longer than what comes
    tmp_path.chmod(0o777)
    as_nobody('model.save("m.safetensors")', tmp_path)
    found = place.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 0, 0o666)
    assert place.read_bytes() == content
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.skipif(not ROOT, reason="only root becomes somebody else")
def test_a_file_that_is_write_protected_is_not_replaced(place, tmp_path):
    before = place.read_bytes()
    place.chmod(0o444)
    tmp_path.chmod(0o777)
    save = 'with pytest.raises(PermissionError, match="\'m.safetensors\'"): model.save("m.safetensors")'
    as_nobody(save, tmp_path)
    assert place.read_bytes() == before


def as_nobody(statement, folder):
    """Run a statement as a user without rights, in a folder that may lie below others that are closed."""
    source = f"""
import os, pytest
import fallline as fl
model = fl.Model([fl.Input(3), fl.Dense(2)], seed=0)
model.save("warm")  # whatever is imported late
os.unlink("warm")
os.setgroups([]); os.setegid({NOBODY}); os.seteuid({NOBODY})
{statement}
"""
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no attributes beside the mode here")
def test_attributes_stay(model, place):
    try:
        os.setxattr(place, "user.colour", b"blue")
    except OSError:
        pytest.skip("the file system has none")
    model.save(place)
    assert os.getxattr(place, "user.colour") == b"blue"


def test_links_are_followed(model, content, tmp_path):
    (tmp_path / "far").mkdir()
    link, chain, loose = (tmp_path / name for name in ("link", "chain", "loose"))
    made(seed=1).save(tmp_path / "far/m")
    link.symlink_to("far/m")
    chain.symlink_to(link)
    loose.symlink_to("far/new")
    for path in (chain, loose):
        model.save(path)
        assert path.is_symlink()
        assert path.read_bytes() == content
    assert (tmp_path / "far/m").read_bytes() == (tmp_path / "far/new").read_bytes() == content
    assert sorted(p.name for p in (tmp_path / "far").iterdir()) == ["m", "new"]
    around = tmp_path / "around"
    around.symlink_to(around)
    with pytest.raises(OSError, match="around") as caught:
        model.save(around)
    assert caught.value.filename == str(around)
    assert around.is_symlink()


def test_a_pipe_stays_a_pipe(model, content, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path / "link"):
        if path != pipe:
            path.symlink_to(pipe)
        read = []
        reader = threading.Thread(target=lambda read=read: read.append(pipe.read_bytes()))
        reader.start()
        model.save(path)
        reader.join(10)
        assert read == [content]
        assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_is_loaded_from(model, content, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    loaded = fl.load_model(pipe)
    writer.join(10)
    assert saved(loaded) == content


def test_devices_stay_devices(model, tmp_path):
    model.save("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116
    with pytest.raises(OSError, match="No space left on device") as caught:
        model.save("/dev/full")
    assert caught.value.filename == "/dev/full"
    if ROOT:
        own = tmp_path / "null"
        with suppress(PermissionError):  # where a container forbids it
            os.mknod(own, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            model.save(own)
            assert stat.S_ISCHR(own.stat().st_mode)


def test_standard_output_is_a_place(content, tmp_path):
    source = 'import fallline as fl; fl.Model([fl.Input(3), fl.Dense(2)], seed=0).save("/dev/stdout")'
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True)
    assert done.stdout == content


def test_errors_name_the_path_that_was_given(model, tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.write_bytes(b"")
    bad = {
        tmp_path / "no/where": FileNotFoundError,
        folder: IsADirectoryError,
        f"{tmp_path}/new/": IsADirectoryError,
        file / "below": NotADirectoryError,
    }
    for path, kind in bad.items():
        with pytest.raises(kind) as caught:
            model.save(path)
        assert caught.value.filename == str(path)
        assert "tmp" not in str(caught.value).replace(str(tmp_path), "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_name_may_be_as_long_as_the_system_allows(model, content, tmp_path):
    path = tmp_path / ("m" * 255)
    model.save(path)
    assert path.read_bytes() == content


def test_the_home_folder_has_a_sign(model, content, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model.save("~/m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == content
    assert saved(fl.load_model("~/m.safetensors")) == content
    assert fl.ModelCheckpoint("~/m").path == fl.CSVLogger("~/m").path == str(tmp_path / "m")
    assert fl.TensorBoard("~/m").folder == fl.BackupAndRestore("~/m").path == str(tmp_path / "m")
    model.save("./~")
    assert (tmp_path / "~").read_bytes() == content


class Dribble(io.RawIOBase):
    """A file that takes a few bytes at a time."""

    def __init__(self):
        self.content = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.content += data[:7]
        return len(data[:7])


def test_buffers_are_written_and_read(model, content, tmp_path):
    buffer, array, dribble = io.BytesIO(), bytearray(b"something longer before" * 1000), Dribble()
    for each in (buffer, array, dribble):
        model.save(each)
    assert buffer.getvalue() == bytes(array) == bytes(dribble.content) == content
    buffer.seek(0)
    for source in (buffer, array, content, memoryview(content)):
        assert saved(fl.load_model(source)) == content
    with (tmp_path / "file").open("w+b") as file:
        model.save(file)
        file.seek(0)
        assert_same_bits(fl.load_model(file).get_weights(), model.get_weights())


def test_one_buffer_holds_several_models(model):
    buffer = io.BytesIO()
    models = [model, made(seed=1), made(seed=2)]
    for each in models:
        each.save(buffer)
    buffer.seek(0)
    for each in models:
        assert saved(fl.load_model(buffer)) == saved(each)
    with refuses(ValueError, "path is a BytesIO, and it cannot be read"):
        fl.load_model(buffer)
    with refuses(ValueError, "path is a bytes, and it cannot be read"):
        fl.load_model(buffer.getvalue())  # which would hide two of them


@pytest.mark.parametrize("bad", [None, 3, 3.0, [], io.StringIO(), b"model"])
def test_what_is_no_place_is_refused(bad, model):
    with refuses(TypeError, "^Model.save: path is"):
        model.save(bad)
    if not isinstance(bad, bytes):
        with refuses(TypeError, "^load_model: path is"):
            fl.load_model(bad)


@pytest.mark.parametrize("bad", ["", "a\0b"])
def test_what_is_no_path_is_refused(bad, model):
    for call in (model.save, fl.load_model):
        with refuses(ValueError, r"path is '.*'; expected a path"):
            call(bad)


def test_an_array_that_no_file_holds_is_named(blobs, tmp_path):
    class Half(fl.Callback):
        def get_state(self):
            return {"half": np.zeros(2, np.float16)}

    model = fl.Model([fl.Dense(4, activation="softmax")], seed=0)
    model.compile("sgd", "cross_entropy")
    with refuses(TypeError, r"half has dtype float16; expected one of float32, "):
        model.fit(*blobs, callbacks=[Half(), fl.BackupAndRestore(tmp_path / "fit")])
