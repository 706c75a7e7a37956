"""What every layer promises, driven by the rows of `cases/layers.py`."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest

import fallline as fl
from cases.layers import LAYERS, VARIANTS, build, label
from helpers import assert_same_bits, assert_same_model, refuses, unchanged
from twins.network import central_differences

INPUTS = 6
variants = pytest.mark.parametrize("case, options", VARIANTS, ids=label)


def alone(case, options, dtype="float64"):
    """The layer by itself, its output fitted to real targets."""
    if case.make is fl.Input:
        model = fl.Model([build(case, options), fl.Dense(2)], seed=1, dtype=dtype)
    else:
        model = fl.Model([fl.Input(INPUTS), build(case, options)], seed=1, dtype=dtype)
    model.compile(fl.SGD(0.05, momentum=0.9), "mse")
    return model


def between(case, options, dtype="float64", hidden=0, **rule):
    """The layer in the middle: the gradient must pass through it to the first kernel."""
    middle = [] if case.make is fl.Input else [build(case, options)]
    wide, wide_too = ([fl.Dense(hidden, activation="tanh")] if hidden else [] for _ in range(2))
    below = [*wide, fl.Dense(INPUTS, activation="tanh")]
    layers = [*middle, *below] if case.first else [*below, *middle]
    model = fl.Model([fl.Input(INPUTS), *layers, *wide_too, fl.Dense(3)], seed=2, dtype=dtype)
    model.compile(fl.Adam(0.01, **rule), "mse")
    return model


def test_every_public_layer_has_a_row():
    public = {
        value
        for name, value in vars(fl).items()
        if inspect.isclass(value) and issubclass(value, fl.Layer) and value is not fl.Layer
    }
    assert public == {case.make for case in LAYERS}


@pytest.mark.parametrize("case", LAYERS, ids=label)
def test_every_number_has_a_bad_row(case):
    parameters = set(inspect.signature(case.make).parameters)
    assert parameters == {name for options, _, _ in case.bad for name in options}


@variants
def test_predict_matches_the_twin(case, options, rng):
    model = alone(case, options)
    weights = model.get_weights()
    if case.make is fl.Input:
        assert [w.shape for w in weights] == [(INPUTS, 2), (2,)]
        return
    assert [w.shape for w in weights] == [tuple(s) for s in case.shapes(options, INPUTS)]
    weights = [rng.normal(size=w.shape) for w in weights]
    for (_, name, _), w in zip(model._network.parameters, weights, strict=True):
        if name.endswith("moving_variance"):
            np.abs(w, out=w)
    model.set_weights(weights)
    x = case.rows(rng, 33, INPUTS, options)
    got = model.predict(x)
    assert got.shape == (33, case.units(options, INPUTS))
    np.testing.assert_allclose(got, case.predict(options, x, weights), rtol=1e-13, atol=1e-14)


@variants
def test_float32_follows_float64(case, options, rng):
    wide, narrow = between(case, options), between(case, options, "float32")
    narrow.set_weights([w.astype(np.float32) for w in wide.get_weights()])
    wide.set_weights([w.astype(np.float64) for w in narrow.get_weights()])
    x, y = case.rows(rng, 40, INPUTS, options).astype(np.float32), rng.normal(size=(40, 3)).astype(np.float32)
    assert narrow.predict(x).dtype == np.float32
    assert wide.predict(x).dtype == np.float64
    np.testing.assert_allclose(narrow.predict(x), wide.predict(x), rtol=2e-5, atol=2e-6)
    loss32, gradients32 = narrow.loss_and_gradients(x, y)
    loss64, gradients64 = wide.loss_and_gradients(x, y)
    assert loss32 == pytest.approx(loss64, rel=1e-5)
    for g32, g64 in zip(gradients32, gradients64, strict=True):
        np.testing.assert_allclose(g32, g64, rtol=1e-4, atol=1e-5)


@variants
@pytest.mark.parametrize("place", [alone, between])
def test_gradients_match_central_differences(case, options, place, rng):
    model = place(case, options)
    weights = [w + 0.3 * rng.choice([-1, 1], w.shape) for w in model.get_weights()]
    x = case.rows(rng, 7, INPUTS, options)
    y = rng.normal(size=model.predict(x).shape)
    own = slice(None, None) if place is alone or case.first else slice(2, None)

    def loss():
        model.set_weights(weights)
        return model.loss_and_gradients(x, y)[0] - case.apart(options, weights[own])

    numerical = central_differences(loss, weights)
    model.set_weights(weights)
    _, gradients = model.loss_and_gradients(x, y)
    for g, n in zip(gradients, numerical, strict=True):
        np.testing.assert_allclose(g, n, rtol=1e-6, atol=1e-8)


@variants
@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"]
)
def test_a_copy_trains_to_the_same_bits(case, options, clone, rng):
    model = between(case, options, "float32")
    x, y = case.rows(rng, 50, INPUTS, options), rng.normal(size=(50, 3))
    model.fit(x, y, batch_size=8, epochs=2)
    twin = clone(model)
    assert_same_model(twin, model)
    for m in (model, twin):
        m.fit(x, y, batch_size=8, epochs=2)
    assert_same_model(twin, model)


@variants
def test_a_saved_model_trains_to_the_same_bits(case, options, rng, tmp_path):
    model = between(case, options)
    x, y = case.rows(rng, 50, INPUTS, options), rng.normal(size=(50, 3))
    model.fit(x, y, batch_size=8, epochs=1)
    model.save(tmp_path / "m.safetensors")
    loaded = fl.load_model(tmp_path / "m.safetensors")
    assert_same_bits([loaded.predict(x)], [model.predict(x)])
    for m in (model, loaded):
        m.fit(x, y, batch_size=8, epochs=3)
    assert_same_model(loaded, model)


@variants
@pytest.mark.parametrize("route", ["fused", "arena"])
def test_any_number_of_threads_gives_the_same_bits(case, options, route, rng):
    x, y = case.rows(rng, 150, INPUTS, options), rng.normal(size=(150, 3))
    rule = {"clip_norm": 0.5} if route == "arena" else {}
    models, losses, gradients = [], [], []
    for n in (1, 2, 3, 7):
        with fl.threads(n):
            model = between(case, options, "float32", hidden=130, **rule)
            losses.append(model.fit(x, y, batch_size=64, epochs=2).history["loss"])
            gradients.append(model.loss_and_gradients(x, y)[1] + [model.predict(x)])
            models.append(model)
    for model, loss, gradient in zip(models[1:], losses[1:], gradients[1:], strict=True):
        assert_same_model(model, models[0])
        assert loss == losses[0]
        assert_same_bits(gradient, gradients[0])


@pytest.mark.parametrize(
    "case, options, exception, match",
    [(case, *row) for case in LAYERS for row in case.bad],
    ids=label,
)
def test_bad_arguments_are_refused(case, options, exception, match):
    with refuses(exception, match):
        build(case, options)


@variants
def test_wrong_width_is_refused_and_changes_nothing(case, options, rng):
    model = alone(case, options)
    narrow = rng.normal(size=(4, INPUTS - 1))
    with unchanged(model):
        for call in (
            lambda: model.predict(narrow),
            lambda: model.fit(narrow, rng.normal(size=(4, 2))),
            lambda: model.evaluate(narrow, rng.normal(size=(4, 2))),
            lambda: model.train_on_batch(narrow, rng.normal(size=(4, 2))),
            lambda: model.loss_and_gradients(narrow, rng.normal(size=(4, 2))),
        ):
            with refuses(ValueError, rf"\(4, {INPUTS - 1}\).*\(\*, {INPUTS}\)"):
                call()


def test_the_layer_of_a_model_reads_and_assigns_weights(rng):
    model = fl.Model([fl.Input(3), fl.Dense(4), fl.Activation("relu"), fl.Dense(2)], seed=0)
    kernel = rng.normal(size=(3, 4)).astype(np.float32)
    layer = model.layers[1]
    layer.kernel = kernel
    np.testing.assert_array_equal(layer.kernel, kernel)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    np.testing.assert_array_equal(layer.bias, np.zeros(4))
    with unchanged(model), refuses(ValueError, r"\(4, 3\).*\(3, 4\)"):
        layer.kernel = kernel.T
