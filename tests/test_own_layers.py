"""Layers that users write in NumPy: the same results as the built-in ones, the same promises, clear errors."""

from __future__ import annotations

import copy
import gc
import pickle
import signal
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model, refuses, unchanged

INPUTS, OUTPUTS, ROWS = 6, 4, 50


class OwnDense(fl.Layer):
    def __init__(self, units, l2=0.0):
        self.units = units
        self.l2 = l2

    def build(self, inputs):
        penalty = fl.L2(self.l2) if self.l2 else None
        self.add_parameter("kernel", (inputs, self.units), "glorot_uniform", regularizer=penalty)
        self.add_parameter("bias", (self.units,))
        return self.units

    def forward(self, x, training):
        self.x = x
        return x @ self.kernel + self.bias

    def backward(self, gradient):
        self.add_gradient("kernel", self.x.T @ gradient)
        self.add_gradient("bias", gradient.sum(axis=0))
        return gradient @ self.kernel.T


class OwnTanh(fl.Layer):
    def forward(self, x, training):
        self.y = np.tanh(x)
        return self.y

    def backward(self, gradient):
        return gradient * (1 - self.y**2)


class Scale(fl.Layer):
    """Learned factors beside fixed ones."""

    def build(self, inputs):
        self.add_parameter("factor", (inputs,), "ones")
        self.add_parameter("fixed", (2, inputs), fl.initializers.Constant(0.5), trainable=False)

    def forward(self, x, training):
        self.x = x
        return x * self.factor * self.fixed.sum(axis=0)

    def backward(self, gradient):
        self.add_gradient("factor", (gradient * self.x * self.fixed.sum(axis=0)).sum(axis=0))
        return gradient * self.factor * self.fixed.sum(axis=0)


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


def made(layers, dtype="float64", optimizer=None):
    model = fl.Model([fl.Input(INPUTS), *layers], seed=4, dtype=dtype)
    model.compile(optimizer or fl.Adam(0.01, weight_decay=0.1), "mse", metrics=["mae"])
    return model


def data(rng, model):
    return rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, model.outputs))


def assert_near(left, right, tolerance=1e-12):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


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


# --- what goes wrong ---


class Faulty(fl.Layer):
    """As wrong as it is told to be."""

    def __init__(self, fault):
        self.fault = fault

    def build(self, inputs):
        self.add_parameter("factor", (inputs,), "ones")

    def forward(self, x, training):
        self.x, fault = x, self.fault if training else None
        if fault == "forward":
            raise KeyError("forward of the user")
        if fault == "assigns":
            self.factor = np.zeros(x.shape[1])
        if fault == "gradient in forward":
            self.__dict__["_running"] = False
            self.add_gradient("factor", self.x[0])
        y = x * self.factor
        results = {
            "wide": np.hstack([y, y]),
            "short": y[1:],
            "flat": y.ravel(),
            "none": None,
            "complex": y + 1j,
            "text": y.astype(str),
            "nan": y * np.nan,
        }
        return results.get(fault, y)

    def backward(self, gradient):
        fault = self.fault
        if fault == "backward":
            raise ZeroDivisionError("backward of the user")
        if fault != "missing":
            name = "facto" if fault == "unknown" else "factor"
            value = (gradient * self.x).sum(axis=0)
            self.add_gradient(name, value[1:] if fault == "shape" else value)
        dx = gradient * self.factor
        return {"narrow": dx[:, 1:], "nothing": None, "object": dx.astype(object)}.get(fault, dx)


FAULTS = [
    ("forward", KeyError, "forward of the user"),
    ("backward", ZeroDivisionError, "backward of the user"),
    ("assigns", RuntimeError, "Faulty: factor is assigned; expected its value to stay during forward"),
    (
        "gradient in forward",
        RuntimeError,
        "Faulty.add_gradient: name is 'factor'; expected a call from backward",
    ),
    ("wide", ValueError, r"Faulty.forward: result has shape \(50, 14\); expected \(50, 7\)"),
    ("short", ValueError, r"Faulty.forward: result has shape \(49, 7\); expected \(50, 7\)"),
    ("flat", ValueError, r"Faulty.forward: result has shape \(350,\); expected \(50, 7\)"),
    ("none", TypeError, "Faulty.forward: result has dtype object; expected numbers"),
    ("complex", TypeError, "Faulty.forward: result has dtype complex128; expected numbers"),
    ("text", TypeError, "Faulty.forward: result has dtype <U"),
    ("missing", ValueError, r"Faulty.backward: gradients of \['factor'\] are missing; expected add_gradient"),
    ("unknown", ValueError, r"Faulty.add_gradient: name is 'facto'; expected one of \['factor'\]"),
    ("shape", ValueError, r"Faulty.add_gradient: factor has shape \(6,\); expected \(7,\)"),
    ("narrow", ValueError, r"Faulty.backward: result has shape \(50, 6\); expected \(50, 7\)"),
    ("nothing", TypeError, "Faulty.backward: result has dtype object; expected numbers"),
    ("object", TypeError, "Faulty.backward: result has dtype object; expected numbers"),
    ("nan", fl.NonFiniteLoss, "the loss is not finite in .* first in layer 2"),
]


@pytest.mark.parametrize("fault, exception, match", FAULTS, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("call", ["train_on_batch", "fit", "loss_and_gradients"])
def test_what_is_wrong_in_a_layer_is_told_and_changes_nothing(fault, exception, match, call, rng):
    model = made([fl.Dense(7, "tanh"), Faulty(fault), fl.BatchNormalization(), fl.Dense(OUTPUTS)])
    x, y = data(rng, model)
    options = {"batch_size": ROWS} if call == "fit" else {}
    with unchanged(model):
        for _ in range(2):
            with pytest.raises(exception, match=match) as caught:
                getattr(model, call)(x, y, **options)
            assert type(caught.value) is exception
    model.predict(x)


def test_an_exception_is_the_one_that_was_raised(rng):
    """The object itself, with the line it comes from; and the layer is run once."""
    raised, calls = ValueError("no more"), []

    class Tired(fl.Layer):
        def forward(self, x, training):
            calls.append(training)
            raise raised

    model = made([Tired(), fl.Dense(OUTPUTS)])
    x, y = data(rng, model)
    for call in (lambda: model.predict(x), lambda: model.train_on_batch(x, y), lambda: model.evaluate(x, y)):
        with pytest.raises(ValueError, match="no more") as caught:
            call()
        assert caught.value is raised
        assert any(entry.name == "forward" for entry in caught.traceback)
    assert calls == [False, True, False]


def test_a_batch_that_raises_leaves_the_epoch_where_it_is(rng):
    """The updates before it stay; the next fit goes on with the batch that raised."""

    class Once(fl.Layer):
        left = 3

        def forward(self, x, training):
            if training:
                type(self).left -= 1
                if type(self).left == 0:
                    raise OSError("disk full")
            return x

        def backward(self, gradient):
            return gradient

    model = made([Once(), fl.Dense(OUTPUTS)])
    x, y = data(rng, model)
    straight = made([fl.Activation("linear"), fl.Dense(OUTPUTS)])
    straight.fit(x, y, batch_size=10, epochs=1)
    with pytest.raises(OSError, match="disk full"):
        model.fit(x, y, batch_size=10, epochs=1)
    model.fit(x, y, batch_size=10, epochs=1)
    assert_near(model.get_weights(), straight.get_weights())


@pytest.mark.parametrize(
    "arguments, exception, match",
    [
        ({"name": "forward", "shape": (3,)}, ValueError, "name is 'forward'"),
        ({"name": "mine", "shape": (3,)}, ValueError, "name is 'mine'"),
        ({"name": "twice", "shape": (3,)}, ValueError, "name is 'twice'"),
        ({"name": "no name", "shape": (3,)}, ValueError, "an identifier"),
        ({"name": 3, "shape": (3,)}, ValueError, "an identifier"),
        ({"name": "w", "shape": 3}, ValueError, "a tuple"),
        ({"name": "w", "shape": (1, 2, 3)}, ValueError, "a tuple"),
        ({"name": "w", "shape": (0,)}, ValueError, "shape is 0"),
        ({"name": "w", "shape": (2.5,)}, TypeError, "shape is 2.5"),
        ({"name": "w", "shape": (3,), "initializer": "zeroes"}, ValueError, "did you mean 'zeros'"),
        ({"name": "w", "shape": (3,), "initializer": 0.5}, TypeError, "initializer"),
        ({"name": "w", "shape": (3,), "regularizer": "l22"}, ValueError, "did you mean 'l2'"),
        ({"name": "w", "shape": (3,), "trainable": 1}, TypeError, "trainable"),
    ],
)
def test_bad_parameters_are_refused(arguments, exception, match):
    class Bad(fl.Layer):
        def __init__(self):
            self.mine = 1

        def build(self, inputs):
            self.add_parameter("twice", (1,))
            self.add_parameter(**arguments)

    with refuses(exception, f"Bad.add_parameter: .*{match}"):
        fl.Model([fl.Input(3), Bad()])


@pytest.mark.parametrize("width, exception", [(0, ValueError), (2.5, TypeError), ("wide", TypeError)])
def test_a_bad_width_is_refused(width, exception):
    class Bad(fl.Layer):
        def build(self, inputs):
            return width

    with refuses(exception, f"Bad.build: returned width is {width!r}"):
        fl.Model([fl.Input(3), Bad()])


def test_undefined_methods_say_so(rng):
    class Bare(fl.Layer):
        pass

    class ForwardOnly(fl.Layer):
        def forward(self, x, training):
            return 2 * x

    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, OUTPUTS))
    with refuses(NotImplementedError, "Bare.forward: is not defined"):
        made([Bare(), fl.Dense(OUTPUTS)]).predict(x)
    below = made([ForwardOnly(), fl.Dense(OUTPUTS)])  # nothing to be trained through it
    below.fit(x, y)
    above = made([fl.Dense(OUTPUTS), ForwardOnly()])
    with unchanged(above), refuses(NotImplementedError, "ForwardOnly.backward: is not defined"):
        above.fit(x, y)
    np.testing.assert_allclose(above.predict(x), 2 * x @ above.get_weights()[0], rtol=1e-13)


def test_a_class_that_is_not_defined_cannot_be_loaded(tmp_path):
    model = fl.Model([fl.Input(3), Scale()], seed=0)
    model.save(tmp_path / "scale.safetensors")
    blob = (tmp_path / "scale.safetensors").read_bytes()
    (tmp_path / "other.safetensors").write_bytes(blob.replace(b"Scale", b"Skale"))
    with refuses(ValueError, "Skale"):
        fl.load_model(tmp_path / "other.safetensors")


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


def test_a_failed_fit_frees_its_model_too(rng):
    model = made([fl.Dense(7), Faulty("backward"), fl.Dense(OUTPUTS)])
    x, y = data(rng, model)
    with pytest.raises(ZeroDivisionError):
        model.fit(x, y)
    watched = weakref.ref(model)
    del model
    gc.collect()
    assert watched() is None


def test_a_layer_outlives_its_model(rng):
    model = made([Scale(), fl.Dense(OUTPUTS)])
    layer = model.layers[1]
    del model
    np.testing.assert_array_equal(layer.factor, 1)


INTERRUPTED = """
    import signal, time
    import numpy as np
    import fallline as fl

    signal.signal(signal.SIGINT, signal.default_int_handler)

    class Slow(fl.Layer):
        def forward(self, x, training):
            if training:
                print("in the layer", flush=True)
                time.sleep(60)
            return x
        def backward(self, gradient):
            return gradient

    model = fl.Model([fl.Input(3), fl.Dense(4), Slow(), fl.Dense(1)], seed=0)
    model.compile("adam", "mse")
    before = model.get_weights()
    try:
        model.fit(np.ones((8, 3)), np.ones((8, 1)), epochs=10)
    except KeyboardInterrupt:
        assert all((a == b).all() for a, b in zip(before, model.get_weights()))
        assert model.predict(np.ones((2, 3))).shape == (2, 1)
        print("interrupted")
"""


def test_ctrl_c_reaches_a_layer_at_work(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", "if True:" + INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert process.stdout.readline() == "in the layer\n", process.stderr.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (out, process.returncode) == ("interrupted\n", 0), err


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
