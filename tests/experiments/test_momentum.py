"""What momentum adds: closed forms, other ways to write it, and where it overshoots."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import path


def replay(gradients):
    """A gradient that does not look where it is: the next row of `gradients`."""
    rows = iter(gradients)
    return lambda theta: next(rows)


@pytest.fixture
def gradients(rng):
    return rng.normal(size=(40, 3))


def test_the_velocity_is_a_weighted_sum_of_all_gradients(gradients):
    """v_n = −rate · Σ_i momentum^(n − i) · g_i."""
    moves = np.diff(path(fl.SGD(0.1, momentum=0.9), replay(gradients), np.zeros(3), 40), axis=0)
    for n, move in enumerate(moves):
        weights = 0.9 ** np.arange(n, -1, -1)
        np.testing.assert_allclose(move, -0.1 * weights @ gradients[: n + 1], rtol=0, atol=1e-14)


def test_the_rate_may_be_taken_into_the_velocity_while_it_is_constant(gradients):
    """v ← momentum·v − rate·g, θ ← θ + v of Sutskever et al. 2013; a falling rate tells them apart."""

    def written_otherwise(rate):
        theta, v = np.zeros(3), np.zeros(3)
        for step, g in enumerate(gradients):
            v = 0.9 * v - rate(step) * g
            theta = theta + v
        return theta

    def ours(rate):
        return path(fl.SGD(rate, momentum=0.9), replay(gradients), np.zeros(3), 40)[-1]

    def in_that_style(rate):
        optimizer = fl.SGD(rate, momentum=0.9, momentum_style="sutskever")
        return path(optimizer, replay(gradients), np.zeros(3), 40)[-1]

    np.testing.assert_allclose(ours(0.1), written_otherwise(lambda step: 0.1), rtol=0, atol=1e-14)

    def halved(step):
        return 0.1 * 0.5 ** (step // 10)

    assert np.abs(ours(halved) - written_otherwise(halved)).max() > 0.01
    np.testing.assert_allclose(in_that_style(halved), written_otherwise(halved), rtol=0, atol=1e-14)


def test_nesterov_looks_ahead():
    """The gradient at θ + momentum·v, v ← momentum·v − rate·g, θ ← θ + v: the stored point is the one ahead."""

    def gradient(theta):
        return np.array([1.0, 10.0]) * theta + np.sin(theta)

    stored = path(fl.SGD(0.02, momentum=0.9, nesterov=True), gradient, [1.0, -2.0], 60)
    theta, v = np.array([1.0, -2.0]), np.zeros(2)
    for ahead in stored:
        np.testing.assert_allclose(ahead, theta + 0.9 * v, rtol=0, atol=1e-13)
        v = 0.9 * v - 0.02 * gradient(theta + 0.9 * v)
        theta = theta + v


@pytest.mark.parametrize(
    "style, correction", [("ewa", None), ("ewa_first", "first"), ("ewa_corrected", "bias")]
)
def test_averaged_momentum_steps_by_the_average_of_the_gradients(style, correction, gradients):
    optimizer = fl.SGD(0.1, momentum=0.9, momentum_style=style)
    moves = np.diff(path(optimizer, replay(gradients), np.zeros(3), 40), axis=0)
    np.testing.assert_allclose(moves, -0.1 * fl.ewa(gradients, 0.9, correction), rtol=0, atol=1e-15)


def test_averaged_momentum_never_exceeds_the_rate_times_the_slope():
    """Only the classical form speeds up; the averaged one tends to plain descent."""
    for style in ("ewa", "ewa_first", "ewa_corrected"):
        optimizer = fl.SGD(0.1, momentum=0.9, momentum_style=style)
        steps = -np.diff(path(optimizer, np.ones_like, [0.0], 300)[:, 0])
        assert steps.max() <= 0.1 * (1 + 1e-12)
        assert steps[-1] == pytest.approx(0.1, rel=1e-12)


def test_momentum_speeds_up_where_the_slope_goes_on():
    """On a constant slope the steps grow to rate / (1 − momentum)."""
    steps = -np.diff(path(fl.SGD(0.1, momentum=0.9), np.ones_like, [0.0], 300)[:, 0])
    np.testing.assert_allclose(steps, 1 - 0.9 ** np.arange(1, 301), rtol=1e-12)


@pytest.mark.parametrize("beta_1, beta_2", [(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)])
def test_adam_is_momentum_over_rmsprop_each_corrected_for_its_start(beta_1, beta_2, gradients):
    """From the moves of SGD and RMSProp on the same gradients, and the factors 1 / (1 − beta^t)."""
    adam = fl.Adam(0.01, beta_1, beta_2, epsilon=0.0)
    moves = np.diff(path(adam, replay(gradients), np.zeros(3), 40), axis=0)
    average = fl.SGD(1 - beta_1, momentum=beta_1)
    mean = -np.diff(path(average, replay(gradients), np.zeros(3), 40), axis=0)
    rms = np.diff(path(fl.RMSProp(1.0, beta_2, epsilon=0.0), replay(gradients), np.zeros(3), 40), axis=0)
    root = -gradients / rms  # RMSProp moves by −g / root
    t = np.arange(1, 41)[:, None]
    expected = -0.01 * (mean / (1 - beta_1**t)) / (root / np.sqrt(1 - beta_2**t))
    np.testing.assert_allclose(moves, expected, rtol=1e-10)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_descent_with_momentum_converges_up_to_its_limit(momentum):
    """On lambda x^2 / 2 exactly while rate < 2 (1 + momentum) / lambda."""
    curvature = 3.0
    limit = 2 * (1 + momentum) / curvature
    near = path(fl.SGD(0.99 * limit, momentum=momentum), lambda x: curvature * x, [1.0], 3000)
    far = path(fl.SGD(1.01 * limit, momentum=momentum), lambda x: curvature * x, [1.0], 3000)
    assert abs(near[-1, 0]) < 1e-6
    assert abs(far[-1, 0]) > 1e6


@pytest.mark.parametrize("momentum, changes", [(0.45, 0), (0.5, 18), (0.9, 41)])
def test_momentum_overshoots_from_its_threshold_on(momentum, changes):
    """rate 0.1 and curvature 1 put the threshold at (1 - sqrt(0.1))^2 = 0.4675."""
    x = path(fl.SGD(0.1, momentum=momentum), lambda x: x, [1.0], 400)[:, 0]
    assert np.count_nonzero(np.diff(np.sign(x)) != 0) == changes


@pytest.mark.parametrize(
    "options, steps",
    [
        ({"learning_rate": 2 / 101}, 691),
        ({"learning_rate": 0.0330578512, "momentum": 0.6694214876}, 93),
        ({"learning_rate": 0.01, "momentum": 0.8181818182, "nesterov": True}, 155),
    ],
    ids=["descent", "heavy ball", "nesterov"],
)
def test_steps_on_an_ill_conditioned_quadratic(options, steps):
    """Until the distance has shrunk to a millionth, at the best constants for curvatures 1 and 100."""
    curvature, optimizer, theta = np.array([1.0, 100.0]), fl.SGD(**options), np.ones(2)
    taken, distance = 0, 1.0
    while distance > 1e-6 and taken < 2000:
        optimizer.step([theta], [curvature * theta])
        taken += 1
        iterate = theta
        if options.get("nesterov"):  # the stored parameter looks ahead by momentum * velocity
            velocity = -options["learning_rate"] * optimizer.state_dict()["slots"]["momentum"][0]
            iterate = theta - options["momentum"] * velocity
        distance = np.linalg.norm(iterate) / np.sqrt(2)
    assert taken == steps
