"""What is wrong in a layer of the user's own is told, and changes nothing."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import weakref

import numpy as np
import pytest

import fallline as fl
from cases.own_layers import INPUTS, OUTPUTS, ROWS, Scale, data, made
from helpers import assert_near, refuses, unchanged


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
            self.add_gradient(name, {"shape": value[1:], "infinite": value + np.inf}.get(fault, value))
        dx = gradient * self.factor
        return {"0 / 0": dx * np.nan, "narrow": dx[:, 1:], "nothing": None, "object": dx.astype(object)}.get(
            fault, dx
        )


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
    ("0 / 0", ValueError, "Faulty.backward: result is not finite; expected finite numbers"),
    ("infinite", ValueError, "Faulty.backward: factor is not finite; expected finite numbers"),
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


def test_a_loss_that_is_not_finite_is_told_before_a_gradient_that_is_not(rng):
    model = made([Faulty(None), fl.Dense(OUTPUTS)])
    model.compile("sgd", "mae")
    x, y = data(rng, model)
    x[0, 0] = np.inf
    with unchanged(model), pytest.raises(fl.NonFiniteLoss, match="the data"):
        model.train_on_batch(x, y)


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
    """The updates before it stay; the epoch is over, as if it had been cut there by a callback."""

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
    cut = made([fl.Activation("linear"), fl.Dense(OUTPUTS)])
    stop = fl.LambdaCallback(on_batch_end=lambda batch, logs: setattr(cut, "stop_training", batch == 1))
    cut.fit(x, y, batch_size=10, epochs=1, callbacks=[stop])
    cut.fit(x, y, batch_size=10, epochs=1)
    with pytest.raises(OSError, match="disk full"):
        model.fit(x, y, batch_size=10, epochs=1)
    model.fit(x, y, batch_size=10, epochs=1)
    assert_near(model.get_weights(), cut.get_weights())


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


def test_a_failed_fit_frees_its_model_too(rng):
    model = made([fl.Dense(7), Faulty("backward"), fl.Dense(OUTPUTS)])
    x, y = data(rng, model)
    with pytest.raises(ZeroDivisionError):
        model.fit(x, y)
    watched = weakref.ref(model)
    del model
    gc.collect()
    assert watched() is None
