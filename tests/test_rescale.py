"""Rescale as the first layer: numbers with more digits than the model's dtype are scaled before they are rounded."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits

N = 320
EPOCH = 1.7e9  # seconds, of which float32 tells 128 apart


@pytest.fixture
def times(rng):
    """(n, 2): times within ten minutes, and small numbers."""
    return np.column_stack([EPOCH + rng.uniform(0, 600, N), rng.normal(size=N)])


def standardising(X):
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    return fl.Rescale(1 / deviation, offset=-mean / deviation)


def network(X, dtype="float32", *, rescale=True, optimizer="adam", last=1):
    layers = [standardising(X)] if rescale else []
    model = fl.Model([*layers, fl.Dense(8, "tanh"), fl.Dense(last)], seed=0, dtype=dtype)
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize(
    "kind", ["float64", "int64", "int32", "float32", "columns of a larger array", "backwards"]
)
def test_digits_are_kept(kind, times):
    X = {
        "float64": times,
        "int64": (times * 1000).astype(np.int64),
        "int32": times.astype(np.int32),
        "columns of a larger array": np.asfortranarray(np.repeat(times, 2, axis=1))[:, ::2],
        "backwards": times[::-1, ::-1],
        "float32": times.astype(np.float32),  # of which each is a multiple of 128 seconds
    }[kind]
    expected = X.astype(np.float64) * (1 / X.std(axis=0)) - X.mean(axis=0) / X.std(axis=0)
    alone = fl.Model([fl.Input(2), standardising(X)])
    np.testing.assert_allclose(alone.predict(X), expected, rtol=1e-6, atol=1e-6)
    for size in (1, 7, None):
        assert_same_bits([alone.predict(X, batch_size=size)], [alone.predict(X)])
    wide = np.concatenate([X] * 20, axis=1)
    expected = np.concatenate([expected] * 20, axis=1)
    np.testing.assert_allclose(
        fl.Model([fl.Input(40), standardising(wide)]).predict(wide), expected, atol=1e-6
    )


def test_numbers_beyond_the_range_of_float32_can_be_scaled(rng):
    X = np.column_stack([1e60 * rng.normal(size=N), 1e-60 * rng.normal(size=N)])
    scaled = fl.Model([fl.Input(2), standardising(X)]).predict(X)
    np.testing.assert_allclose(scaled, (X - X.mean(axis=0)) / X.std(axis=0), atol=1e-5)


WAYS = {
    "fit": lambda m, X, y: m.fit(X, y, epochs=3),
    "one batch": lambda m, X, y: m.fit(X, y, epochs=3, batch_size=N),
    "partial_fit": lambda m, X, y: m.partial_fit(X, y),
    "train_on_batch": lambda m, X, y: m.train_on_batch(X, y),
    "a stream": lambda m, X, y: m.fit([(X[i : i + 64], y[i : i + 64]) for i in range(0, N, 64)]),
    "fit_many": lambda m, X, y: fl.fit_many([m], X, y, epochs=3, verbose=0),
    "AWSGD": lambda m, X, y: m.fit(X, y, epochs=2, sampler=fl.samplers.AWSGD(over=np.arange(N) // 40)),
}


def compare(way, X, y, optimizer="adam"):
    """Train on X, and on what NumPy made of it, without the layer."""
    scaled = (X * (1 / X.std(axis=0)) - X.mean(axis=0) / X.std(axis=0)).astype(np.float32)
    model, twin = network(X, optimizer=optimizer), network(X, rescale=False, optimizer=optimizer)
    way(model, X, y)
    way(twin, scaled, y)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    assert model.evaluate(X, y)["loss"] == pytest.approx(twin.evaluate(scaled, y)["loss"], rel=1e-4)
    loss, gradients = model.loss_and_gradients(X, y)
    assert loss == pytest.approx(twin.loss_and_gradients(scaled, y)[0], rel=1e-4)
    assert len(gradients) == 4


@pytest.mark.parametrize("way", WAYS)
def test_all_that_trains_reads_alike(way, times):
    compare(WAYS[way], times, np.sin((times[:, 0] - EPOCH) / 60))


@pytest.mark.parametrize("optimizer", [fl.LBFGS(max_iterations=3), fl.BFGS(max_iterations=3)], ids=repr)
def test_full_batch_methods_read_alike(optimizer, times):
    compare(lambda m, X, y: m.fit(X, y), times, np.sin((times[:, 0] - EPOCH) / 60), optimizer)


def test_threads_do_not_change_the_bits(times):
    y, found = np.sin(times[:, 0] / 60), []
    for threads in (1, 2, 3):
        with fl.threads(threads):
            model = network(times)
            model.fit(times, y, epochs=2, batch_size=64)
            found.append(model.get_weights())
    assert_same_bits(found[0], found[1])
    assert_same_bits(found[0], found[2])


def test_a_later_layer_and_a_model_of_doubles_scale_as_before(rng):
    X = rng.normal(size=(9, 3))
    later = fl.Model([fl.Input(3), fl.Activation("linear"), fl.Rescale(2.0, offset=1.0)], dtype="float64")
    np.testing.assert_allclose(later.predict(X), 2 * X + 1, rtol=1e-15)
    first = fl.Model([fl.Input(3), fl.Rescale([1.0, 2.0, 3.0], offset=1.0), fl.Rescale(2.0)], dtype="float64")
    np.testing.assert_allclose(first.predict(X), 2 * (X * [1, 2, 3] + 1), rtol=1e-15)


@pytest.mark.parametrize("offset", [0.0, -0.5, -3e4])
def test_equal_numbers_give_equal_bits(offset, rng):
    X = rng.integers(0, 100, (60, 21))
    rescale = fl.Rescale(300.0 if offset < -1 else 0.01, offset=offset)
    expected = fl.Model([fl.Input(21), rescale]).predict(X.astype(np.float32))
    for kind in (np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint16, np.float16, np.float64):
        assert_same_bits([fl.Model([fl.Input(21), rescale]).predict(X.astype(kind))], [expected])
    np.testing.assert_allclose(expected, X * rescale.scale + offset, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.float32, bool])
def test_numbers_that_float32_holds_are_scaled_alike_first_and_later(kind, rng):
    X = rng.integers(0, 255, (50, 9)).astype(kind)
    first = fl.Model([fl.Input(9), fl.Rescale(1 / 255, offset=-0.5)]).predict(X)
    later = fl.Model([fl.Input(9), fl.Activation("linear"), fl.Rescale(1 / 255, offset=-0.5)]).predict(X)
    assert_same_bits([first], [later])
