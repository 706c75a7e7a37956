"""What piecewise linear units do: nets that are linear where they are, units that die, and learned corners."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl


def test_a_relu_network_is_a_thinner_linear_one(rng):
    """Where a row goes, the net is M = W1 D1 W2 D2 W3 with D = 1 on the units that are on; Montufar et al. 2014."""
    layers = [fl.Dense(n, "relu", bias_initializer="normal") for n in (20, 15)]
    model = fl.Model([fl.Input(6), *layers, fl.Dense(3, bias_initializer="normal")], seed=3, dtype="float64")
    weights = model.get_weights()
    regions = set()
    for row in rng.normal(size=(30, 6)):
        a, matrix, offset, pattern = row, np.eye(6), np.zeros(6), ()
        for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
            z = a @ kernel + bias
            last = kernel.shape[1] == 3
            on = np.ones(3, bool) if last else z > 0
            matrix, offset = matrix @ kernel * on, (offset @ kernel + bias) * on
            a, pattern = z * on, (*pattern, *on)
        regions.add(pattern)
        np.testing.assert_allclose(model.predict(row[None])[0], row @ matrix + offset, rtol=0, atol=1e-12)
        # and the same matrix holds next to it
        near = row + 1e-9 * rng.normal(size=6)
        np.testing.assert_allclose(model.predict(near[None])[0], near @ matrix + offset, rtol=0, atol=1e-12)
    assert len(regions) > 10


def with_a_dead_unit(layer):
    """Two units over inputs in [−1, 1], the second with a bias of −10: it is off for every row."""
    model = fl.Model([fl.Input(1), layer(2), fl.Dense(1)], seed=1, dtype="float64")
    model.compile(fl.SGD(0.1), "mse")
    weights = model.get_weights()
    weights[0], weights[1], weights[2] = np.ones((1, 2)), np.array([0.1, -10.0]), np.ones((2, 1))
    model.set_weights(weights)
    x = np.linspace(-1, 1, 20)[:, None]
    return model, x, 3 * x + 1


def test_a_dead_unit_stays_dead():
    model, x, y = with_a_dead_unit(lambda n: fl.Dense(n, "relu"))
    for _ in range(20):
        _, (kernel, bias, last, _) = model.loss_and_gradients(x, y)
        assert (kernel[0, 1], bias[1], last[1, 0]) == (0, 0, 0)
        assert (kernel[0, 0], bias[0], last[0, 0]) != (0, 0, 0)
        model.fit(x, y, batch_size=5, epochs=5)
    kernel, bias, last, _ = model.get_weights()
    assert (kernel[0, 1], bias[1], last[1, 0]) == (1, -10, 1)


@pytest.mark.parametrize("make", [fl.Adam, fl.RMSProp, lambda rate: fl.SGD(rate, momentum=0.9)])
def test_no_rate_revives_an_exact_zero(make):
    model, x, y = with_a_dead_unit(lambda n: fl.Dense(n, "relu"))
    model.compile(make(0.1), "mse")
    model.fit(x, y, epochs=50)
    assert model.get_weights()[1][1] == -10


def test_a_leaky_unit_revives():
    """Its slope is small where it is off, but not 0: it comes back, and learns what a ReLU cannot any more."""
    x, found = np.linspace(-1, 1, 20)[:, None], {}
    for activation in ("relu", "leaky_relu"):
        model = fl.Model([fl.Input(1), fl.Dense(1, activation)], seed=1, dtype="float64")
        model.compile(fl.SGD(0.3), "mse")
        model.set_weights([[[1.0]], [-10.0]])
        model.fit(x, x + 3, batch_size=20, epochs=1000)
        found[activation] = [w.item() for w in model.get_weights()]
    assert found["relu"] == [1, -10]
    assert found["leaky_relu"] == pytest.approx([1, 3], abs=1e-9)


def maxout(kernel, bias):
    """A layer of Maxout units with the pieces given: (inputs, pieces, units) and (pieces, units)."""
    inputs, pieces, units = np.shape(kernel)
    model = fl.Model([fl.Input(inputs), fl.Maxout(units, pieces)], seed=0, dtype="float64")
    model.set_weights([np.reshape(kernel, (inputs, pieces * units)), np.ravel(bias)])
    return model


Z = np.linspace(-3, 3, 601)[:, None]


@pytest.mark.parametrize(
    "pieces, expected",
    [
        ([1.0, 0.0], np.maximum(Z, 0)),
        ([1.0, -1.0], np.abs(Z)),
        ([1.0, 0.25], np.where(Z > 0, Z, 0.25 * Z)),
        ([1.0, 1.0], Z),
    ],
    ids=["relu", "absolute value", "leaky relu", "linear"],
)
def test_maxout_learns_its_activation(pieces, expected):
    """Goodfellow et al. 2013: any convex shape from pieces, the well-known ones exactly."""
    model = maxout(np.reshape(pieces, (1, 2, 1)), [0.0, 0.0])
    np.testing.assert_array_equal(model.predict(Z), expected)


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 8])
def test_maxout_is_convex_with_a_kink_less_than_pieces(pieces, rng):
    """Along a line; more corners come from more pieces in a unit, not from more units."""
    z = np.linspace(-4, 4, 4001)[:, None]
    units = 30
    model = maxout(rng.normal(size=(1, pieces, units)), rng.normal(size=(pieces, units)))
    slopes = np.diff(model.predict(z), axis=0) / np.diff(z, axis=0)
    turns = np.diff(slopes, axis=0)
    assert turns.min() > -1e-9
    # a kink between two points of the grid turns the slope there twice
    bends = turns > 1e-9
    kinks = np.count_nonzero(bends[1:] & ~bends[:-1], axis=0) + bends[0]
    assert kinks.max() == pieces - 1 if pieces <= 3 else 2 < kinks.max() <= pieces - 1


def test_a_maxout_network_is_a_thinner_linear_one(rng):
    """Where a row goes, only the winning pieces count."""
    model = fl.Model([fl.Input(5), fl.Maxout(7, 3), fl.Maxout(4, 2), fl.Dense(2)], seed=3, dtype="float64")
    weights = model.get_weights()
    for row in rng.normal(size=(20, 5)):
        matrix = np.eye(5)
        for kernel, units in zip(weights[::2], (7, 4, 2), strict=True):
            z = row @ matrix @ kernel  # biases are 0
            winners = z.reshape(-1, units).argmax(axis=0) * units + np.arange(units)
            matrix = matrix @ kernel[:, winners]
        np.testing.assert_allclose(model.predict(row[None])[0], row @ matrix, rtol=0, atol=1e-12)


def test_a_tie_goes_to_the_first_piece():
    model = maxout(np.ones((1, 3, 1)), np.zeros(3))
    model.compile("sgd", fl.MSE(reduction="sum"))
    _, (kernel, bias) = model.loss_and_gradients([[2.0]], [[1.0]])
    np.testing.assert_array_equal(kernel, [[4.0, 0.0, 0.0]])
    np.testing.assert_array_equal(bias, [2.0, 0.0, 0.0])


def test_a_deep_network_is_built_from_modules():
    """Parity of 8 bits from seven XOR modules of two units each, max(0, a + b) − 2 max(0, a + b − 1): all 256 right."""
    layers = [fl.Dense(2 * modules, "relu") for modules in (4, 2, 1)]
    model = fl.Model([fl.Input(8), *layers, fl.Dense(1)], seed=0, dtype="float64")
    inputs, result, weights = np.eye(8), np.array([[1.0], [-2.0]]), []
    for modules in (4, 2, 1):
        pairs = np.kron(np.eye(modules), np.ones((2, 2)))  # bits of the layer before -> units of a module
        weights += [inputs @ pairs, np.tile([0.0, -1.0], modules)]
        inputs = np.kron(np.eye(modules), result)  # units of a module -> its bit
    model.set_weights([*weights, inputs, [0.0]])
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    np.testing.assert_array_equal(model.predict(bits)[:, 0], bits.sum(axis=1) % 2)
