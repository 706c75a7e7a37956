"""A ball on a curve: descent in one dimension, where every iterate has a closed form."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import path

POINTS = [-3.0, -0.5, 0.25, 4.0]


@pytest.mark.parametrize("start", POINTS)
def test_a_positive_slope_sends_the_ball_left(start):
    """By the rate times the slope, neither by the slope alone nor by its sign."""
    for rate in (0.01, 1.0):
        moved = np.diff(path(fl.SGD(rate), lambda x: 2 * x, [start], 1)[:, 0])[0]
        assert np.sign(moved) == -np.sign(2 * start)
        assert moved == pytest.approx(-rate * 2 * start, rel=1e-14)


def test_a_ball_rests_where_there_is_no_slope():
    """On x² (x − 3): in the valley at 2, and on the hill at 0 if it is put exactly there."""
    for start in (0.0, 2.0):
        for optimizer in (fl.SGD(0.1), fl.SGD(0.1, momentum=0.9), fl.RMSProp(0.1), fl.Adam(0.1)):
            points = path(optimizer, lambda x: 3 * x * (x - 2), [start], 20)
            np.testing.assert_array_equal(points, start)
    assert path(fl.SGD(0.1), lambda x: 3 * x * (x - 2), [1e-9], 200)[-1, 0] == pytest.approx(2, abs=1e-9)


@pytest.mark.parametrize(
    "rate, iterates",
    [
        (0.75, [-1, 0.5, -0.25, 0.125]),
        (1.1, [-1, 1.2, -1.44, 1.728]),
        (0.5, [-1, 0, 0, 0]),
        (0.25, [-1, -0.5, -0.25, -0.125]),
    ],
)
def test_four_steps_on_a_parabola(rate, iterates):
    """x² from −1: a slope too steep makes the ball jump sides, and higher each time from the rate 1 on."""
    np.testing.assert_allclose(path(fl.SGD(rate), lambda x: 2 * x, [-1.0], 3)[:, 0], iterates, rtol=1e-14)


@pytest.mark.parametrize("curvature", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("share", [0.1, 0.45, 0.999, 1.001, 1.5])
def test_descent_follows_its_closed_form(curvature, share):
    """x_t = (1 − rate · curvature)^t: to the minimum while the rate is below 2 / curvature, else away."""
    rate = share * 2 / curvature
    x = path(fl.SGD(rate), lambda x: curvature * x, [1.0], 60)[:, 0]
    np.testing.assert_allclose(x, (1 - 2 * share) ** np.arange(61), rtol=1e-12)
    assert (np.abs(x[-1]) < 1) == (share < 1)


@pytest.mark.parametrize(
    "rate, end", [(0.1, 5.154e-3), (0.9, 1e-50), (1.0, 0.0), (1.9, 5.154e-3), (2.1, 117.4)]
)
def test_a_ball_in_a_bucket(rate, end):
    x = path(fl.SGD(rate), lambda x: x, [1.0], 50)[:, 0]
    assert abs(x[-1]) == pytest.approx(end, rel=1e-3, abs=1e-60)
    if rate > 1:
        assert (np.sign(x[1:]) == -np.sign(x[:-1])).all()


def test_a_ball_at_the_limit_bounces_for_ever():
    np.testing.assert_array_equal(path(fl.SGD(2.0), lambda x: x, [1.0], 50)[:, 0], [1, -1] * 25 + [1])


class TestGroove:
    """A wide valley with a rippled floor, from its left slope: (x − 3)² / 20 + sin(20 x) / 50."""

    @staticmethod
    def height(x):
        return 0.05 * (x - 3) ** 2 + 0.02 * np.sin(20 * x)

    def roll(self, optimizer):
        return path(optimizer, lambda x: 0.1 * (x - 3) + 0.4 * np.cos(20 * x), [-2.0], 3000)[:, 0]

    @pytest.mark.parametrize("rate, place", [(0.01, -0.950), (0.05, -0.950), (0.2, -0.649)])
    def test_small_steps_are_trapped(self, rate, place):
        x = self.roll(fl.SGD(rate))
        assert x[-1] == pytest.approx(place, abs=5e-4)
        assert np.ptp(x[-500:]) < 1e-12
        assert self.height(x[-1]) > 0.65

    def test_large_steps_pass_and_do_not_settle(self):
        heights = self.height(self.roll(fl.SGD(0.5)))
        assert heights.min() == pytest.approx(-0.0169, abs=5e-5)
        assert heights[-500:].mean() == pytest.approx(0.0056, abs=5e-4)

    def test_momentum_rolls_through(self):
        x = self.roll(fl.SGD(0.05, momentum=0.9))
        assert x[-1] == pytest.approx(2.752, abs=5e-4)
        assert self.height(x[-1]) == pytest.approx(-0.01689, abs=5e-6)
        assert self.height(3.0623) == pytest.approx(-0.019804, abs=5e-7)  # the lowest point is one ripple on


@pytest.mark.parametrize("rate, steps", [(0.01, 200000), (0.1, 20001), (1.0, 2001), (10.0, 200)])
def test_a_gentle_slope_takes_long(rate, steps):
    """A slope of 1/20 over a distance of 100."""
    optimizer, x, slope, taken = fl.SGD(rate), np.zeros(1), [np.array([-0.05])], 0
    while x[0] < 100:
        optimizer.step([x], slope)
        taken += 1
    assert taken == steps
