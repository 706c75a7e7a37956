"""Residual blocks: against torch, with dropout of their own, nested, in every place of a model."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses

WIDTH, ROWS = 21, 50


def built(layers, seed=0, dtype="float64", rule="sgd"):
    model = fl.Model([fl.Input(WIDTH), *layers], seed=seed, dtype=dtype)
    model.compile(rule, "mse")
    return model


def test_a_network_of_blocks_is_that_of_torch(rng):
    torch = pytest.importorskip("torch")
    inner = [fl.Dense(30, "relu"), fl.Residual([fl.Dense(30, "tanh")]), fl.Dense(WIDTH)]
    model = built([fl.Dense(WIDTH, "relu"), fl.Residual(inner), fl.Residual([fl.Dense(WIDTH)]), fl.Dense(3)])
    model.compile(fl.Adam(0.01), "mse")
    p = [torch.tensor(w, requires_grad=True) for w in model.get_weights()]

    def net(x):
        f = torch.nn.functional
        x = f.relu(x @ p[0] + p[1])
        h = f.relu(x @ p[2] + p[3])
        h = h + torch.tanh(h @ p[4] + p[5])
        x = x + h @ p[6] + p[7]
        x = x + x @ p[8] + p[9]
        return x @ p[10] + p[11]

    optimizer = torch.optim.Adam(p, 0.01, eps=1e-8)
    for _ in range(10):
        x, y = rng.normal(size=(ROWS, WIDTH)), rng.normal(size=(ROWS, 3))
        np.testing.assert_allclose(model.predict(x), net(torch.tensor(x)).detach(), rtol=1e-10, atol=1e-12)
        loss = torch.nn.functional.mse_loss(net(torch.tensor(x)), torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        for ours, parameter in zip(model.loss_and_gradients(x, y)[1], p, strict=True):
            np.testing.assert_allclose(ours, parameter.grad.numpy(), rtol=1e-8, atol=1e-12)
        optimizer.step()
        assert model.train_on_batch(x, y) == pytest.approx(loss.item(), rel=1e-11)


def test_a_block_of_zeros_is_no_block(rng):
    x, y = rng.normal(size=(ROWS, WIDTH)), rng.normal(size=(ROWS, 3))
    outputs = []
    for block in ([fl.Residual([fl.Dense(WIDTH, kernel_initializer="zeros")])], []):
        model = built([fl.Dense(WIDTH, "tanh"), *block, fl.Dense(3)], dtype="float32")
        model.set_weights([*model.get_weights()[:-2], np.ones((WIDTH, 3)), np.zeros(3)])
        kernel, bias = model.loss_and_gradients(x, y)[1][:2]
        outputs.append([model.predict(x), kernel, bias])
    assert_same_bits(*outputs)


def test_a_block_of_nothing_doubles(rng):
    x = rng.normal(size=(ROWS, WIDTH))
    model = built([fl.Residual([fl.Residual([fl.Activation("linear")])])])
    np.testing.assert_array_equal(model.predict(x), 3 * x)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_gradient_reaches_below_through_any_number_of_blocks(depth, rng):
    """A dead ReLU within nested blocks leaves as many times x as there are blocks, forward and back."""
    dead = [fl.Dense(WIDTH, "relu", bias_initializer=fl.initializers.Constant(-1e6))]
    block = dead
    for _ in range(depth):
        block = [fl.Residual(block)]
    x, y = rng.normal(size=(ROWS, WIDTH)), rng.normal(size=(ROWS, 3))
    with_blocks, without = (built([fl.Dense(WIDTH), *b, fl.Dense(3)]) for b in (block, []))
    below, bias, last, last_bias = without.get_weights()
    with_blocks.set_weights([below, bias, *with_blocks.get_weights()[2:4], last / depth, last_bias])
    np.testing.assert_allclose(with_blocks.predict(x), without.predict(x), rtol=1e-11, atol=1e-13)
    ours, expected = with_blocks.loss_and_gradients(x, y)[1], without.loss_and_gradients(x, y)[1]
    for g, e in zip((*ours[:2], ours[4] / depth, ours[5]), expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-10, atol=1e-13)
    np.testing.assert_array_equal(ours[2], 0)


def test_dropouts_within_a_block_draw_masks_of_their_own(rng):
    """x + m1 x + ... : with x = 1 the output tells how many of a unit's three masks kept it."""
    n = 4000
    block = fl.Residual([fl.Dropout(0.5), fl.Residual([fl.Dropout(0.5)])])
    model = fl.Model(
        [fl.Input(n), block, fl.Dropout(0.5), fl.Dense(1, use_bias=False)], seed=0, dtype="float64"
    )
    model.compile(fl.SGD(1.0), "mse")
    model.set_weights([np.zeros((n, 1))])
    model.train_on_batch(np.ones((1, n)), [[0.5]])  # the weight becomes the output
    out = model.get_weights()[0][:, 0]
    # with masks a, b, c of 0 and 2: (1 + a + a b) c
    share = {v: (out == v).mean() for v in np.unique(out)}
    expected = {0.0: 0.5, 2.0: 0.25, 6.0: 0.125, 14.0: 0.125}
    assert set(share) == set(expected)
    for value, p in expected.items():
        assert abs(share[value] - p) < 4 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("batch", [64, 5000])
def test_threads_do_not_change_a_bit(batch, rng):
    x, y = rng.normal(size=(11000 if batch > 64 else 300, WIDTH)), rng.normal(size=WIDTH)
    y = x @ y[:, None]
    results = []
    for n in (1, 2, 3):
        with fl.threads(n):
            first, second = (
                [fl.Dense(60, "relu"), fl.Dropout(0.2), fl.DropConnect(WIDTH, 0.3), fl.Dropout(0.2)]
                for _ in range(2)
            )
            layers = [fl.Residual(first), fl.Residual([fl.PReLU(), *second]), fl.Dense(1)]
            model = built(layers, dtype="float32")
            model.compile("adam", "mse")
            losses = model.fit(x, y, batch_size=batch, epochs=2).history["loss"]
            results.append([*model.get_weights(), model.predict(x), np.array(losses)])
    for result in results[1:]:
        assert_same_bits(result, results[0])


def test_layers_of_a_block_read_and_assign_weights(rng):
    model = built([fl.Residual([fl.Dense(5), fl.Residual([fl.PReLU()]), fl.Dense(WIDTH)])])
    block = model.layers[1]
    value = rng.normal(size=(WIDTH, 5))
    block.layers[0].kernel = value
    np.testing.assert_array_equal(model.get_weights()[0], value)
    block.layers[1].layers[0].slope = np.full(5, 0.75)
    np.testing.assert_array_equal(model.get_weights()[2], 0.75)
    names = ["0.kernel", "0.bias", "1.0.slope", "2.kernel", "2.bias"]
    np.testing.assert_array_equal(block.get_parameter(names[0]), value)
    with refuses(ValueError, rf"kernel does not exist; expected one of \['{names[0]}'"):
        block.get_parameter("kernel")


def test_initial_weights_look_at_the_activation_that_follows_within():
    n = 300
    block = fl.Residual([fl.Dense(n), fl.Activation("relu"), fl.Dense(n)])
    he, _, glorot, _ = fl.Model([fl.Input(n), block], seed=0).get_weights()
    assert he.var() == pytest.approx(2 / n, rel=0.05)
    assert glorot.var() == pytest.approx(1 / n, rel=0.05)


def test_a_block_that_changes_the_width_is_refused():
    with refuses(ValueError, "Residual: layers take 21 numbers and put out 20; expected as many out as in"):
        built([fl.Residual([fl.Dense(20)])])


def test_layers_may_come_from_a_generator():
    model = built([fl.Residual(fl.Dense(WIDTH) for _ in range(3))])
    assert len(model.layers[1].layers) == 3
    assert len(model.get_weights()) == 6
