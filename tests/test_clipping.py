"""Clipping by norm, and bounds on norms, for numbers whose squares no dtype holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fallline as fl

EPS = {"float32": 4e-7, "float64": 2e-15}
SIZES = [
    *[("float64", size) for size in (1e307, 1e200, 1e160, 1.0, 1e-160, 1e-170, 1e-290)],
    *[("float32", size) for size in (1e38, 1e25, 1.0, 1e-25, 1e-30)],
]
sizes = pytest.mark.parametrize("dtype, size", SIZES)
INF = math.inf


def norm(arrays):
    """By Python's hypot, which scales; apart from norms that double does not hold."""
    return math.hypot(*(float(x) for a in arrays for x in a.ravel()))


def clipped(gradients, clip_norm=INF, clip_layer_norm=INF):
    layers = [g * min(1.0, clip_layer_norm / (norm([g]) or 1)) for g in (g.astype(float) for g in gradients)]
    factor = min(1.0, clip_norm / (norm(layers) or 1))
    return [g * factor for g in layers]


def stepped(gradients, **clip):
    params = [np.zeros_like(g) for g in gradients]
    fl.SGD(1.0, **clip).step(params, gradients)
    return [-p for p in params]


def gradients_of(size, dtype, rng):
    """Of very different lengths, the longest of which has this size; larger than a chunk of work too."""
    shapes = [(3,), (7, 5), (20000,), (2,)]
    factors = [0.1, 0.01, 1e-4, 0.0]
    return [(rng.uniform(-1, 1, s) * size * f).astype(dtype) for s, f in zip(shapes, factors, strict=True)]


@sizes
@pytest.mark.parametrize("share", [1e-3, 0.5, 2.0])
@pytest.mark.parametrize("which", [("clip_norm",), ("clip_layer_norm",), ("clip_norm", "clip_layer_norm")])
def test_any_gradient_is_shortened_to_the_limit(dtype, size, share, which, rng):
    gradients = gradients_of(size, dtype, rng)
    whole = norm(g.astype(float) for g in gradients)
    limits = {"clip_norm": share * whole, "clip_layer_norm": share * norm([gradients[1].astype(float)])}
    clip = {name: limits[name] for name in which}
    for found, exact in zip(stepped(gradients, **clip), clipped(gradients, **clip), strict=True):
        np.testing.assert_allclose(found, exact, rtol=10 * EPS[dtype], atol=float(np.finfo(dtype).tiny))


@sizes
def test_a_limit_of_one(dtype, size, rng):
    gradients = gradients_of(size, dtype, rng)
    exact = clipped(gradients, 1.0)
    for found, g in zip(stepped(gradients, clip_norm=1.0), exact, strict=True):
        np.testing.assert_allclose(found, g, rtol=10 * EPS[dtype], atol=float(np.finfo(dtype).tiny))
    assert norm(exact) <= 1 + 1e-12


def test_a_norm_that_no_double_holds():
    largest = np.finfo(np.float64).max
    for limit in (1.0, 1e-300):
        found = stepped([np.full(100, largest), np.full(300, -largest)], clip_norm=limit)
        np.testing.assert_allclose(
            np.concatenate(found), np.repeat([0.05, -0.05], [100, 300]) * limit, rtol=1e-14
        )


def test_entries_are_cut_before_the_norm_is_taken():
    found = stepped([np.array([1e300, -3e160, 4e160])], clip_value=4e160, clip_norm=2.0)
    np.testing.assert_allclose(found[0], np.array([4, -3, 4]) / math.hypot(4, 3, 4) * 2, rtol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_does_not_become_so(bad):
    assert not np.isfinite(stepped([np.array([1e200, bad])], clip_norm=1.0)[0][1])


def steep(dtype, **clip):
    """The gradient of its kernel, which is 0, is a mean of rows, as large as they are."""
    layer = fl.Dense(40, use_bias=False, kernel_initializer="zeros")
    model = fl.Model([fl.Input(50), layer], seed=0, dtype=dtype)
    model.compile(fl.SGD(1.0, **clip), fl.MAE("sum"))
    return model


TRAIN = {
    "fit": lambda model, x, y: model.fit(x, y, batch_size=len(x), epochs=1, shuffle=False),
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "stream": lambda model, x, y: model.fit([(x, y)], epochs=1),
    "fit_many": lambda model, x, y: fl.fit_many([model], x, y, batch_size=len(x), epochs=1, shuffle=False),
}


@sizes
@pytest.mark.parametrize("limit", ["clip_norm", "clip_layer_norm"])
@pytest.mark.parametrize("route", TRAIN)
def test_models_are_clipped_like_arrays(dtype, size, limit, route, rng):
    x = (rng.uniform(0.5, 1, (30, 50)) * size * 1e-3).astype(dtype)
    y = np.ones((30, 40), dtype)
    exact = np.repeat(-x.astype(float).sum(axis=0)[:, None] / 40, 40, axis=1)
    clip = {limit: 0.3 * norm([exact])}
    model = steep(dtype, **clip)
    TRAIN[route](model, x, y)
    np.testing.assert_allclose(-model.get_weights()[0], 0.3 * exact, rtol=100 * EPS[dtype])


@sizes
@pytest.mark.parametrize("factor", [1e-6, 0.5, 3.0])
def test_bounds_on_norms(dtype, size, factor, rng):
    size *= 0.01
    kernel = (rng.uniform(-1, 1, (40, 37)) * size).astype(dtype)
    kernel[:, 3] = 0
    kernel[:, 5] *= kernel.dtype.type(1e-3)
    exact = kernel.astype(float)
    limit = factor * norm([exact[:, :1]])
    model = fl.Model([fl.Input(40), fl.Dense(37, kernel_constraint=fl.MaxNorm(limit))], seed=0, dtype=dtype)
    model.compile(fl.SGD(1e-30), "mae")
    model.build(40)
    model.set_weights([kernel, np.zeros(37, dtype)])
    model.train_on_batch(np.zeros((1, 40), dtype), np.zeros((1, 37), dtype))
    for found, column in zip(model.get_weights()[0].T, exact.T, strict=True):
        length = norm([column])
        expected = column * (limit / length) if length > limit else column
        np.testing.assert_allclose(found, expected, rtol=30 * EPS[dtype], atol=float(np.finfo(dtype).tiny))


def test_a_bound_of_one_on_the_largest_weights():
    for dtype, largest in (("float32", 3e38), ("float64", 1e308)):
        layer = fl.Dense(2, use_bias=False, kernel_constraint=fl.MaxNorm(1.0))
        model = fl.Model([fl.Input(9), layer], seed=0, dtype=dtype)
        model.compile(fl.SGD(1e-30), "mae")
        model.build(9)
        model.set_weights([np.full((9, 2), largest, dtype)])
        model.train_on_batch(np.zeros((1, 9), dtype), np.zeros((1, 2), dtype))
        np.testing.assert_allclose(model.layers[1].kernel, 1 / 3, rtol=1e-6)
