"""fl.minimize: every optimizer on plain functions, from one start."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from fallline.declaration import known_names
from helpers import path, refuses

CURVATURE = np.array([[1.0, 4.0, 0.5], [2.0, 0.25, 3.0]])
START = np.array([[1.0, -2.0, 0.5], [0.3, 1.5, -1.0]])
FIRST_ORDER = sorted(known_names(fl.Optimizer))


def bowl(x):
    return (CURVATURE * x**2).sum() / 2, CURVATURE * x


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_every_optimizer_of_first_order_takes_its_own_steps(name):
    found = fl.minimize(bowl, START, name, max_iterations=50)
    points = path(known_names(fl.Optimizer)[name](), lambda x: CURVATURE * x, START, 50)
    assert found.trajectory.tobytes() == points.tobytes()
    np.testing.assert_array_equal(found.x, points[-1])
    np.testing.assert_array_equal(found.gradient, CURVATURE * points[-1])
    np.testing.assert_array_equal(found.values, [bowl(point)[0] for point in points])
    assert found.value == found.values[-1]
    assert (found.iterations, found.evaluations) == (50, 51)
    assert found.stop_reason == "max_iterations are spent"


@pytest.mark.parametrize("start", [2.0, [2.0], [[2.0, 1.0]], np.ones((2, 1, 3), np.float32), 3, True])
def test_points_have_the_shape_of_the_start(start):
    shapes = set()

    def fun(x):
        shapes.add((x.shape, x.dtype.name))
        return (x**2).sum(), 2 * x

    shape = np.shape(start)
    found = fl.minimize(fun, start, fl.SGD(0.25))
    assert shapes == {(shape, "float64")}
    assert found.x.shape == found.gradient.shape == shape
    assert found.trajectory.shape == (found.iterations + 1, *shape)
    np.testing.assert_array_equal(found.trajectory[0], start)
    assert np.abs(found.gradient).max() <= 1e-6 < np.abs(2 * found.trajectory[-2]).max()
    assert found.stop_reason == "the gradient is below gtol"


def test_it_stops_at_once_at_a_stationary_point():
    found = fl.minimize(bowl, np.zeros((2, 3)), fl.SGD(0.1))
    assert (found.iterations, found.evaluations, found.trajectory.shape) == (0, 1, (1, 2, 3))
    assert fl.minimize(bowl, START, fl.SGD(0.1), max_iterations=0).stop_reason == "max_iterations are spent"
    assert fl.minimize(bowl, START, fl.SGD(0.1), gtol=8.0).iterations == 0


def test_the_given_optimizer_keeps_its_own_state():
    optimizer = fl.SGD(fl.schedules.StepDecay(0.1, 0.5, 5), momentum=0.9, clip_norm=1.0)
    theta = np.ones(3)
    optimizer.step([theta], [theta])
    (before,) = optimizer.state_dict()["slots"].values()
    first, second = (fl.minimize(bowl, START, optimizer, max_iterations=20) for _ in range(2))
    assert first.trajectory.tobytes() == second.trajectory.tobytes()
    (after,) = optimizer.state_dict()["slots"].values()
    assert optimizer.state_dict()["step"] == 1
    np.testing.assert_array_equal(after, before)
    fresh = fl.SGD(fl.schedules.StepDecay(0.1, 0.5, 5), momentum=0.9, clip_norm=1.0)
    assert first.trajectory.tobytes() == path(fresh, lambda x: CURVATURE * x, START, 20).tobytes()


def test_the_points_may_be_left_out():
    found = fl.minimize(bowl, START, fl.SGD(0.1), trajectory=False)
    assert found.trajectory is None
    assert len(found.values) == found.iterations + 1


def test_the_answer_prints_what_matters():
    assert repr(fl.minimize(bowl, START, fl.SGD(0.1), max_iterations=1)) == (
        "Minimum: 4.40137 at [0.9, -1.2, 0.475, ..., -0.7]\n1 iterations, 2 evaluations; max_iterations are spent"
    )


def squares(x):
    return (x**2).sum(), 2 * x


@pytest.mark.parametrize(
    "arguments, exception, match",
    [
        ({"fun": 3}, TypeError, "fun is 3"),
        ({"x0": None}, TypeError, "x0 is None"),
        ({"x0": "a"}, TypeError, "x0 has dtype"),
        ({"x0": [1j]}, TypeError, "x0 has dtype complex128"),
        ({"x0": []}, ValueError, r"x0 has shape \(0,\)"),
        ({"x0": [np.nan]}, ValueError, "x0 has entries that are not finite"),
        ({"optimizer": "sdg"}, ValueError, "did you mean 'sgd'"),
        ({"optimizer": fl.SGD}, TypeError, r"write SGD\(\)"),
        ({"max_iterations": -1}, ValueError, "max_iterations is -1"),
        ({"max_iterations": 1.5}, TypeError, "max_iterations is 1.5"),
        ({"gtol": -1e-6}, ValueError, "gtol is -1e-06"),
        ({"trajectory": 1}, TypeError, "trajectory is 1"),
        ({"bounds": (-1, 1)}, ValueError, r"bounds is \(-1, 1\); expected starts=k"),
        ({"starts": 0, "bounds": (-1, 1)}, ValueError, "starts is 0; expected an integer >= 1"),
        ({"starts": 2.5, "bounds": (-1, 1)}, TypeError, "starts is 2.5"),
        ({"starts": "two"}, TypeError, "starts is 'two'"),
        ({"starts": 5}, TypeError, r"bounds is None; expected \(low, high\), to draw 5 starts within"),
        ({"starts": 5, "bounds": (1, -1)}, ValueError, r"bounds is \(1, -1\); expected low <= high"),
        ({"starts": 5, "bounds": (0, np.inf)}, ValueError, r"bounds\[1\] has entries that are not finite"),
        ({"starts": 5, "bounds": ([0] * 2, [1] * 3)}, ValueError, r"bounds has shapes \(2,\) and \(3,\)"),
        ({"starts": 5, "bounds": ([0] * 2, 1), "x0": [0] * 3}, ValueError, r"or \(3,\) as x0"),
        ({"starts": 5, "bounds": (0, 1), "seed": -1}, ValueError, "seed is -1"),
        ({"starts": np.zeros((0, 1))}, ValueError, r"starts has shape \(0, 1\)"),
        ({"starts": [[1.0, 2.0]]}, ValueError, r"starts has shape \(1, 2\); expected \(k, 1\), k >= 1"),
        ({"starts": [[1.0]], "bounds": (0, 1)}, ValueError, "None beside starts that are given"),
        ({"starts": [[1.0]], "merge": "outputs"}, TypeError, "merge is 'outputs'"),
        ({"starts": [[1.0]], "merge_tolerance": 0}, ValueError, "merge_tolerance is 0"),
        ({"starts": [[1.0]], "check_every": 0}, ValueError, "check_every is 0"),
    ],
)
def test_bad_arguments(arguments, exception, match):
    calls = []

    def fun(x):
        calls.append(x)
        return squares(x)

    with refuses(exception, match):
        fl.minimize(**{"fun": fun, "x0": [1.0], "optimizer": fl.SGD(0.1)} | arguments)
    assert calls == []


@pytest.mark.parametrize(
    "fun, exception, match",
    [
        (lambda x: (x**2).sum(), TypeError, r"fun\(x\) is 5.0; expected \(value, gradient\)"),
        (lambda x: (1.0, x, x), TypeError, r"fun\(x\) is \(1.0"),
        (lambda x: None, TypeError, r"fun\(x\) is None"),
        (lambda x: (x**2, 2 * x), TypeError, r"fun\(x\)\[0\] is an array of shape \(2,\); expected a single"),
        (lambda x: ("low", x), TypeError, r"fun\(x\)\[0\] is 'low'"),
        (lambda x: (1j, x), TypeError, r"fun\(x\)\[0\] is 1j"),
        (
            lambda x: (1.0, x[:1]),
            ValueError,
            r"fun\(x\)\[1\] has shape \(1,\); expected \(2,\), the gradient",
        ),
        (lambda x: (1.0, None), TypeError, r"fun\(x\)\[1\] has dtype object"),
    ],
)
def test_bad_answers(fun, exception, match):
    with refuses(exception, match):
        fl.minimize(fun, [1.0, 2.0], fl.SGD(0.1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(bad):
    """At the start, and later, in value or gradient."""
    with refuses(fl.NonFiniteLoss, rf"fun\(x\) is {bad} at a start"):
        fl.minimize(lambda x: (bad, x), [1.0], fl.SGD(0.1))
    with refuses(fl.NonFiniteLoss, rf"gradient up to {bad}"):
        fl.minimize(lambda x: (1.0, bad * x), [1.0], fl.SGD(0.1))
    with refuses(fl.NonFiniteLoss, r"after 3 steps.*smaller learning rate"):
        fl.minimize(lambda x: (np.where(x > 3.5, bad, x)[0], -np.ones(1)), [1.0], fl.SGD(1.0))


def test_what_the_function_raises_comes_through():
    def fun(x):
        raise LookupError("no data")

    with pytest.raises(LookupError, match="no data"):
        fl.minimize(fun, [1.0], fl.SGD(0.1))


def test_the_function_cannot_write_to_the_point():
    def fun(x):
        x += 1

    with pytest.raises(ValueError, match="read-only"):
        fl.minimize(fun, [1.0], fl.SGD(0.1))


def test_a_point_that_the_function_keeps_stays_as_it_was():
    seen = []

    def fun(x):
        seen.append(x)
        return squares(x)

    found = fl.minimize(fun, [1.0], fl.SGD(0.25), max_iterations=5)
    np.testing.assert_array_equal(seen, found.trajectory)
