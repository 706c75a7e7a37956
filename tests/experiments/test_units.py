"""What rectified units do: nets that are linear where they are, and units that die."""

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
