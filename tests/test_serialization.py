"""Model files: one safetensors file, written whole or not at all, read with suspicion."""

from __future__ import annotations

import json
import os
import pickle
import struct
from contextlib import suppress

import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model, refuses, saved


@pytest.fixture
def model(blobs):
    layers = [
        fl.Input(8),
        fl.Rescale(0.5, 0.1),
        fl.Dense(
            6,
            activation="relu",
            kernel_regularizer=fl.L1L2(l1=1e-4, l2=1e-3),
            kernel_initializer=fl.Normal(std=0.2),
        ),
        fl.Dropout(0.1),
        fl.Dense(4, use_bias=False),
        fl.Activation("softmax"),
    ]
    model = fl.Model(layers, seed=3, name="blobs")
    model.compile(
        fl.AdamW(0.01, beta_1=0.8, clip_norm=1.0), fl.CrossEntropy(0.1, reduction="sum"), metrics=["accuracy"]
    )
    model.fit(*blobs, epochs=2)
    return model


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_everything_comes_back(model, path, blobs):
    loaded = fl.load_model(path)
    assert_same_model(loaded, model)
    assert loaded.name == model.name
    assert loaded.dtype == model.dtype
    assert [repr(layer) for layer in loaded.layers] == [repr(layer) for layer in model.layers]
    assert repr(loaded.optimizer) == repr(model.optimizer)
    assert repr(loaded.loss) == repr(model.loss)
    assert loaded.evaluate(*blobs) == model.evaluate(*blobs)


def test_the_safetensors_library_reads_it(model, path):
    safetensors = pytest.importorskip("safetensors.numpy")
    tensors = safetensors.load_file(path)
    for weight in model.get_weights():
        assert any(t.shape == weight.shape and t.tobytes() == weight.tobytes() for t in tensors.values())


def test_nothing_in_it_is_pickled(path):
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert all(isinstance(v, str) for v in header["__metadata__"].values())
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())


def test_saving_twice_gives_the_same_file(model, path, tmp_path):
    model.save(str(tmp_path / "again.safetensors"))
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_model_never_compiled_or_never_trained_comes_back(tmp_path, blobs):
    x, y = blobs
    for compiled in (False, True):
        model = fl.Model([fl.Input(8), fl.Dense(4, activation="softmax")], seed=0)
        if compiled:
            model.compile("rmsprop", "cross_entropy")
        model.save(tmp_path / "m.safetensors")
        loaded = fl.load_model(tmp_path / "m.safetensors")
        assert_same_bits(loaded.get_weights(), model.get_weights())
        if not compiled:
            for m in (model, loaded):
                m.compile("rmsprop", "cross_entropy")
        for m in (model, loaded):
            m.fit(x, y)
        assert_same_model(model, loaded)


def test_the_file_may_be_loaded_anywhere_and_replaced(model, path, blobs):
    loaded = fl.load_model(str(path))
    loaded.fit(*blobs)
    loaded.save(path)  # while nothing holds the old one open
    assert_same_model(fl.load_model(path), loaded)


def test_a_failed_save_keeps_the_old_file(model, path, monkeypatch, blobs):
    before, files = path.read_bytes(), sorted(path.parent.iterdir())
    model.fit(*blobs)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace", "rename"):
        monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        model.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == files


def test_saving_leaves_one_file(path):
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def refused(path, content):
    path.write_bytes(content)
    with refuses(ValueError, "load_model"):
        fl.load_model(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(path, share):
    content = path.read_bytes()
    refused(path, content[: int(share * len(content))])


def test_files_that_are_something_else_are_refused(path):
    for content in (
        b"PK\x03\x04" + bytes(100),
        b"\x00" * 64,
        b"\xff" * 64,
        b"{}",
        pickle.dumps({"a": 1}),
        b"\x93NUMPY",
    ):
        refused(path, content)


def rewritten(path, change):
    """The file with its header changed in place; the tensors stay."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def test_headers_that_lie_are_refused(path):
    def first(header):
        return next(k for k in header if k != "__metadata__")

    lies = [
        lambda h: h.pop("__metadata__"),
        lambda h: h.pop(first(h)),
        lambda h: h[first(h)].update(shape=[1]),
        lambda h: h[first(h)].update(shape=[-1, 4]),
        lambda h: h[first(h)].update(dtype="I64"),
        lambda h: h[first(h)].update(dtype="F99"),
        lambda h: h[first(h)].update(data_offsets=[0, 10**12]),
        lambda h: h[first(h)].update(data_offsets=[-8, 8]),
        lambda h: h[first(h)].update(data_offsets="all"),
        lambda h: h["__metadata__"].clear(),
        lambda h: h["__metadata__"].update(dict.fromkeys(h["__metadata__"], "{}")),
        lambda h: h["__metadata__"].update(dict.fromkeys(h["__metadata__"], "not json")),
        lambda h: h["__metadata__"].update(
            {k: v.replace("Dense", "Danse") for k, v in h["__metadata__"].items()}
        ),
        lambda h: h["__metadata__"].update(
            {k: v.replace('"units": 6', '"units": 7') for k, v in h["__metadata__"].items()}
        ),
    ]
    original = path.read_bytes()
    for lie in lies:
        path.write_bytes(original)
        content = rewritten(path, lie)
        assert content != original
        refused(path, content)


def test_random_damage_never_crashes(path, rng):
    """A flipped byte of the header is refused with a ValueError, or is one that nobody reads."""
    original = path.read_bytes()
    (length,) = struct.unpack("<Q", original[:8])
    for position in rng.integers(0, 8 + length, 150):
        content = bytearray(original)
        content[position] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        with suppress(ValueError):
            fl.load_model(path)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        fl.load_model(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol(model, protocol):
    assert saved(pickle.loads(pickle.dumps(model, protocol))) == saved(model)
