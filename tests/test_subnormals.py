"""Subnormal numbers count as zero inside a network, and nowhere else."""

from __future__ import annotations

import threading
from typing import ClassVar

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, unchanged

TINY = {"float32": np.float32(1e-42), "float64": np.float64(1e-315)}
dtypes = pytest.mark.parametrize("dtype", TINY)


def is_subnormal(array):
    return (array != 0) & (np.abs(array) < np.finfo(array.dtype).tiny)


def survive():
    """Whether subnormal numbers of NumPy are what IEEE 754 says, on this thread."""
    return all(
        (np.full(100, tiny) * tiny.dtype.type(2)).min() == 2 * float(tiny) and tiny + tiny != 0
        for tiny in TINY.values()
    )


class Seen(fl.Callback):
    def __init__(self):
        super().__init__()
        self.all = []

    def on_epoch_end(self, epoch, logs):
        self.all.append(survive())

    on_batch_end = on_epoch_begin = on_epoch_end


class Watching(fl.Layer):
    """Passes its input on, and looks at the arithmetic."""

    seen: ClassVar[list[bool]] = []

    def forward(self, x, training):
        self.seen.append(survive())
        return x

    def backward(self, gradient):
        self.seen.append(survive())
        return gradient


# Gradients of the first epochs alone: units that die leave moments that decay for ever.
def decaying(optimizer, dtype="float32", rows=64):
    """A model with a first moment of 1e-35 or so everywhere, and rows that leave it to decay."""
    model = fl.Model([fl.Input(3), fl.Dense(5), fl.Dense(1)], seed=0, dtype=dtype)
    model.compile(optimizer, "mse")
    model.train_on_batch(np.ones((4, 3)), np.zeros(4))
    state = model.get_state()
    small = 1e-35 if dtype == "float32" else 1e-304
    for name, array in state["arrays"].items():
        if name.count(".") == 2:  # of the optimizer
            state["arrays"][name] = np.full_like(array, small)
    model.set_state(state)
    X = np.zeros((rows, 3))
    return model, X, model.predict(X).astype("float64")


def slots(model):
    return [array for name, array in model.get_state()["arrays"].items() if name.count(".") == 2]


OPTIMIZERS = {
    "momentum": lambda: fl.SGD(0.01, momentum=0.9),
    "Nesterov": lambda: fl.SGD(0.01, momentum=0.9, nesterov=True),
    "Adam": lambda: fl.Adam(beta_2=0.9),
    "RMSProp": lambda: fl.RMSProp(rho=0.9),
    "AdaDelta": lambda: fl.AdaDelta(rho=0.9),
    "Lion": lambda: fl.Lion(beta_2=0.9),
    "clipped": lambda: fl.Adam(beta_2=0.9, clip_norm=1.0),
}


@dtypes
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("train", ["fit", "batch 1", "stream", "partial_fit", "train_on_batch", "fit_many"])
def test_moments_that_decay_become_zero(optimizer, train, dtype):
    model, X, y = decaying(optimizer(), dtype)
    match train:
        case "fit":
            model.fit(X, y, batch_size=8, epochs=20)
        case "batch 1":
            model.fit(X, y, batch_size=1, epochs=3)
        case "stream":
            model.fit([(X[i : i + 8], y[i : i + 8]) for i in range(0, 64, 8)], epochs=20)
        case "partial_fit":
            for _ in range(20):
                model.partial_fit(X, y, batch_size=8)
        case "train_on_batch":
            for _ in range(160):
                model.train_on_batch(X, y)
        case "fit_many":
            fl.fit_many([model], X, y, batch_size=8, epochs=20)
    assert not any(is_subnormal(array).any() for array in slots(model))
    assert any((array == 0).any() for array in slots(model))


@dtypes
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_plain_arrays_and_a_model_keep_the_same_bits(optimizer, dtype):
    tiny = TINY[dtype]
    model = fl.Model([fl.Input(1), fl.Dense(3, use_bias=False)], dtype=dtype)
    model.compile(optimizer(), lambda y, p: ((p * tiny).sum(1), np.full_like(p, tiny)))
    start = np.array([[0.5, tiny, -2 * tiny]], dtype)
    model.set_weights([start])
    plain, arrays = optimizer(), [start.copy()]
    for _ in range(5):
        model.train_on_batch(np.ones((1, 1)), np.zeros((1, 3)))
        plain.step(arrays, [np.full_like(start, tiny)])
    assert_same_bits(model.get_weights(), arrays)
    assert not is_subnormal(arrays[0]).any()


@dtypes
def test_weights_are_kept_as_given(dtype, tmp_path):
    model = fl.Model([fl.Input(2), fl.Dense(3)], dtype=dtype)
    given = [np.full((2, 3), TINY[dtype]), np.full(3, -TINY[dtype])]
    model.set_weights(given)
    assert_same_bits(model.get_weights(), given)
    model.save(tmp_path / "model.safetensors")
    assert_same_bits(fl.load_model(tmp_path / "model.safetensors").get_weights(), given)
    assert (model.predict(np.ones((1, 2))) == 0).all()


@dtypes
def test_kernels_on_arrays_keep_them(dtype):
    tiny = np.full((1, 1), TINY[dtype])
    assert fl.ops.activate("relu", tiny).item() == TINY[dtype]
    assert fl.ops.matmul(tiny, np.ones_like(tiny)).item() == TINY[dtype]


@dtypes
def test_callbacks_layers_and_losses_compute_as_the_caller_does(dtype, rng):
    X, y, seen, Watching.seen = rng.normal(size=(40, 3)), rng.normal(size=40), Seen(), []

    def loss(y, p):
        Watching.seen.append(survive())
        return ((p - y) ** 2).sum(1), 2 * (p - y)

    def rate(step):
        Watching.seen.append(survive())
        return 0.01

    model = fl.Model([fl.Dense(4), Watching(), fl.Dense(1)], seed=0, dtype=dtype)
    model.compile(fl.Adam(rate), loss)
    model.fit(X, y, epochs=2, callbacks=[seen], validation_split=0.2)
    model.predict(X)
    model.loss_and_gradients(X, y)
    many = fl.Model([fl.Dense(4), fl.Dense(1)], seed=0, dtype=dtype)
    many.compile(fl.SGD(rate), "mse")
    fl.fit_many([many], X, y, epochs=2)
    assert len(Watching.seen) > 10
    assert all(Watching.seen)
    assert seen.all
    assert all(seen.all)
    assert survive()


@pytest.mark.parametrize("method", [fl.LBFGS(), fl.BFGS(), fl.Adam(0.1), fl.SimulatedAnnealing()], ids=repr)
def test_functions_that_are_minimized_compute_as_the_caller_does(method):
    seen = []

    def square(x):
        seen.append(survive())
        return float((x**2).sum()), 2 * x

    fl.minimize(square, np.ones(3), optimizer=method, max_iterations=5)
    assert len(seen) > 3
    assert all(seen)
    assert survive()


def test_an_exception_restores_them(rng):
    X = rng.normal(size=(40, 3)).astype("float32")
    y = X[:, 0].copy()
    model = fl.Model([fl.Dense(4), fl.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(X, y)
    X[7] = np.nan
    with unchanged(model), pytest.raises(fl.NonFiniteLoss):
        model.train_on_batch(X, y)
    assert survive()
    with pytest.raises(fl.NonFiniteLoss):
        model.fit(X, y)
    assert survive()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_other_threads_never_notice(rng, threads):
    X = rng.normal(size=(2000, 20)).astype("float32")
    model = fl.Model([fl.Dense(64, "relu"), fl.Dense(1)], seed=0)
    model.compile("adam", "mse")
    over, seen = threading.Event(), []

    def look():
        while not over.is_set():
            seen.append(survive())

    other = threading.Thread(target=look)
    other.start()
    with fl.threads(threads):
        model.fit(X, X[:, 0], batch_size=256, epochs=20)
    over.set()
    other.join()
    later = threading.Thread(target=lambda: seen.append(survive()))
    later.start()
    later.join()
    assert all(seen)
