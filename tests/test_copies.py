"""Pickled and copied models: what their user keeps in them, and classes of the user's own."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model, refuses, saved


class Net(fl.Model):
    """Another constructor, another compile(), state of its own."""

    def __init__(self, width, *, labels=("no", "yes")):
        self.made = [self]  # before the rest is, and a ring
        super().__init__([fl.Input(8), fl.Dense(width, "relu"), fl.Dense(4, "softmax")], seed=0)
        self.labels = list(labels)

    def compile(self, rate=0.01):
        super().compile(fl.Adam(rate), "cross_entropy", ["accuracy"])

    def build(self, inputs):
        assert self.made  # what it may need is there
        super().build(inputs)

    def named(self, X):
        return [self.labels[i % 2] for i in self.predict(X).argmax(1)]


class Slotted(Net):
    """An argument that no attribute holds."""

    def __init__(self, *, secret):
        super().__init__(5)


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "protocol 2": lambda model: pickle.loads(pickle.dumps(model, 2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.fixture(params=COPIES)
def copied(request):
    return COPIES[request.param]


def test_what_is_kept_in_a_model_comes_along(copied, blobs):
    model = fl.Model([fl.Dense(4, "softmax")], seed=0)
    model.scaler, model._own, model.table = "fitted", {"a": 1}, np.arange(3)
    for stage in ("declared", "compiled", "trained"):
        if stage == "compiled":
            model.compile("adam", "cross_entropy")
        if stage == "trained":
            model.fit(*blobs)
        made = copied(model)
        assert (made.scaler, made._own, made.table.tolist()) == ("fitted", {"a": 1}, [0, 1, 2])
    assert saved(made) == saved(model)
    made.scaler = "another"
    assert model.scaler == "fitted"


def test_a_copy_is_deep_where_it_should_be(blobs):
    model = fl.Model([fl.Input(8), fl.Dense(4)], seed=0)
    model.remarks, model.metadata = ["own"], {"list": []}
    deep, flat = copy.deepcopy(model), copy.copy(model)
    assert flat.remarks is model.remarks
    assert deep.remarks is not model.remarks
    assert deep.metadata["list"] is not model.metadata["list"]
    flat.set_weights([np.zeros((8, 4)), np.zeros(4)])
    assert model.get_weights()[0].any()


@pytest.mark.parametrize("make", [lambda: Net(6, labels=("a", "b")), lambda: Slotted(secret=3)])
def test_a_class_of_the_users_own(make, copied, blobs):
    model = make()
    if type(model) is Net:
        assert model.labels == ["a", "b"]
    model.compile(0.05)
    model.fit(*blobs)
    made = copied(model)
    assert type(made) is type(model)
    assert made.labels == model.labels
    assert (made.made[0] is made) == (copied is not copy.copy)
    assert made.named(blobs[0]) == model.named(blobs[0])
    assert saved(made) == saved(model)
    for each in (made, model):
        each.fit(*blobs)
    assert_same_model(made, model)
    made.compile()


def test_what_makes_models_anew_takes_it_along(blobs):
    model = Net(6, labels=("a", "b"))
    model.compile()
    made = model.anew(seed=1)
    assert type(made) is Net
    assert made.labels == ["a", "b"]
    best = fl.multi_start(model, *blobs, starts=2, epochs=2).best
    assert type(best) is Net
    assert best.named(blobs[0])


def test_a_fit_of_the_users_class_is_resumed(blobs, tmp_path):
    def cut(epoch, logs):
        if epoch == 1:
            raise InterruptedError

    straight = Net(6)
    straight.compile()
    straight.fit(*blobs, epochs=4)
    for callbacks in ([fl.LambdaCallback(on_epoch_end=cut)], []):
        model = Net(6)
        model.compile()
        model.scaler = "fitted"
        try:
            model.fit(*blobs, epochs=4, callbacks=[fl.BackupAndRestore(tmp_path / "fit"), *callbacks])
        except InterruptedError:
            continue
    assert model.scaler == "fitted"
    assert_same_model(model, straight)


def test_files_hold_the_network_only(tmp_path):
    """No reader of a model runs code of the user's; own attributes stay behind."""
    model = Net(6)
    model.save(tmp_path / "m")
    loaded = fl.load_model(tmp_path / "m")
    assert type(loaded) is fl.Model
    assert not hasattr(loaded, "labels")
    assert_same_bits(loaded.get_weights(), model.get_weights())


class Halved(fl.Residual):
    """A block with an argument more."""

    def __init__(self, layers, note):
        super().__init__(layers)
        self.note = note


def test_blocks_of_the_users_own_class(copied):
    model = fl.Model([fl.Input(4), Halved([fl.Dense(4)], note="a"), fl.Dense(1)], seed=0)
    made = copied(model)
    assert type(made.layers[1]) is Halved
    assert made.layers[1].note == "a"
    made.layers[1].layers[0].kernel = np.zeros((4, 4))
    assert model.layers[1].layers[0].kernel.any()


def test_a_layer_stands_in_one_place():
    shared, inner = fl.Dense(4), fl.Dropout(0.1)
    block = fl.Residual([shared, inner])
    for layers, first, again in (
        ([shared, fl.Dense(3), shared], r"layers\[0\]", r"layers\[2\]"),
        ([fl.Input(4), inner, inner], r"layers\[1\]", r"layers\[2\]"),
        ([shared, block], r"layers\[0\]", r"layers\[1\].layers\[0\]"),
        ([block, fl.Dense(4), shared], r"layers\[0\].layers\[0\]", r"layers\[2\]"),
        (
            [block, fl.Residual([fl.Residual([inner])])],
            r"layers\[0\].layers\[1\]",
            r"layers\[1\].layers\[0\].layers\[0\]",
        ),
        ([block, block], r"layers\[0\]", r"layers\[1\]"),
        ([fl.Residual([shared, shared])], r"layers\[0\].layers\[0\]", r"layers\[0\].layers\[1\]"),
    ):
        with refuses(ValueError, f"^Model: {again} is the object at {first} once more"):
            fl.Model(layers)
    # In several models, and as copies, it may.
    models = [fl.Model([fl.Input(4), block, copy.copy(shared)], seed=0) for _ in range(2)]
    models[0].layers[1].layers[0].kernel = np.zeros((4, 4))
    assert models[1].layers[1].layers[0].kernel.any()
    assert fl.Model(models[0].layers, seed=0).outputs == 4
