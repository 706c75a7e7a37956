"""Dropout: which units it drops, how often, and when not."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits
from twins import activations

UNITS = 5000


def masks(rate, rows=1, steps=1, seed=0, threads=None):
    """The factors (steps, rows, UNITS) that a Dropout layer multiplied ones by, told by the gradient.

    Row r has the target 2^r / 2, so from 0 the weight of unit j moves by the sum of 2^r over the rows
    that kept it: its binary digits are the masks.
    """
    layers = [fl.Input(UNITS), fl.Dropout(rate), fl.Dense(1, use_bias=False)]
    model = fl.Model(layers, seed=seed, dtype="float64")
    model.compile(fl.SGD(1.0), fl.MSE(reduction="sum"))
    x, y = np.ones((rows, UNITS)), np.full((rows, 1), 0.5) * 2.0 ** np.arange(rows)[:, None]
    found = []
    with fl.threads(threads):
        for _ in range(steps):
            model.set_weights([np.zeros((UNITS, 1))])
            model.train_on_batch(x, y)
            sums = np.rint(model.get_weights()[0][:, 0] * (1 - rate)).astype(int)
            np.testing.assert_allclose(model.get_weights()[0][:, 0], sums / (1 - rate), rtol=1e-12)
            found.append([(sums >> r & 1) / (1 - rate) for r in range(rows)])
    return np.array(found)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_mean_and_variance(rate):
    """E = x and Var = x^2 p / (1 - p), within 4 standard errors."""
    factors = masks(rate, rows=4, steps=5)
    n = factors.size
    variance = rate / (1 - rate)
    assert abs(factors.mean() - 1) < 4 * np.sqrt(variance / n)
    kept = (factors > 0).mean()
    assert abs(kept - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / n)
    assert factors.var() == pytest.approx(variance, rel=8 * abs(1 - 2 * rate) / np.sqrt(n) + 0.02)


def test_masks_are_independent():
    """Between units, rows, steps, layers' seeds: correlations of about 1/sqrt(n)."""
    factors = masks(0.5, rows=3, steps=3)
    other = masks(0.5, rows=3, steps=3, seed=1)
    columns = [*factors.reshape(-1, UNITS), *other.reshape(-1, UNITS), np.roll(factors[0, 0], 1)]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 5 / np.sqrt(UNITS)


def test_masks_do_not_depend_on_threads():
    np.testing.assert_array_equal(masks(0.3, rows=8, threads=1), masks(0.3, rows=8, threads=3))


def test_two_layers_drop_different_units():
    n = 400
    layers = [
        fl.Input(n),
        fl.Dropout(0.5),
        fl.Activation("linear"),
        fl.Dropout(0.5),
        fl.Dense(1, use_bias=False),
    ]
    model = fl.Model(layers, seed=0, dtype="float64")
    model.compile(fl.SGD(1.0), "mse")
    model.set_weights([np.zeros((n, 1))])
    model.train_on_batch(np.ones((1, n)), [[0.5]])
    weights = model.get_weights()[0][:, 0]
    assert set(np.unique(weights)) == {0.0, 4.0}
    assert abs((weights > 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / n)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rate_zero_is_no_layer(dtype, blobs):
    x, y = blobs
    weights = []
    for dropout in ([], [fl.Dropout(0.0)]):
        layers = [fl.Input(8), fl.Dense(16, activation="relu"), *dropout, fl.Dense(4, activation="softmax")]
        model = fl.Model(layers, seed=1, dtype=dtype)
        model.compile("adam", "cross_entropy")
        model.fit(x, y, epochs=3)
        weights.append(model.get_weights())
    assert_same_bits(*weights)


def test_prediction_and_evaluation_drop_nothing(blobs):
    x, y = blobs
    layers = [
        fl.Input(8),
        fl.Dense(16, activation="tanh"),
        fl.Dropout(0.5),
        fl.Dense(4, activation="softmax"),
    ]
    model = fl.Model(layers, seed=1, dtype="float64")
    model.compile("adam", "cross_entropy")
    model.fit(x, y, epochs=2)
    k0, b0, k1, b1 = model.get_weights()
    p = activations.softmax(np.tanh(x @ k0 + b0) @ k1 + b1)
    np.testing.assert_allclose(model.predict(x), p, rtol=1e-12, atol=1e-15)
    assert model.evaluate(x, y)["loss"] == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-12)


def test_the_same_mask_goes_forward_and_backward():
    """Dropped inputs get no gradient; the kernel of the first layer shows it."""
    n = 200
    model = fl.Model([fl.Input(1), fl.Dense(n), fl.Dropout(0.5), fl.Dense(1)], seed=0, dtype="float64")
    model.compile(fl.SGD(1.0), "mse")
    kernel, bias, last, last_bias = model.get_weights()
    model.set_weights([np.ones_like(kernel), bias, np.ones_like(last), last_bias])
    loss = model.train_on_batch([[1.0]], [[0.0]])
    k0, _, k1, _ = model.get_weights()
    kept = k1[:, 0] != 1.0
    assert loss == pytest.approx((2 * kept.sum()) ** 2)
    np.testing.assert_array_equal(k0[0] != 1.0, kept)
