"""What every activation promises, driven by the rows of `cases/activations.py`."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from cases.activations import ACTIVATIONS
from fallline import _core
from helpers import refuses

every = pytest.mark.parametrize("case", ACTIVATIONS, ids=lambda case: case.name)


def away_from(kinks, z, margin=1e-3):
    for kink in kinks:
        z = np.where(np.abs(z - kink) < margin, kink + margin, z)
    return z


def test_every_activation_of_the_core_has_a_row():
    assert sorted(_core.activations()) == sorted(case.name for case in ACTIVATIONS)


@every
def test_named_function_matches_the_twin(case, rng):
    z = rng.normal(scale=4, size=(17, 9))
    function = getattr(fl.ops, case.name)
    np.testing.assert_allclose(function(z), case.value(z), rtol=4e-15, atol=1e-300)
    np.testing.assert_allclose(function(z.astype(np.float32)), case.value(z), rtol=2e-5, atol=1e-7)


@every
def test_far_values_stay_finite(case):
    z = np.array([[-1000.0, -50.0, 0.0], [1000.0, 50.0, -1000.0]])
    with np.errstate(over="raise", invalid="raise"):
        for dtype, rtol in ((np.float64, 1e-14), (np.float32, 1e-6)):
            got = getattr(fl.ops, case.name)(z.astype(dtype))
            assert np.isfinite(got).all()
            np.testing.assert_allclose(got, case.value(z), rtol=rtol, atol=1e-35)


@every
def test_not_a_number_goes_through(case):
    z = np.array([[np.nan, 1.0, 2.0, 3.0, -1.0]])
    assert np.isnan(getattr(fl.ops, case.name)(z)[0, 0])


@every
def test_dense_backward_matches_twin_and_differences(case, rng):
    x, kernel, bias = rng.normal(size=(6, 5)), rng.normal(size=(5, 4)), rng.normal(size=4)
    gradient = rng.normal(size=(6, 4))
    z = away_from(case.kinks, x @ kernel + bias)
    output = fl.ops.dense_forward(x, kernel, bias, case.name)
    np.testing.assert_allclose(output, case.value(x @ kernel + bias), rtol=1e-13, atol=1e-14)

    dx, dkernel, dbias = fl.ops.dense_backward(gradient, x, output, kernel, case.name)
    delta = case.backward(gradient, output)
    np.testing.assert_allclose(dx, delta @ kernel.T, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dkernel, x.T @ delta, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dbias, delta.sum(axis=0), rtol=1e-12, atol=1e-13)

    h = 1e-6
    numerical = np.zeros_like(z)
    for j in range(z.shape[1]):
        step = h * np.eye(z.shape[1])[j]
        numerical[:, j] = ((case.value(z + step) - case.value(z - step)) * gradient).sum(axis=1) / (2 * h)
    np.testing.assert_allclose(case.backward(gradient, case.value(z)), numerical, rtol=1e-6, atol=1e-8)


@every
def test_layer_and_dense_argument_agree(case, rng):
    """Dense(activation=name) and Dense followed by Activation(name) are the same function."""
    x = rng.normal(size=(20, 6))
    fused = fl.Model([fl.Input(6), fl.Dense(5, activation=case.name)], seed=3, dtype="float64")
    apart = fl.Model([fl.Input(6), fl.Dense(5), fl.Activation(case.name)], seed=3, dtype="float64")
    apart.set_weights(fused.get_weights())
    np.testing.assert_allclose(fused.predict(x), apart.predict(x), rtol=1e-14, atol=1e-15)


def test_sigmoid_slope_is_at_most_a_quarter(rng):
    z = rng.normal(scale=3, size=(1, 1000))
    eye = np.ones((1, 1))
    for value, slope in ((np.zeros((1, 1)), 0.25), (np.full((1, 1), 2.0), None)):
        output = fl.ops.sigmoid(value)
        dx, _, _ = fl.ops.dense_backward(eye, value, output, eye, "sigmoid")
        assert dx[0, 0] == slope if slope is not None else dx[0, 0] < 0.25
    np.testing.assert_allclose(fl.ops.tanh(z), 2 * fl.ops.sigmoid(2 * z) - 1, atol=1e-15)


def test_relu_has_no_slope_at_zero():
    one = np.ones((1, 1))
    zero = np.zeros((1, 1))
    assert fl.ops.dense_backward(one, one, fl.ops.relu(zero), one, "relu")[2] == 0.0


def test_unknown_names_come_with_a_suggestion():
    with refuses(ValueError, "tanh"):
        fl.Dense(3, activation="tahn")
