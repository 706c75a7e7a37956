"""Optimizers on surfaces with two coordinates: a saddle, many hills, a flat point, a long bowl."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from critical_points import WALKS, peaks, walk
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


@pytest.mark.parametrize("surface", {surface: None for surface, *_ in WALKS.values()})
def test_the_slopes_are_those_of_the_surface(surface, rng):
    for point in rng.uniform([2, -2], [4, 0], (5, 2)):
        differences = [
            (surface(point + step)[0] - surface(point - step)[0]) / 2e-6 for step in 1e-6 * np.eye(2)
        ]
        np.testing.assert_allclose(surface(point)[1], differences, rtol=1e-5, atol=1e-8)


def on_peaks(rate, start):
    """180 steps of descent."""
    return fl.minimize(peaks, start, optimizer=fl.SGD(rate), max_iterations=180, gtol=0)


def test_small_steps_find_the_valley():
    found = on_peaks(0.01, [-0.5, -1.0])
    np.testing.assert_allclose(found.x, [0.22827892, -1.62553496], atol=1e-8)
    assert found.value == pytest.approx(-6.551133333, abs=1e-9)
    assert np.linalg.norm(found.gradient) < 1e-13
    assert (np.diff(found.values) < 1e-13).all()


def test_large_steps_never_settle():
    heights = on_peaks(0.15, [-0.5, -1.0]).values
    assert np.count_nonzero(np.diff(heights) > 0.01) > 50
    assert np.ptp(heights[-30:]) > 1


def test_a_local_minimum_is_a_trap():
    found = walk("local minimum")
    np.testing.assert_allclose(found.x, [0.297464, 0.313287], atol=1e-6)
    assert found.value == pytest.approx(-0.0647836, abs=1e-7)
    assert (np.diff(found.values) < 0).all()


def test_many_starts_find_all_valleys():
    area = ([-2, -2.5], [1.5, 2])
    found = fl.minimize(peaks, optimizer=fl.SGD(0.01), starts=20, bounds=area, seed=0, max_iterations=200)
    lowest = {tuple(basin.x.round(3)): round(basin.value, 6) for basin in found.basins[:3]}
    assert list(lowest.items()) == [
        ((0.228, -1.626), -6.551133),
        ((-1.347, 0.205), -3.049849),
        ((0.296, 0.320), -0.064936),
    ]
    assert [len(basin.starts) for basin in found.basins] == [8, 3, 4, 1, 1, 1, 1, 1]  # the last cross a plain


def test_a_monkey_saddle_stalls_descent():
    found = walk("monkey saddle")
    np.testing.assert_allclose(found.x, [0.2688325, 0], atol=1e-7)
    assert found.value == pytest.approx(0.01942877, abs=1e-8)


def test_a_cliff_throws_descent_off_and_clipping_keeps_it():
    """The slope of the cliff is the step: taken at face value it leads to where there is none."""
    thrown, clipped = walk("cliff"), walk("cliff, clipped")
    steps = np.linalg.norm(np.diff(thrown.trajectory, axis=0), axis=1)
    assert steps.max() > 1000 * np.median(steps)
    assert thrown.value == pytest.approx(0.09, abs=1e-6)  # (1 − 0.7)²
    assert np.linalg.norm(thrown.gradient) < 1e-12
    assert np.linalg.norm(np.diff(clipped.trajectory, axis=0), axis=1).max() <= 0.5 + 1e-12
    assert clipped.values.min() < 1e-4 < thrown.values.min()


@pytest.mark.parametrize(
    "rate, momentum, height",
    [(0.02, 0, 4.427e-2), (0.02, 0.9, 1.271e-4), (0.07, 0, 8.26e-5), (0.07, 0.5, 6.0e-11)],
)
def test_momentum_in_an_elongated_bowl(rate, momentum, height):
    """(x² + 25 y²) / 2 from (−1, 0.1), 60 steps."""
    curvature = np.array([1.0, 25.0])
    end = path(fl.SGD(rate, momentum=momentum), lambda p: curvature * p, [-1.0, 0.1], 60)[-1]
    assert (curvature * end**2).sum() / 2 == pytest.approx(height, rel=2e-3)
