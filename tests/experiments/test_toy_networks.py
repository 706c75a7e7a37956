"""The toy networks of A. Trask 2015, A Neural Network in 13 lines of Python (part 2: Gradient Descent)."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from xor_alpha_sweep import RATES, X, Y, errors, network, start

BEGIN = {4: 0.496410031903, 32: 0.496439922501}
# (hidden units, rate): mean |error| after 10000, 20000, ..., 50000 updates
PUBLISHED = {
    (4, 0.001): [0.495164025493, 0.493596043188, 0.491606358559, 0.489100166544, 0.485977857846],
    (4, 0.01): [0.457431074442, 0.359097202563, 0.239358137159, 0.143070659013, 0.0985964298089],
    (4, 0.1): [0.0428880170001, 0.0240989942285, 0.0181106521468, 0.0149876162722, 0.0130144905381],
    (4, 1): [0.00858452565325, 0.00578945986251, 0.00462917677677, 0.00395876528027, 0.00351012256786],
    (4, 10): [0.00312938876301, 0.00214459557985, 0.00172397549956, 0.00147821451229, 0.00131274062834],
    (32, 0.001): [0.491049468129, 0.484976307027, 0.477830678793, 0.46903846539, 0.458029258565],
    (32, 0.01): [0.356379061648, 0.146939845465, 0.0880156127416, 0.065147819275, 0.0529658087026],
    (32, 0.1): [0.0305404908386, 0.0190638725334, 0.0147643907296, 0.0123892429905, 0.0108421669738],
    (32, 1): [0.00736052234249, 0.00497251705039, 0.00396863978159, 0.00338641021983, 0.00299625684932],
}


@pytest.mark.parametrize("hidden, rate", PUBLISHED)
def test_sweep_of_the_rate(hidden, rate):
    found = errors(network(start(hidden), rate), 10000, 5)
    np.testing.assert_allclose(found, [BEGIN[hidden], *PUBLISHED[hidden, rate]], rtol=1e-10)


def test_sweep_of_the_rate_where_it_is_chaotic():
    """Rounding decides the digits: 32 units at 10 keep one per cent, 4 units at 100 only that they fail."""
    first, *_, last = errors(network(start(32), 10), 10000, 5)[1:]
    assert first == pytest.approx(0.00224922117381, rel=0.01)
    assert last == pytest.approx(0.000942641990774, rel=0.01)
    assert min(errors(network(start(4), 100), 10000, 5)) > 0.1


@pytest.mark.parametrize("hidden, rate", [(4, 1000), (32, 100), (32, 1000)])
def test_too_large_a_rate_saturates_all_units(hidden, rate):
    assert errors(network(start(hidden), rate), 10000, 1)[1] == pytest.approx(0.5, abs=1e-6)


def test_sweep_of_the_rate_in_float32():
    assert errors(network(start(4), 1, "float32"), 10000, 1)[1] == pytest.approx(PUBLISHED[4, 1][0], rel=1e-4)


def test_the_best_rate_is_above_one():
    last = {rate: errors(network(start(4), rate), 10000, 5)[-1] for rate in RATES}
    assert sorted(last, key=last.get) == [10, 1, 0.1, 0.01, 100, 0.001, 1000]


@pytest.mark.slow
@pytest.mark.parametrize("rate, changes", [(0.01, 18), (0.1, 18), (1, 18), (10, 192), (100, 142), (1000, 57)])
def test_weights_change_direction(rate, changes):
    """How often the sign of a weight's update flips in 60000 updates, over both kernels."""
    model, updates = network(start(4), rate), 60000
    falls = np.empty((updates, 16), bool)
    for step in falls:
        first, second = model.loss_and_gradients(X, Y)[1]
        step[:12], step[12:] = first.ravel() < 0, second.ravel() < 0
        model.train_on_batch(X, Y)
    assert np.count_nonzero(falls[1:] != falls[:-1]) == changes


def test_two_weights():
    """A single unit whose first input is the answer."""
    x, y = np.array([[0.0, 1], [0, 1], [1, 0], [1, 0]]), np.array([[0.0], [0], [1], [1]])
    begin = 2 * np.random.RandomState(1).random_sample((2, 1)) - 1
    np.testing.assert_allclose(begin[:, 0], [-0.16595599, 0.44064899], atol=5e-9)
    model = network([begin], 1)
    model.fit(x, y, batch_size=4, epochs=9999, shuffle=False)
    np.testing.assert_allclose(model.predict(x)[:, 0], [0.00505119] * 2 + [0.99494905] * 2, atol=5e-9)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], [5.28316618, -5.28311816], atol=5e-9)


def test_error_plane_of_two_weights():
    """Mean |error| over [-10, 10]², a unit for each point of the grid: lowest in the corner (10, -10)."""
    grid = np.linspace(-10, 10, 41)
    w = np.stack([axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij")])
    outputs = network([w], 1).predict(np.array([[0.0, 1], [1, 0]]))
    plane = (np.abs(outputs - [[0], [1]]).mean(axis=0)).reshape(41, 41)
    assert np.unravel_index(plane.argmin(), plane.shape) == (40, 0)
    assert plane.min() == pytest.approx(4.54e-5, rel=1e-3)
    assert plane.max() == pytest.approx(0.99995, abs=5e-6)
    assert (np.diff(plane, axis=0) < 0).all()
    assert (np.diff(plane, axis=1) > 0).all()


def test_wider_layers_are_more_states_to_start_from():
    """Out of 100 starts at the rate 1, how many have learned XOR after 6000 updates."""

    def solved(hidden):
        models = (network(start(hidden, seed), 1) for seed in range(100))
        return np.mean([errors(model, 6000, 1)[1] < 0.1 for model in models])

    share = {hidden: solved(hidden) for hidden in (1, 2, 4, 8)}
    assert share[1] == 0
    assert share[2] < 0.5 < share[4]
    assert share[8] >= 0.99


def test_equal_units_stay_equal():
    """Units that start with the same weights get the same gradients for ever: a hidden layer of zeros."""
    model = network([np.zeros((3, 4)), np.zeros((4, 1))], 1)
    model.fit(X, Y + 0.25 * X[:, :1], batch_size=4, epochs=500, shuffle=False)
    first, second = model.get_weights()
    assert (first[:, 0] != 0).any()
    np.testing.assert_array_equal(first, first[:, :1] * np.ones(4))
    np.testing.assert_array_equal(second, second[0, 0])


def test_the_printed_error_is_not_the_loss():
    """The loss is a sum of squares, the error a mean: they do not even agree on which network is better."""
    x, y = np.eye(2), np.zeros((2, 1))
    model = fl.Model([fl.Input(2), fl.Dense(1, use_bias=False)], seed=0, dtype="float64")
    model.compile(fl.SGD(0.1), fl.MSE(reduction="sum"), metrics=["mae"])
    found = {}
    for name, kernel in (("one large", [[0.9], [0.0]]), ("two small", [[0.5], [0.5]])):
        model.set_weights([kernel])
        found[name] = model.evaluate(x, y)
    assert found["one large"]["loss"] > found["two small"]["loss"]
    assert found["one large"]["mae"] < found["two small"]["mae"]
