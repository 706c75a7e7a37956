"""Gradients through many layers: Hochreiter 1991; Bengio et al. 1994; Glorot & Bengio 2010; Pascanu et al. 2013."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from twins import activations
from vanishing_gradients import DEPTHS, SETTINGS, gradient_sizes, ratio

HALF = [0.5]  # the weight of the only row: the loss is (a − y)² / 2


def chain(weights, dtype="float64", activation="sigmoid"):
    """Layers of a single unit without bias."""
    layers = [fl.Dense(1, activation, use_bias=False) for _ in weights]
    model = fl.Model([fl.Input(1), *layers], seed=0, dtype=dtype)
    model.compile("sgd", fl.MSE(reduction="sum"))
    model.set_weights([[[w]] for w in weights])
    return model


def first_and_last(model, x=0.5, y=1.0):
    _, gradients = model.loss_and_gradients([[x]], [[y]], HALF)
    return gradients[0][0, 0], gradients[-1][0, 0]


@pytest.mark.parametrize("depth", [1, 3, 10, 40])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_the_gradient_of_a_chain_is_a_product(depth, activation, rng):
    """dJ/dw1 = J'(a_L) · Π_i slope(z_i) · Π_{i > 1} w_i · x."""
    weights, x, y = rng.normal(size=depth), 0.7, 0.3
    slope = {"sigmoid": lambda a: a * (1 - a), "tanh": lambda a: 1 - a**2}[activation]
    a, product = x, x
    for i, w in enumerate(weights):
        a = activations.VALUE[activation](w * a)
        product *= slope(a) * (w if i else 1)
    found, _ = first_and_last(chain(weights, activation=activation), x, y)
    assert found == pytest.approx((a - y) * product, rel=1e-13 * depth, abs=0)
    if activation == "sigmoid":
        assert abs(found) <= abs((a - y) * x) * np.abs(weights[1:]).prod() * 0.25**depth


@pytest.mark.parametrize("depth, gradient", [(10, -5.938e-8), (30, -6.395e-21), (55, -3.946e-37)])
def test_a_gradient_shrinks(depth, gradient):
    """Weights of 1 in float32."""
    assert first_and_last(chain([1.0] * depth, "float32"))[0] == pytest.approx(gradient, rel=1e-4, abs=0)


@pytest.mark.parametrize("depth", [60, 64, 70, 75, 100])
def test_a_gradient_underflows_to_zero(depth):
    """From depth 60 on the numbers are below the smallest normal one, which count as zero inside a network."""
    first, last = first_and_last(chain([1.0] * depth, "float32"))
    assert first == 0
    assert last == pytest.approx(-0.0504920, abs=1e-6)
    in_double, _ = first_and_last(chain([1.0] * depth))
    assert -1e-38 < in_double < 0
    if depth == 70:
        assert in_double == pytest.approx(-7.4e-47, rel=5e-3, abs=0)


@pytest.mark.parametrize("depth, middle", [(2, 0.164), (3, 0.0205), (5, 3.3e-4), (10, 9.6e-9)])
def test_a_chain_with_normal_weights_almost_never_grows(depth, middle):
    """2000 draws of N(0, 1): the median of |first / last|, and how often it is above 1."""
    model, draws, state = chain([1.0] * depth), 2000, np.random.RandomState(0)
    ratios = np.empty(draws)
    for i in range(draws):
        model.set_weights(state.randn(depth, 1, 1))
        first, last = first_and_last(model)
        ratios[i] = abs(first / last)
    # the standard error of a median is sqrt(pi / 2n) deviations, and both medians have it
    error = np.std(np.log(ratios)) * np.sqrt(np.pi / draws)
    assert abs(np.log(np.median(ratios) / middle)) < 4 * error
    assert (ratios > 1).mean() <= 0.001


def test_a_large_weight_alone_does_not_help():
    """|w · slope| >= 1 needs |w| >= 4, and then the unit saturates: the product is small again."""
    grows = {w: abs(np.divide(*first_and_last(chain([w] * 12)))) for w in (0.5, 1, 2, 4, 8, 30)}
    assert max(grows.values()) < 0.1


@pytest.fixture(scope="module")
def table():
    """name -> {depth: first hidden layer / last}."""
    return {
        name: {depth: ratio(*setting, depth) for depth in DEPTHS if depth <= 10}
        for name, setting in SETTINGS.items()
    }


def test_sigmoid_vanishes(table):
    for name in ("sigmoid, Glorot", "sigmoid, N(0, 0.01)"):
        ratios = list(table[name].values())
        assert (np.diff(ratios) < 0).all()
        assert table[name][10] < 1e-4
    glorot = table["sigmoid, Glorot"]
    for shallow, deep in ((2, 3), (3, 5), (5, 8), (8, 10)):
        a_layer = (glorot[deep] / glorot[shallow]) ** (1 / (deep - shallow))
        assert 0.15 < a_layer < 0.3


def test_wide_weights_cancel_the_slope_of_the_sigmoid(table):
    """In a wide layer N(0, 1) is far more than in a chain: the ratio stays above a hundredth."""
    assert 0.02 < table["sigmoid, N(0, 1)"][10] < 1


@pytest.mark.parametrize("name", ["tanh, Glorot", "ReLU, He", "leaky ReLU, He"])
def test_matching_weights_keep_the_gradient(name, table):
    assert all(0.1 < value < 10 for value in table[name].values())


def test_wide_tanh_explodes(table):
    ratios = list(table["tanh, N(0, 1)"].values())
    assert (np.diff(ratios) > 0).all()
    assert ratios[-1] > 100


def test_the_early_layers_get_the_small_gradients():
    sizes = gradient_sizes(*SETTINGS["sigmoid, Glorot"], 8, 0)[:-1]
    assert (np.diff(sizes) > 0).all()


def test_the_slope_of_tanh_is_that_of_the_sigmoid(rng):
    """tanh(z) = 2σ(2z) − 1, so tanh'(z) = 4σ'(2z), at most 1."""
    z, one = rng.normal(scale=3, size=(1, 500)), np.ones((1, 500))

    def slope(name, z):
        z = np.ascontiguousarray(z)
        return fl.ops.dense_backward(one, np.ones((1, 1)), getattr(fl.ops, name)(z), one, name)[2]

    np.testing.assert_allclose(fl.ops.tanh(z), 2 * fl.ops.sigmoid(2 * z) - 1, rtol=0, atol=2e-15)
    np.testing.assert_allclose(slope("tanh", z), 4 * slope("sigmoid", 2 * z), rtol=0, atol=4e-15)
    assert slope("tanh", np.zeros((1, 500)))[0] == 1.0
