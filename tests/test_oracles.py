"""Optimizers and penalties against published and closed-form numbers."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from cases.optimizers import GRADIENTS, OPTIMIZERS, START, label
from helpers import path

PUBLISHED = [(case, options, theta) for case in OPTIMIZERS for options, theta in case.steps]
ADAPTIVE = [fl.AdaGrad, fl.RMSProp, fl.Adam, fl.NAdam]


@pytest.mark.parametrize("case, options, expected", PUBLISHED, ids=label)
@pytest.mark.parametrize("dtype, atol", [(np.float64, 1e-12), (np.float32, 2e-6)], ids=["float64", "float32"])
def test_four_steps(case, options, expected, dtype, atol):
    theta = START.astype(dtype)
    optimizer = case.make(**options)
    for g in GRADIENTS:
        optimizer.step([theta], [g.astype(dtype)])
    np.testing.assert_allclose(theta, expected, rtol=0 if dtype is np.float64 else 2e-6, atol=atol)


@pytest.mark.parametrize("case, options, expected", PUBLISHED, ids=label)
def test_four_steps_inside_a_model(case, options, expected):
    """The same numbers from the fused update: a linear model whose gradient is the row it is fed."""
    model = fl.Model([fl.Input(3), fl.Dense(1, use_bias=False)], seed=0, dtype="float64")
    model.compile(case.make(**options), "mse")
    model.set_weights([START[:, None]])
    for g in GRADIENTS:
        # d/dw (x w - t)^2 = 2 (x w - t) x, which is x when t = x w - 1/2
        model.train_on_batch(g[None], [[g @ model.get_weights()[0][:, 0] - 0.5]])
    np.testing.assert_allclose(model.get_weights()[0][:, 0], expected, rtol=0, atol=2e-12)


def test_coupled_penalty_enters_the_moments():
    """Adam on g + 0.1 theta differs from Adam with decoupled decay."""
    optimizer, theta = fl.Adam(), START.copy()
    for g in GRADIENTS:
        optimizer.step([theta], [g + 0.1 * theta])
    np.testing.assert_allclose(theta, [0.997036603652, -1.998898736313, 0.496776600826], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "optimizer, expected",
    [
        (fl.SGD(0.1), [0.891980060000, -1.930242045000, 0.282398005000]),
        (fl.Adam(), [0.997036603652, -1.998898736313, 0.496776600826]),
    ],
    ids=["SGD", "Adam"],
)
def test_an_l2_penalty_is_coupled(optimizer, expected):
    model = fl.Model(
        [fl.Input(3), fl.Dense(1, use_bias=False, kernel_regularizer=fl.L2(0.1))], seed=0, dtype="float64"
    )
    model.compile(optimizer, "mse")
    model.set_weights([START[:, None]])
    for g in GRADIENTS:
        model.train_on_batch(g[None], [[g @ model.get_weights()[0][:, 0] - 0.5]])
    np.testing.assert_allclose(model.get_weights()[0][:, 0], expected, rtol=0, atol=2e-12)


def test_rmsprop_tends_to_the_rate_on_a_constant_gradient():
    points = path(fl.RMSProp(1.0, rho=0.9, epsilon=0.0), np.ones_like, [0.0], 200)
    steps = -np.diff(points[:, 0])
    expected = [3.16228, 2.29416, 1.56267, 1.23909, 1.00001, 1.0]
    np.testing.assert_allclose(steps[[0, 1, 4, 9, 99, 199]], expected, atol=6e-6)


@pytest.mark.parametrize("make, options", [(fl.Adam, {}), (fl.AdamW, {"weight_decay": 0.0})])
@pytest.mark.parametrize("gradient", [1.0, -3.0, 1e-3])
def test_adam_moves_by_the_rate_on_a_constant_gradient(make, options, gradient):
    points = path(make(0.1, epsilon=0.0, **options), lambda theta: np.full_like(theta, gradient), [0.0], 200)
    np.testing.assert_allclose(np.diff(points[:, 0]), -0.1 * np.sign(gradient), rtol=1e-11)
    assert points[1, 0] == pytest.approx(-0.1 * np.sign(gradient), rel=1e-13)


@pytest.mark.parametrize("make", ADAPTIVE)
def test_adaptive_rates_do_not_see_the_scale_of_the_gradient(make, rng):
    grads = rng.normal(size=(50, 4))
    ends = []
    for scale in (1.0, 1000.0, 0.001):
        theta, optimizer = np.zeros(4), make(0.01, epsilon=0.0)
        for g in grads:
            optimizer.step([theta], [scale * g])
        ends.append(theta)
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-10)
    np.testing.assert_allclose(ends[2], ends[0], rtol=1e-10)


def one_weight_penalised(penalty, rate, start):
    """A model whose data gradient is 0: only the penalty moves its kernel."""
    layer = fl.Dense(len(start), use_bias=True, kernel_regularizer=penalty)
    model = fl.Model([fl.Input(1), layer], seed=0, dtype="float64")
    model.compile(fl.SGD(rate), "mse")
    model.set_weights([np.array([start]), np.zeros(len(start))])
    return model, np.zeros((1, 1)), np.zeros((1, len(start)))


def test_l2_shrinks_by_a_factor():
    model, x, y = one_weight_penalised(fl.L2(0.3), 0.1, [1.0, -2.0, 0.0])
    for t in range(1, 11):
        model.train_on_batch(x, y)
        np.testing.assert_allclose(
            model.get_weights()[0][0], 0.97**t * np.array([1.0, -2.0, 0.0]), rtol=1e-14
        )
    np.testing.assert_array_equal(model.get_weights()[1], 0)


def test_l1_walks_to_zero_and_stays_near_it():
    model, x, y = one_weight_penalised(fl.L1(0.5), 0.25, [1.0, -1.0, 0.0, 0.3])
    for t in range(1, 9):  # 1/8 a step
        model.train_on_batch(x, y)
        np.testing.assert_array_equal(model.get_weights()[0][0, :3], [1 - t / 8, t / 8 - 1, 0])
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(model.get_weights()[0][0, :3], 0)
    for _ in range(10):
        model.train_on_batch(x, y)
        assert 0 < abs(model.get_weights()[0][0, 3]) < 0.125


def test_penalties_are_part_of_the_loss():
    model, x, y = one_weight_penalised(fl.L1L2(l1=0.5, l2=0.3), 0.0, [1.0, -2.0])
    assert model.evaluate(x, y)["loss"] == pytest.approx(0.5 * 3 + 0.15 * 5, rel=1e-14)
    loss, gradients = model.loss_and_gradients(x, y)
    assert loss == pytest.approx(0.5 * 3 + 0.15 * 5, rel=1e-14)
    np.testing.assert_allclose(gradients[0], [[0.5 + 0.3, -0.5 - 0.6]], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipping(dtype):
    def moved(*grads, **options):
        params = [np.zeros(g.shape, dtype=dtype) for g in grads]
        fl.SGD(1.0, **options).step(params, [g.astype(dtype) for g in grads])
        return [-p for p in params]

    g = np.array([3.0, 4.0])
    np.testing.assert_allclose(moved(g, clip_norm=1.0)[0], [0.6, 0.8], rtol=np.finfo(dtype).eps)
    np.testing.assert_array_equal(moved(g, clip_norm=5.0)[0], g)
    np.testing.assert_array_equal(moved(g, clip_value=3.5)[0], [3.0, 3.5])
    np.testing.assert_array_equal(moved(-g, clip_value=3.5)[0], [-3.0, -3.5])
    # the norm is that of all parameters together, and entries are cut before it is taken
    for part, expected in zip(moved(g[:1], g[1:], clip_norm=1.0), ([0.6], [0.8]), strict=True):
        np.testing.assert_allclose(part, expected, rtol=np.finfo(dtype).eps)
    both = moved(np.array([3.0, 400.0]), clip_value=4.0, clip_norm=1.0)[0]
    np.testing.assert_allclose(both, [0.6, 0.8], rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "options", [{"clip_norm": 1.0}, {"clip_value": 3.5}, {"clip_norm": 1.0, "clip_value": 4.0}]
)
def test_clipping_inside_a_model(options):
    """The gradient of (x w - t)^2 is x when t = x w - 1/2."""
    g = np.array([3.0, 400.0 if len(options) == 2 else 4.0])
    model = fl.Model([fl.Input(2), fl.Dense(1, use_bias=False)], seed=0, dtype="float64")
    model.compile(fl.SGD(1.0, **options), "mse")
    model.set_weights([np.zeros((2, 1))])
    model.train_on_batch(g[None], [[-0.5]])
    expected = [3.0, 3.5] if options == {"clip_value": 3.5} else [0.6, 0.8]
    np.testing.assert_allclose(-model.get_weights()[0][:, 0], expected, rtol=1e-14)
