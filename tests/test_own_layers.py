"""Layers that users write in NumPy: the same results as the built-in ones, and the same promises."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import fallline as fl
from cases.own_layers import INPUTS, OUTPUTS, ROWS, OwnDense, OwnTanh, Scale, data, made
from helpers import assert_near, assert_same_bits, assert_same_model, refuses, unchanged


def dense(l2):
    return fl.Dense(5, kernel_regularizer=fl.L2(l2) if l2 else None)


# (with own layers, the same with built-in ones); each takes the width 6 to 5, or keeps it
PAIRS = {
    "dense": (lambda: [OwnDense(5)], lambda: [fl.Dense(5)]),
    "penalised": (lambda: [OwnDense(5, l2=0.1)], lambda: [dense(0.1)]),
    "tanh": (lambda: [OwnTanh()], lambda: [fl.Activation("tanh")]),
    "dense and tanh": (lambda: [OwnDense(5), OwnTanh()], lambda: [fl.Dense(5, "tanh")]),
    "dropout after": (lambda: [OwnDense(5), fl.Dropout(0.4)], lambda: [fl.Dense(5), fl.Dropout(0.4)]),
    "residual": (
        lambda: [fl.Residual([OwnDense(9), OwnTanh(), fl.Dropout(0.4), OwnDense(INPUTS)])],
        lambda: [fl.Residual([fl.Dense(9), fl.Activation("tanh"), fl.Dropout(0.4), fl.Dense(INPUTS)])],
    ),
}
PLACES = {
    "first": lambda own: [*own, fl.Dense(OUTPUTS)],
    "middle": lambda own: [fl.Dense(INPUTS, activation="sigmoid"), *own, fl.Dense(OUTPUTS)],
    "last": lambda own: [fl.Dense(INPUTS, activation="tanh"), *own],
}
pairs = pytest.mark.parametrize("pair", PAIRS)
places = pytest.mark.parametrize("place", PLACES)


@pairs
@places
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 2e-5)])
def test_own_layers_do_what_the_built_in_ones_do(pair, place, dtype, tolerance, rng):
    own, built_in = (made(PLACES[place](make()), dtype) for make in PAIRS[pair])
    for a, b in zip(own.get_weights(), built_in.get_weights(), strict=True):
        assert a.shape == b.shape
    built_in.set_weights(own.get_weights())
    x, y = data(rng, own)
    for _ in range(3):
        both = [(m.predict(x), *m.evaluate(x, y).values()) for m in (own, built_in)]
        assert_near(*both, tolerance)
        (loss, gradients), (expected, expected_gradients) = (
            m.loss_and_gradients(x, y) for m in (own, built_in)
        )
        assert_near([loss, *gradients], [expected, *expected_gradients], tolerance)
        assert_near(*([m.train_on_batch(x, y)] for m in (own, built_in)), tolerance)
        histories = [m.fit(x, y, batch_size=8, epochs=2).history for m in (own, built_in)]
        assert_near([histories[0]["loss"]], [histories[1]["loss"]], tolerance)
        assert_near(own.get_weights(), built_in.get_weights(), tolerance)


@pairs
@places
def test_clipping_by_norm_sees_the_gradients_of_own_layers(pair, place, rng):
    optimizer = fl.SGD(0.1, momentum=0.9, clip_norm=0.05)
    own, built_in = (made(PLACES[place](make()), optimizer=optimizer) for make in PAIRS[pair])
    built_in.set_weights(own.get_weights())
    x, y = data(rng, own)
    for model in (own, built_in):
        model.fit(x, y, batch_size=8, epochs=2)
    assert_near(own.get_weights(), built_in.get_weights())


@pairs
@pytest.mark.parametrize("how", ["file", "pickle", "deepcopy"])
def test_stopping_in_the_middle_changes_nothing(pair, how, rng, tmp_path):
    model = made(PLACES["middle"](PAIRS[pair][0]()), "float32")
    x, y = data(rng, model)
    model.fit(x, y, batch_size=8, epochs=2)
    if how == "file":
        model.save(tmp_path / "own.safetensors")
        twin = fl.load_model(tmp_path / "own.safetensors")
    else:
        twin = pickle.loads(pickle.dumps(model)) if how == "pickle" else copy.deepcopy(model)
    assert_same_model(twin, model)
    for m in (model, twin):
        m.fit(x, y, batch_size=8, epochs=2)
    assert_same_model(twin, model)


def test_a_copy_has_layers_of_its_own(rng):
    model = made([Scale(), fl.Dense(OUTPUTS)])
    x, y = data(rng, model)
    twin = copy.deepcopy(model)
    model.fit(x, y, epochs=2)
    assert (model.layers[1].factor != 1).all()
    assert (twin.layers[1].factor == 1).all()
    twin.fit(x, y, epochs=2)
    assert_same_model(twin, model)


def test_parameters_are_attributes(rng):
    model = made([Scale(), fl.Dense(OUTPUTS)])
    layer, x = model.layers[1], rng.normal(size=(ROWS, INPUTS))
    assert_same_bits(model.get_weights()[:2], [np.ones(INPUTS), np.full((2, INPUTS), 0.5)])
    layer.factor = 2 * np.ones(INPUTS)
    np.testing.assert_array_equal(layer.factor, 2)
    np.testing.assert_array_equal(model.get_weights()[0], 2)
    kernel, bias = model.get_weights()[2:]
    np.testing.assert_allclose(model.predict(x), 2 * x @ kernel + bias, rtol=1e-13)
    with unchanged(model), refuses(ValueError, r"\(5,\).*\(6,\)"):
        layer.factor = np.ones(5)
    with pytest.raises(AttributeError, match="'Scale' object has no attribute 'factr'"):
        layer.factr  # noqa: B018


def test_a_layer_outside_of_a_model_has_no_weights():
    with pytest.raises(AttributeError, match="'Scale' object has no attribute 'factor'"):
        Scale().factor  # noqa: B018


def test_what_does_not_learn_stays(rng):
    model = made([Scale(), fl.Dense(OUTPUTS)])
    x, y = data(rng, model)
    model.fit(x, y, batch_size=8, epochs=3)
    np.testing.assert_array_equal(model.layers[1].fixed, 0.5)
    assert (model.layers[1].factor != 1).all()
    np.testing.assert_array_equal(model.loss_and_gradients(x, y)[1][1], 0)


def test_training_is_told_to_the_layer(rng):
    seen = []

    class Told(fl.Layer):
        def forward(self, x, training):
            seen.append((training, x.shape, x.dtype.name))
            return x

        def backward(self, gradient):
            return gradient

    model = made([fl.Dense(OUTPUTS), Told()], "float32")
    x, y = data(rng, model)
    model.predict(x)
    model.evaluate(x, y)
    assert seen == [(False, (ROWS, OUTPUTS), "float32")] * 2
    seen.clear()
    model.train_on_batch(x, y)
    model.fit(x, y, batch_size=20, validation_data=(x[:7], y[:7]))
    model.loss_and_gradients(x, y)
    batches = [(True, (n, OUTPUTS), "float32") for n in (ROWS, 20, 20, 10)]
    assert seen == [*batches, (False, (7, OUTPUTS), "float32"), batches[0]]


def test_a_batch_comes_in_one_piece():
    """Whatever its size: a layer may look across the rows of a batch."""
    sizes = []

    class Center(fl.Layer):
        def forward(self, x, training):
            sizes.append(len(x))
            return x - x.mean(axis=0)

        def backward(self, gradient):
            return gradient - gradient.mean(axis=0)

    model = made([fl.Dense(OUTPUTS), Center()])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10000, INPUTS)), rng.normal(size=(10000, OUTPUTS))
    _, gradients = model.loss_and_gradients(x, y)
    assert sizes == [10000]
    kernel = model.get_weights()[0]
    z = x @ kernel
    delta = 2 * (z - z.mean(axis=0) - y) / y.size
    np.testing.assert_allclose(gradients[0], x.T @ (delta - delta.mean(axis=0)), rtol=1e-9, atol=1e-12)


def test_a_layer_may_keep_and_change_what_it_is_given(rng):
    """Arrays are the layer's own: writing into them does not reach the model."""

    class Vandal(fl.Layer):
        def forward(self, x, training):
            y = x.copy()
            x[:] = np.nan
            return y

        def backward(self, gradient):
            dx = gradient.copy()
            gradient[:] = np.nan
            return dx

    plain = made([fl.Dense(7, "tanh"), fl.Dense(OUTPUTS)])
    model = made([fl.Dense(7, "tanh"), Vandal(), fl.Dense(OUTPUTS), Vandal()])
    x, y = data(rng, model)
    model.set_weights(plain.get_weights())
    for m in (plain, model):
        m.fit(x, y, epochs=2)
    assert np.isfinite(x).all()
    assert_near(model.get_weights(), plain.get_weights())


def test_an_own_class_does_not_stand_in_for_a_built_in_one(tmp_path, rng):
    built_in = fl.Model([fl.Input(3), fl.Dense(2, "tanh")], seed=0)
    Dense = type("Dense", (OwnDense,), {"__module__": __name__})
    own = fl.Model([fl.Input(3), Dense(2)], seed=0)
    x = rng.normal(size=(4, 3))
    for model in (own, built_in):
        model.save(tmp_path / "m.safetensors")
        loaded = fl.load_model(tmp_path / "m.safetensors")
        assert type(loaded.layers[1]) is type(model.layers[1])
        assert_same_bits([loaded.predict(x)], [model.predict(x)])


class Powers(fl.Layer):
    def __init__(self, columns):
        self.columns = columns

    def forward(self, x, training):
        return np.stack([x[:, c] ** self.columns.get(c, 1) for c in range(x.shape[1])], axis=1)


def test_an_argument_may_be_a_dict(tmp_path, rng):
    model = fl.Model([fl.Input(3), Powers({0: 2, 2: 3})], seed=0)
    model.save(tmp_path / "m.safetensors")
    loaded = fl.load_model(tmp_path / "m.safetensors")
    assert loaded.layers[1].columns == {0: 2, 2: 3}
    x = rng.normal(size=(4, 3))
    assert_same_bits([loaded.predict(x)], [model.predict(x)])


def test_a_model_with_own_layers_is_freed(rng):
    model = made([OwnDense(7), Scale(), fl.Residual([OwnTanh()]), fl.Dense(OUTPUTS)])
    x, y = data(rng, model)
    model.fit(x, y, epochs=2, validation_data=(x, y))
    model.predict(x)
    with pytest.raises(ValueError, match="shape"):
        model.fit(x, y[1:])
    watched = [weakref.ref(thing) for thing in (model, *model.layers, *model.layers[3].layers)]
    gc.disable()
    try:
        del model
        assert [w() for w in watched] == [None] * len(watched)  # by their reference counts alone
    finally:
        gc.enable()


def test_a_layer_outlives_its_model(rng):
    model = made([Scale(), fl.Dense(OUTPUTS)])
    layer = model.layers[1]
    del model
    np.testing.assert_array_equal(layer.factor, 1)


def test_two_threads_predict_with_one_layer(rng):
    model = made([fl.Dense(30, "tanh"), Scale(), OwnDense(OUTPUTS)])
    x = rng.normal(size=(2000, INPUTS))
    expected, found = model.predict(x), []
    threads = [
        threading.Thread(target=lambda: found.extend(model.predict(x) for _ in range(5))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10
    for each in found:
        assert_same_bits([each], [expected])
