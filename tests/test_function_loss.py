"""A user's own loss: the same results as the core's, and clear errors."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fallline as fl
from helpers import refuses, unchanged


def mean_squared(y_true, y_pred):
    error = y_pred - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


def cross_entropy_of_probabilities(labels, p):
    rows = np.arange(len(p))
    gradient = np.zeros_like(p)
    gradient[rows, labels] = -1 / p[rows, labels]
    return -np.log(p[rows, labels]), gradient


def network(loss, last=None, dtype="float64"):
    layers = [fl.Input(5), fl.Dense(8, activation="tanh"), fl.Dropout(0.2), fl.Dense(3, activation=last)]
    model = fl.Model(layers, seed=3, dtype=dtype)
    model.compile(fl.Adam(0.01), loss, metrics=["mse"])
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(70, 5)), rng.normal(size=(70, 3))


@pytest.mark.parametrize("last", [None, "relu", "sigmoid", "softmax"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_it_trains_like_the_loss_of_the_core(last, reduction, data, rng):
    weight = rng.uniform(size=70)
    models = [
        network(fl.MSE(reduction), last),
        network(fl.FunctionLoss(mean_squared, reduction=reduction), last),
    ]
    histories = [m.fit(*data, batch_size=16, epochs=4, sample_weight=weight).history for m in models]
    for name in ("loss", "mse"):
        np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=1e-12)
    for a, b in zip(*(m.get_weights() for m in models), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    assert models[1].evaluate(*data) == pytest.approx(models[0].evaluate(*data), rel=1e-12)
    losses, gradients = zip(*(m.loss_and_gradients(*data) for m in models), strict=True)
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_classes_come_as_integers(data, rng):
    labels = rng.integers(0, 3, 70)
    own = network(fl.FunctionLoss(cross_entropy_of_probabilities, classes=True), "softmax")
    core = network("cross_entropy", "softmax")
    for model in (own, core):
        model.fit(data[0], labels, batch_size=16, epochs=3)
    for a, b in zip(own.get_weights(), core.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_it_may_be_given_as_it_is(data):
    named, bare = network(fl.FunctionLoss(mean_squared)), network(mean_squared)
    for model in (named, bare):
        model.train_on_batch(*data)
    assert named.evaluate(*data) == bare.evaluate(*data)


def test_float32_rows_arrive_as_float32(data):
    seen = []

    def loss(y_true, y_pred):
        seen.append((y_true.dtype, y_pred.dtype))
        return mean_squared(y_true, y_pred)

    network(loss, dtype="float32").fit(*data)
    assert set(seen) == {(np.dtype(np.float32), np.dtype(np.float32))}


@pytest.mark.parametrize(
    "answer, exception, match",
    [
        (lambda t, p: (p - t).mean(), TypeError, "pair|values"),
        (lambda t, p: ((p - t).mean(), p), ValueError, r"values.*\(\).*\(70,\)"),
        (lambda t, p: (p[:, 0], p[:, :1]), ValueError, r"gradients.*\(70, 1\).*\(70, 3\)"),
        (lambda t, p: (p[:, 0].astype(str), p), TypeError, "values"),
    ],
)
def test_a_wrong_answer_is_refused_and_changes_nothing(answer, exception, match, data):
    model = network(answer)
    with unchanged(model):
        for call in (model.train_on_batch, model.evaluate, model.loss_and_gradients):
            with refuses(exception, match):
                call(*data)
        with refuses(exception, match):
            model.fit(*data, batch_size=70)


def test_gradients_that_are_not_finite_are_refused_before_they_reach_the_weights(data):
    model = network(lambda t, p: (np.zeros(len(p)), np.full_like(p, np.inf)))
    with unchanged(model), refuses(ValueError, "gradients.*not finite"):
        model.fit(*data)


def test_what_the_function_raises_comes_through_and_changes_nothing(data):
    def broken(y_true, y_pred):
        raise KeyError("own")

    model = network(broken)
    with unchanged(model):
        for call in (model.fit, model.train_on_batch, model.evaluate, model.loss_and_gradients):
            with pytest.raises(KeyError, match="own"):
                call(*data)


def test_a_loss_that_is_not_finite_stops_the_run(data):
    model = network(lambda t, p: (np.full(len(p), np.nan), p))
    with unchanged(model), pytest.raises(fl.NonFiniteLoss):
        model.fit(*data)


@pytest.mark.parametrize(
    "arguments, exception, match",
    [
        ({"function": 3}, TypeError, "function"),
        ({"function": int}, TypeError, "function"),
        ({"function": mean_squared, "classes": "yes"}, TypeError, "classes"),
        ({"function": mean_squared, "reduction": "max"}, ValueError, "reduction"),
    ],
)
def test_bad_arguments(arguments, exception, match):
    with refuses(exception, match):
        fl.FunctionLoss(**arguments)


def test_a_copy_keeps_the_function_and_a_file_its_name(data, tmp_path):
    model = network(mean_squared)
    model.fit(*data)
    assert copy.deepcopy(model).evaluate(*data) == model.evaluate(*data)
    model.save(tmp_path / "m.safetensors")
    loaded = fl.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(data[0]), model.predict(data[0]))
    with unchanged(loaded), pytest.raises(RuntimeError, match="mean_squared"):
        loaded.fit(*data)
    loaded.compile("adam", mean_squared)
    loaded.fit(*data)
