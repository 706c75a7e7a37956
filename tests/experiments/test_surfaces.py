"""Optimizers on surfaces with two coordinates: a saddle, many hills, a flat point, a long bowl."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import path
from saddle_race import RACERS, START, STEPS, arrival, slope

# x² − y² from (1, −0.001), rate 0.02: first steps with |y| > 0.1 and |y| > 1, and the last y
ESCAPES = {
    "descent": (118, 177, -1.1194),
    "momentum": (32, 46, -1.52e9),
    "Nesterov": (29, 42, -1.87e10),
    "momentum, averaged": (156, np.inf, -0.2094),
    "AdaGrad": (6, np.inf, None),
    "AdaDelta": (11, 27, None),
    "RMSProp": (2, 29, None),
    "RMSProp, s from 1": (39, 69, -3.449),
    "Adam": (6, 44, -5.360),
}


@pytest.mark.parametrize("name", RACERS)
def test_escape_from_a_saddle(name):
    points = path(RACERS[name](), slope, START, STEPS)
    near, far, last = ESCAPES[name]
    assert (arrival(points, 0.1), arrival(points, 1)) == (near, far)
    if last is not None:
        assert points[-1, 1] == pytest.approx(last, rel=3e-3)


def test_order_of_the_published_race():
    """As drawn by P. Skalski 2018, with the defaults of the time: RMSProp's mean square starts from 1."""
    drawn = ["Nesterov", "Adam", "momentum", "RMSProp, s from 1", "descent"]
    assert sorted(drawn, key=lambda name: arrival(path(RACERS[name](), slope, START, STEPS), 1)) == drawn


def test_descent_leaves_a_saddle_as_a_power():
    points = path(fl.SGD(0.02), slope, START, STEPS)
    t = np.arange(STEPS + 1)
    np.testing.assert_allclose(points, np.transpose([0.96**t, -0.001 * 1.04**t]), rtol=1e-12)


def test_nobody_leaves_the_ridge_itself():
    for make in RACERS.values():
        assert (path(make(), slope, [1.0, 0.0], STEPS)[:, 1] == 0).all()


def peaks(point):
    """MATLAB's "peaks": height and gradient."""
    x, y = point
    a, b, c = np.exp(-(x**2) - (y + 1) ** 2), np.exp(-(x**2) - y**2), np.exp(-((x + 1) ** 2) - y**2)
    inner = x / 5 - x**3 - y**5
    height = 3 * (1 - x) ** 2 * a - 10 * inner * b - c / 3
    by_x = (
        -6 * (1 - x) * (1 + x * (1 - x)) * a - 10 * (0.2 - 3 * x**2 - 2 * x * inner) * b + 2 / 3 * (x + 1) * c
    )
    by_y = -6 * (y + 1) * (1 - x) ** 2 * a + 10 * (5 * y**4 + 2 * y * inner) * b + 2 / 3 * y * c
    return height, np.array([by_x, by_y])


def on_peaks(rate, start):
    """The points and heights of 180 steps."""
    points = path(fl.SGD(rate), lambda point: peaks(point)[1], start, 180)
    return points, np.array([peaks(point)[0] for point in points])


def test_small_steps_find_the_valley():
    points, heights = on_peaks(0.01, [-0.5, -1.0])
    np.testing.assert_allclose(points[-1], [0.22827892, -1.62553496], atol=1e-8)
    assert heights[-1] == pytest.approx(-6.551133333, abs=1e-9)
    assert np.linalg.norm(peaks(points[-1])[1]) < 1e-13
    assert (np.diff(heights) < 1e-13).all()


def test_large_steps_never_settle():
    _, heights = on_peaks(0.15, [-0.5, -1.0])
    assert np.count_nonzero(np.diff(heights) > 0.01) > 50
    assert np.ptp(heights[-30:]) > 1


def test_a_local_minimum_is_a_trap():
    points, heights = on_peaks(0.005, [1.0, 0.0])
    np.testing.assert_allclose(points[-1], [0.297464, 0.313287], atol=1e-6)
    assert heights[-1] == pytest.approx(-0.0647836, abs=1e-7)  # the lowest valley is at −6.55


def test_a_monkey_saddle_stalls_descent():
    """x³ − 3xy², whose slope and curvature both vanish at the origin."""
    points = path(fl.SGD(0.005), lambda p: [3 * (p[0] ** 2 - p[1] ** 2), -6 * p[0] * p[1]], [1.0, 0.0], 180)
    np.testing.assert_allclose(points[-1], [0.2688325, 0], atol=1e-7)
    assert points[-1, 0] ** 3 == pytest.approx(0.01942877, abs=1e-8)


@pytest.mark.parametrize(
    "rate, momentum, height",
    [(0.02, 0, 4.427e-2), (0.02, 0.9, 1.271e-4), (0.07, 0, 8.26e-5), (0.07, 0.5, 6.0e-11)],
)
def test_momentum_in_an_elongated_bowl(rate, momentum, height):
    """(x² + 25 y²) / 2 from (−1, 0.1), 60 steps."""
    curvature = np.array([1.0, 25.0])
    end = path(fl.SGD(rate, momentum=momentum), lambda p: curvature * p, [-1.0, 0.1], 60)[-1]
    assert (curvature * end**2).sum() / 2 == pytest.approx(height, rel=2e-3)
