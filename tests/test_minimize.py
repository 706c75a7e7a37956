"""fl.minimize: every optimizer on plain functions, from one start."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from fallline.declaration import known_names
from helpers import path, refuses

CURVATURE = np.array([[1.0, 4.0, 0.5], [2.0, 0.25, 3.0]])
START = np.array([[1.0, -2.0, 0.5], [0.3, 1.5, -1.0]])
FIRST_ORDER = known_names(fl.FirstOrder)


def bowl(x):
    return (CURVATURE * x**2).sum() / 2, CURVATURE * x


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_every_optimizer_of_first_order_takes_its_own_steps(name):
    found = fl.minimize(bowl, START, optimizer=name, max_iterations=50)
    points = path(FIRST_ORDER[name](), lambda x: CURVATURE * x, START, 50)
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
    found = fl.minimize(fun, start, optimizer=fl.SGD(0.25))
    assert shapes == {(shape, "float64")}
    assert found.x.shape == found.gradient.shape == shape
    assert found.trajectory.shape == (found.iterations + 1, *shape)
    np.testing.assert_array_equal(found.trajectory[0], start)
    assert np.abs(found.gradient).max() <= 1e-6 < np.abs(2 * found.trajectory[-2]).max()
    assert found.stop_reason == "the gradient is below gtol"


def test_it_stops_at_once_at_a_stationary_point():
    found = fl.minimize(bowl, np.zeros((2, 3)), optimizer=fl.SGD(0.1))
    assert (found.iterations, found.evaluations, found.trajectory.shape) == (0, 1, (1, 2, 3))
    assert (
        fl.minimize(bowl, START, optimizer=fl.SGD(0.1), max_iterations=0).stop_reason
        == "max_iterations are spent"
    )
    assert fl.minimize(bowl, START, optimizer=fl.SGD(0.1), gtol=8.0).iterations == 0


def test_the_given_optimizer_keeps_its_own_state():
    optimizer = fl.SGD(fl.schedules.StepDecay(0.1, 0.5, every=5), momentum=0.9, clip_norm=1.0)
    theta = np.ones(3)
    optimizer.step([theta], [theta])
    (before,) = optimizer.state_dict()["slots"].values()
    first, second = (fl.minimize(bowl, START, optimizer=optimizer, max_iterations=20) for _ in range(2))
    assert first.trajectory.tobytes() == second.trajectory.tobytes()
    (after,) = optimizer.state_dict()["slots"].values()
    assert optimizer.state_dict()["step"] == 1
    np.testing.assert_array_equal(after, before)
    fresh = fl.SGD(fl.schedules.StepDecay(0.1, 0.5, every=5), momentum=0.9, clip_norm=1.0)
    assert first.trajectory.tobytes() == path(fresh, lambda x: CURVATURE * x, START, 20).tobytes()


def test_the_points_may_be_left_out():
    found = fl.minimize(bowl, START, optimizer=fl.SGD(0.1), trajectory=False)
    assert found.trajectory is None
    assert len(found.values) == found.iterations + 1


def test_the_answer_prints_what_matters():
    assert repr(fl.minimize(bowl, START, optimizer=fl.SGD(0.1), max_iterations=1)) == (
        "Minimum: 4.40137 at [0.9, -1.2, 0.475, ..., -0.7]\n1 iteration, 2 evaluations; max_iterations are spent"
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
        fl.minimize(fun, [1.0, 2.0], optimizer=fl.SGD(0.1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(bad):
    """At the start, and later, in value or gradient."""
    with refuses(fl.NonFiniteLoss, rf"fun\(x\) is {bad} at a start"):
        fl.minimize(lambda x: (bad, x), [1.0], optimizer=fl.SGD(0.1))
    with refuses(fl.NonFiniteLoss, rf"gradient up to {bad}"):
        fl.minimize(lambda x: (1.0, bad * x), [1.0], optimizer=fl.SGD(0.1))
    with refuses(fl.NonFiniteLoss, r"after 3 steps.*smaller learning rate"):
        fl.minimize(lambda x: (np.where(x > 3.5, bad, x)[0], -np.ones(1)), [1.0], optimizer=fl.SGD(1.0))


def test_what_the_function_raises_comes_through():
    def fun(x):
        raise LookupError("no data")

    with pytest.raises(LookupError, match="no data"):
        fl.minimize(fun, [1.0], optimizer=fl.SGD(0.1))


def test_the_function_cannot_write_to_the_point():
    def fun(x):
        x += 1

    with pytest.raises(ValueError, match="read-only"):
        fl.minimize(fun, [1.0], optimizer=fl.SGD(0.1))


def test_a_point_that_the_function_keeps_stays_as_it_was():
    seen = []

    def fun(x):
        seen.append(x)
        return squares(x)

    found = fl.minimize(fun, [1.0], optimizer=fl.SGD(0.25), max_iterations=5)
    np.testing.assert_array_equal(seen, found.trajectory)


# --- methods of the core, and chains ------------------------------------------------------------------------------


def valley(x):
    """Rosenbrock's, of any dimension."""
    head, tail = x[:-1], x[1:]
    gradient = np.zeros_like(x)
    gradient[:-1] = 400 * head * (head**2 - tail) - 2 * (1 - head)
    gradient[1:] += 200 * (tail - head**2)
    return (100 * (tail - head**2) ** 2 + (1 - head) ** 2).sum(), gradient


@pytest.mark.parametrize("make, iterations", [(fl.LBFGS, 45), (fl.BFGS, 42)])
def test_quasi_newton_methods_run_on_functions(make, iterations):
    """As scipy, to the bottom of a bent valley in some 40 iterations."""
    calls = []

    def fun(x):
        calls.append(x)
        return valley(x)

    found = fl.minimize(fun, [-1.2, 1.0], optimizer=make(gtol=1e-8, ftol=0))
    np.testing.assert_allclose(found.x, 1, atol=1e-8)
    assert found.iterations <= iterations
    assert found.stop_reason == "the gradient is below gtol"
    assert found.evaluations == len(calls) < 65
    assert len(found.trajectory) == len(found.values) == found.iterations + 1
    np.testing.assert_array_equal(found.trajectory[[0, -1]], [[-1.2, 1.0], found.x])
    np.testing.assert_array_equal(found.values, [valley(point)[0] for point in found.trajectory])
    np.testing.assert_array_equal(found.gradient, valley(found.x)[1])
    assert (np.diff(found.values) < 0).all()


def test_the_default_goes_until_it_stops_by_itself():
    found = fl.minimize(bowl, START)
    assert found.value < 1e-9
    assert found.x.shape == START.shape
    limited = fl.minimize(bowl, START, max_iterations=2)
    assert (limited.iterations, limited.stop_reason) == (2, "max_iterations are spent")
    assert (
        fl.minimize(bowl, START, optimizer=fl.LBFGS(max_iterations=2)).trajectory.tobytes()
        == limited.trajectory.tobytes()
    )


@pytest.mark.parametrize("make", [fl.LBFGS, fl.BFGS])
def test_line_searches_refuse_functions_that_change(make):
    rng = np.random.default_rng(0)
    with refuses(
        ValueError, r"fun\(x\) is .* and then .* at one point; expected the same each time: searches along"
    ):
        fl.minimize(lambda x: (rng.normal(), x), [1.0], optimizer=make())
    with refuses(ValueError, r"fun\(x\) has one gradient and then another at one point"):
        fl.minimize(lambda x: (1.0, x + rng.normal()), [1.0], optimizer=make())
    assert fl.minimize(lambda x: (x**2 + rng.normal(), 2 * x), 1.0, optimizer=fl.SGD(0.1)).x == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize("make", [fl.LBFGS, fl.BFGS, fl.SimulatedAnnealing])
def test_the_core_refuses_a_start_that_is_not_finite(make):
    for answer in (
        (np.nan, 1.0),
        (np.inf, 1.0),
        *([(1.0, np.nan)] if make is not fl.SimulatedAnnealing else []),
    ):
        with refuses(fl.NonFiniteLoss, r"fun\(x\) or its gradient is not finite at a start"):
            fl.minimize(lambda x: answer, 1.0, optimizer=make())  # noqa: B023


@pytest.mark.parametrize("make", [fl.LBFGS, fl.BFGS, fl.SimulatedAnnealing])
def test_errors_come_through_the_core(make):
    calls = []

    def fun(x):
        calls.append(x)
        if len(calls) == 6:
            raise LookupError("no data")
        return valley(x)

    with pytest.raises(LookupError, match="no data"):
        fl.minimize(fun, [-1.2, 1.0], optimizer=make())
    assert len(calls) == 6


def test_annealing_asks_for_values_only_and_follows_from_the_seed():
    first, again, other = (
        fl.minimize(lambda x: abs(x - 2), 0.0, optimizer=fl.SimulatedAnnealing(proposals=500), seed=seed)
        for seed in (3, 3, 4)
    )
    assert first.trajectory.tobytes() == again.trajectory.tobytes() != other.trajectory.tobytes()
    assert first.x == pytest.approx(2, abs=0.05)
    assert first.gradient is None
    with refuses(TypeError, r"fun\(x\) is an array of shape \(2,\); expected a single number"):
        fl.minimize(lambda x: x, [1.0, 2.0], optimizer=fl.SimulatedAnnealing())


def test_a_chain_hands_over():
    """A walk anywhere, some steps down, and a polish to the last digit."""
    walk = fl.SimulatedAnnealing(1.0, final_temperature=0.1, proposals=200, cycles=10)
    found = fl.minimize(
        valley,
        [-5.0, 5.0],
        optimizer=fl.Chain([walk, (fl.SGD(1e-4), 20), fl.LBFGS(gtol=1e-8, ftol=0)]),
        seed=0,
    )
    np.testing.assert_allclose(found.x, 1, atol=1e-8)
    assert found.stop_reason == "the gradient is below gtol"
    walked = fl.minimize(lambda x: valley(x)[0], [-5.0, 5.0], optimizer=walk, seed=0)
    np.testing.assert_array_equal(found.trajectory[:11], walked.trajectory)
    np.testing.assert_array_equal(
        found.trajectory[10:31], path(fl.SGD(1e-4), lambda x: valley(x)[1], walked.x, 20)
    )
    by_plateau = fl.minimize(
        bowl, START, optimizer=fl.Chain([(fl.SGD(0.1), fl.Plateau(3)), (fl.SGD(0.01), 5)])
    )
    assert by_plateau.stop_reason in ("the chain is at its end", "the gradient is below gtol")
    assert fl.minimize(bowl, START, optimizer=fl.Chain([(fl.SGD(0.1), 5)])).iterations == 5
