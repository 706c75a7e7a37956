"""Exponentially weighted averages: published numbers, closed forms, pandas, bad arguments."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import refuses

CORRECTIONS = ("bias", "first", None)
corrections = pytest.mark.parametrize("correction", CORRECTIONS)


@pytest.mark.parametrize(
    "correction, expected",
    [
        (None, [0.1, 0.29, 0.561, 0.9049, 1.31441]),
        ("first", [1, 1.1, 1.29, 1.561, 1.9049]),
        ("bias", [1, 1.52631579, 2.0701107, 2.63128817, 3.20971405]),
    ],
)
def test_one_to_five(correction, expected):
    average = fl.ewa([1, 2, 3, 4, 5], 0.9, correction=correction)
    assert average.dtype == np.float64
    np.testing.assert_allclose(average, expected, rtol=0, atol=5e-9)


def test_the_bias_is_corrected_unless_told():
    np.testing.assert_array_equal(fl.ewa([1.0, 5.0], 0.9), fl.ewa([1.0, 5.0], 0.9, correction="bias"))


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999])
def test_a_constant(beta):
    t = np.arange(1, 101)
    np.testing.assert_allclose(
        fl.ewa(np.full(100, 3.0), beta, correction=None), 3 * (1 - beta**t), rtol=1e-12
    )
    for correction in ("bias", "first"):
        np.testing.assert_allclose(fl.ewa(np.full(100, 3.0), beta, correction=correction), 3.0, rtol=1e-12)


@pytest.mark.parametrize("beta, weight", [(0.8, 0.3277), (0.9, 0.3487), (0.95, 0.3585), (0.98, 0.3642)])
def test_the_weight_of_a_value_has_fallen_to_about_1_e_at_the_end_of_its_window(beta, weight):
    window = round(1 / (1 - beta))
    response = fl.ewa(
        np.eye(1, 400)[0], beta, correction=None
    )  # the weights of values 0, 1, 2, ... steps ago
    assert response[window] / response[0] == pytest.approx(weight, abs=5e-5)
    assert 0.63 < response[:window].sum() < 0.68
    np.testing.assert_allclose(response, (1 - beta) * beta ** np.arange(400.0), rtol=1e-12)


@pytest.mark.parametrize("beta, lag", [(0.8, 4), (0.9, 9), (0.95, 19), (0.98, 49)])
@corrections
def test_a_ramp_is_followed_late(beta, lag, correction):
    ramp = np.arange(4000.0)
    assert ramp[-1] - fl.ewa(ramp, beta, correction=correction)[-1] == pytest.approx(lag, rel=1e-9)


@pytest.mark.parametrize("beta, factor", [(0.8, 0.1111), (0.9, 0.0526), (0.95, 0.0256), (0.98, 0.0101)])
def test_noise_is_smoothed(beta, factor, rng):
    """Variance of white noise, over 400 series side by side, within 4 standard errors."""
    assert (1 - beta) / (1 + beta) == pytest.approx(factor, abs=5e-5)
    smoothed = fl.ewa(rng.normal(size=(1000, 400)), beta)[-1]
    assert smoothed.var() == pytest.approx((1 - beta) / (1 + beta), rel=4 * np.sqrt(2 / 400))


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.97])
def test_pandas_agrees(beta, rng):
    pandas = pytest.importorskip("pandas")
    values = rng.normal(size=300)
    weighted = pandas.Series(values).ewm(alpha=1 - beta, adjust=True).mean()
    np.testing.assert_allclose(fl.ewa(values, beta), weighted, rtol=1e-11, atol=1e-14)
    first = pandas.Series(values).ewm(alpha=1 - beta, adjust=False).mean()
    np.testing.assert_allclose(fl.ewa(values, beta, correction="first"), first, rtol=1e-11, atol=1e-14)


def test_optax_agrees():
    """The corrected average is the one that Adam's moments are."""
    optax = pytest.importorskip("optax")
    rule = optax.ema(0.9, debias=True)
    state, theirs = rule.init(np.zeros(1, np.float32)), []
    for value in (1.0, -2.0, 0.5, 4.0):
        update, state = rule.update(np.array([value], np.float32), state)
        theirs.append(float(update[0]))
    np.testing.assert_allclose(fl.ewa([1.0, -2.0, 0.5, 4.0], 0.9), theirs, rtol=1e-6)


@corrections
@pytest.mark.parametrize("shape", [(0,), (0, 3), (1,), (7, 1), (20, 3), (5, 2, 4)])
def test_each_column_is_averaged_alone(shape, correction, rng):
    values = rng.normal(size=shape)
    average = fl.ewa(values, 0.7, correction=correction)
    assert average.shape == shape
    columns, averaged = (a.reshape(shape[0], -1).T for a in (values, average)) if values.size else ((), ())
    for column, expected in zip(columns, averaged, strict=True):
        np.testing.assert_allclose(fl.ewa(column, 0.7, correction=correction), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32", "bool"])
def test_numbers_of_any_type_are_averaged_in_double(dtype):
    values = np.array([1, 0, 1, 1], dtype=dtype)
    before = values.copy()
    np.testing.assert_array_equal(fl.ewa(values, 0.6), fl.ewa(values.astype(float), 0.6))
    np.testing.assert_array_equal(values, before)


def test_what_is_not_finite_spoils_only_what_follows():
    average = fl.ewa([1.0, 2.0, np.nan, 4.0], 0.5)
    np.testing.assert_array_equal(np.isnan(average), [False, False, True, True])


@pytest.mark.parametrize(
    "values, options, exception, match",
    [
        ([1.0], {"beta": 1.0}, ValueError, "beta"),
        ([1.0], {"beta": -0.1}, ValueError, "beta"),
        ([1.0], {"beta": "a"}, TypeError, "beta"),
        (["a"], {"beta": 0.5}, TypeError, "values"),
        (3.0, {"beta": 0.5}, ValueError, "values"),
        ([1j], {"beta": 0.5}, TypeError, "complex"),
        ([1.0], {"beta": 0.5, "correction": "zero"}, ValueError, "correction.*bias"),
        ([1.0], {"beta": 0.5, "correction": 1}, TypeError, "correction"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(values, options, exception, match):
    with refuses(exception, match):
        fl.ewa(values, **options)
