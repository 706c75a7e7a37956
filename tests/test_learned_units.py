"""Units that learn their activation: PReLU and Maxout."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits

ROWS, INPUTS = 60, 5


def maxout(kernel, bias=None, pieces=2, dtype="float64"):
    """A model that is one Maxout layer with these weights (inputs, pieces·units)."""
    layer = fl.Maxout(kernel.shape[1] // pieces, pieces, use_bias=bias is not None)
    model = fl.Model([fl.Input(kernel.shape[0]), layer], seed=0, dtype=dtype)
    model.set_weights([kernel] if bias is None else [kernel, bias])
    return model


def dense(kernel, activation, dtype="float64"):
    layers = [fl.Input(kernel.shape[0]), fl.Dense(kernel.shape[1], activation, use_bias=False)]
    model = fl.Model(layers, seed=0, dtype=dtype)
    model.set_weights([kernel])
    return model


# --- PReLU ---


@pytest.mark.parametrize("shared", [False, True])
def test_prelu_is_that_of_torch(shared, rng):
    torch = pytest.importorskip("torch")
    model = fl.Model(
        [fl.Input(INPUTS), fl.Dense(INPUTS), fl.PReLU(initial=0.3, shared=shared)], seed=0, dtype="float64"
    )
    model.compile(fl.SGD(0.1), "mse")
    kernel, bias, slope = (torch.tensor(w, requires_grad=True) for w in model.get_weights())
    optimizer = torch.optim.SGD([kernel, bias, slope], 0.1)
    for _ in range(10):
        x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, INPUTS))
        z = torch.nn.functional.prelu(torch.tensor(x) @ kernel + bias, slope)
        loss = torch.nn.functional.mse_loss(z, torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        ours, gradients = model.loss_and_gradients(x, y)
        assert ours == pytest.approx(loss.item(), rel=1e-13)
        for g, p in zip(gradients, (kernel, bias, slope), strict=True):
            np.testing.assert_allclose(g, p.grad.numpy(), rtol=1e-11, atol=1e-14)
        optimizer.step()
        model.train_on_batch(x, y)
    np.testing.assert_allclose(model.layers[2].slope, slope.detach().numpy(), rtol=1e-11)


def test_prelu_of_a_fixed_slope_is_leaky_relu(rng):
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 2))
    prelu, leaky = (
        fl.Model([fl.Input(INPUTS), fl.Dense(33), layer, fl.Dense(2)], seed=3, dtype="float64")
        for layer in (fl.PReLU(initial=0.01), fl.Activation("leaky_relu"))
    )
    prelu.layers[2].trainable = False

    def others(model):
        return model.get_weights()[:2] + model.get_weights()[-2:]

    leaky.set_weights(others(prelu))
    for model in (prelu, leaky):
        model.compile("adam", "mse")
        model.fit(x, y, epochs=3)
    for a, b in zip(others(prelu), others(leaky), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_weight_decay_leaves_slopes_alone(rng):
    """Also within a Residual; a group of one's own changes that."""
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, INPUTS))
    ends = {}
    for decay in (0.0, 0.5):
        first, within, last = (fl.PReLU(initial=-0.5) for _ in range(3))
        layers = [fl.Input(INPUTS), first, fl.Residual([within, fl.Dense(INPUTS)]), last]
        model = fl.Model(layers, seed=0, dtype="float64")
        model.layers[3].group = None
        model.compile(fl.AdamW(0.1, weight_decay=decay), "mse")
        model.train_on_batch(x, y)
        ends[decay] = model.get_weights()
    slope, inner, kernel, _, ordinary = range(5)
    assert_same_bits(ends[0.0][slope : inner + 1], ends[0.5][slope : inner + 1])
    np.testing.assert_allclose(ends[0.5][ordinary], ends[0.0][ordinary] + 0.05 * 0.5, rtol=1e-12)
    assert (ends[0.5][kernel] != ends[0.0][kernel]).any()


# --- Maxout ---


def test_two_pieces_make_relu_the_absolute_value_and_leaky_relu(rng):
    x, w = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(INPUTS, 21))
    for dtype in ("float32", "float64"):
        z = dense(w, None, dtype).predict(x)
        assert_same_bits([maxout(np.hstack([w, 0 * w]), dtype=dtype).predict(x)], [np.maximum(z, 0)])
        assert_same_bits([maxout(np.hstack([w, -w]), dtype=dtype).predict(x)], [np.abs(z)])
        assert_same_bits(
            [maxout(np.hstack([w, 0 * w]), dtype=dtype).predict(x) + np.zeros((), dtype)],
            [dense(w, "relu", dtype).predict(x) + np.zeros((), dtype)],
        )
        slope = 2.0**-7  # a power of two multiplies exactly
        leaky = np.where(z < 0, slope * z, z).astype(dtype)
        assert_same_bits([maxout(np.hstack([w, slope * w]), dtype=dtype).predict(x)], [leaky])


def test_one_piece_is_dense(rng):
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 2))
    weights = []
    for layer in (fl.Maxout(21, pieces=1), fl.Dense(21)):
        model = fl.Model([fl.Input(INPUTS), layer, fl.Dense(2)], seed=3)
        model.compile("adam", "mse")
        model.fit(x, y, epochs=3)
        weights.append(model.get_weights())
    assert_same_bits(*weights)


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 8])
def test_of_one_number_it_is_convex_with_few_kinks(pieces, rng):
    """Piecewise linear: second differences are 0 but at pieces - 1 places at most, and never below 0."""
    grid = np.arange(-4096, 4097)[:, None] / 512.0
    units = 20
    kernel = rng.integers(-64, 64, size=(1, pieces * units)) / 16.0  # multiples: all sums are exact
    bias = rng.integers(-64, 64, size=pieces * units) / 16.0
    curve = maxout(kernel, bias, pieces).predict(grid)
    second = np.diff(curve, 2, axis=0)
    assert second.min() >= 0
    slopes = np.diff(curve, axis=0)
    kinks = [len(np.unique(slopes[:, u])) for u in range(units)]
    # a kink between two points of the grid shows a slope between those of its pieces
    assert max(kinks) <= pieces + (pieces - 1)
    own = [len(set(slopes[:, u] * 512) & set(kernel[0, u::units])) for u in range(units)]
    assert max(own) <= pieces
    assert pieces < 3 or max(own) >= 3


def test_the_first_of_equal_pieces_takes_the_gradient(rng):
    w = rng.normal(size=(INPUTS, 4))
    model = maxout(np.hstack([w, w, w]), np.zeros(12), pieces=3)
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 4))
    _, (kernel, bias) = model.loss_and_gradients(x, y)
    delta = 2 * (x @ w - y) / y.size
    np.testing.assert_allclose(kernel[:, :4], x.T @ delta, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(bias[:4], delta.sum(axis=0), rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(kernel[:, 4:], 0)
    np.testing.assert_array_equal(bias[4:], 0)


def test_only_the_winning_piece_gets_a_gradient(rng):
    units, pieces = 7, 3
    kernel, bias = rng.normal(size=(INPUTS, units * pieces)), rng.normal(size=units * pieces)
    model = maxout(kernel, bias, pieces)
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, units))
    z = (x @ kernel + bias).reshape(ROWS, pieces, units)
    wins = z.argmax(axis=1)[:, None] == np.arange(pieces)[None, :, None]
    delta = (wins * (2 * (z.max(axis=1) - y) / y.size)[:, None]).reshape(ROWS, -1)
    _, gradients = model.loss_and_gradients(x, y)
    np.testing.assert_allclose(gradients[0], x.T @ delta, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(gradients[1], delta.sum(axis=0), rtol=1e-10, atol=1e-14)


def test_the_winning_pieces_are_a_thinner_linear_network(rng):
    """Without biases the network is, for one row, the product of the kernels of the pieces that won."""
    units, pieces = (9, 7), 3
    layers = [fl.Maxout(n, pieces, use_bias=False) for n in units]
    model = fl.Model([fl.Input(INPUTS), *layers, fl.Dense(4, use_bias=False)], seed=1, dtype="float64")
    x = rng.normal(size=(ROWS, INPUTS))
    for row, out in zip(x, model.predict(x), strict=True):
        product, z = np.eye(INPUTS), row
        for kernel, n in zip(model.get_weights(), units, strict=False):
            each = (z @ kernel).reshape(pieces, n)
            won = each.argmax(axis=0) * n + np.arange(n)
            product, z = product @ kernel[:, won], each.max(axis=0)
        np.testing.assert_allclose(row @ product @ model.get_weights()[-1], out, rtol=0, atol=3.6e-14)


def test_maxout_learns_a_convex_function_that_dense_cannot(rng):
    x = rng.uniform(-1, 1, size=(500, 1))
    y = np.abs(x) + x**2
    losses = []
    for layer in (fl.Maxout(1, 4), fl.Dense(1)):
        model = fl.Model([fl.Input(1), layer], seed=0)
        model.compile(fl.Adam(0.02), "mse")
        losses.append(model.fit(x, y, epochs=60).history["loss"][-1])
    assert losses[0] < 0.01
    assert losses[1] > 0.1
