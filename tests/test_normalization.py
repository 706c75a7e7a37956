"""Batch and layer normalisation against torch, and what is theirs alone: moving averages, whole batches, freezing."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits

INPUTS, ROWS = 19, 40


def normalised(layer, seed=0, dtype="float64", outputs=3):
    layers = [fl.Input(INPUTS), fl.Dense(INPUTS, "tanh"), layer, fl.Dense(outputs)]
    model = fl.Model(layers, seed=seed, dtype=dtype)
    model.compile(fl.SGD(0.1), "mse")
    return model


def torch_twin(torch, model, norm):
    """The same network in torch, with gamma and beta as its weight and bias."""
    k0, b0, gamma, beta, k1, b1 = (
        torch.tensor(w) for w in [*model.get_weights()[:4], *model.get_weights()[-2:]]
    )
    first, last = torch.nn.Linear(*k0.shape).double(), torch.nn.Linear(*k1.shape).double()
    with torch.no_grad():
        for parameter, value in (
            (first.weight, k0.T), (first.bias, b0), (norm.weight, gamma), (norm.bias, beta),
            (last.weight, k1.T), (last.bias, b1),
        ):  # fmt: skip
            parameter.copy_(value)
    return torch.nn.Sequential(first, torch.nn.Tanh(), norm, last)


def torch_step(torch, net, x, y):
    """Loss, gradients in fallline's order and shapes, after one step of descent."""
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    loss = torch.nn.functional.mse_loss(net(torch.tensor(x)), torch.tensor(y))
    optimizer.zero_grad()
    loss.backward()
    gradients = [p.grad.T.numpy().copy() if p.ndim == 2 else p.grad.numpy().copy() for p in net.parameters()]
    optimizer.step()
    return loss.item(), gradients


@pytest.mark.parametrize("momentum, epsilon", [(0.9, 1e-5), (0.0, 1e-3), (0.99, 0.1)])
def test_batch_normalization_is_that_of_torch(momentum, epsilon, rng):
    torch = pytest.importorskip("torch")
    model = normalised(fl.BatchNormalization(momentum=momentum, epsilon=epsilon))
    layer = model.layers[2]
    layer.gamma, layer.beta = rng.uniform(0.5, 2, INPUTS), rng.normal(size=INPUTS)
    norm = torch.nn.BatchNorm1d(INPUTS, eps=epsilon, momentum=1 - momentum).double()
    net = torch_twin(torch, model, norm)
    variance = np.ones(INPUTS)
    for _ in range(5):
        x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 3))
        biased = net[:2](torch.tensor(x)).detach().numpy().var(axis=0)  # torch keeps the unbiased one
        variance = momentum * variance + (1 - momentum) * biased
        _, gradients = model.loss_and_gradients(x, y)
        loss, expected = torch_step(torch, net, x, y)
        assert model.train_on_batch(x, y) == pytest.approx(loss, rel=1e-12)
        for ours, theirs in zip(gradients[:4] + gradients[6:], expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.moving_mean, norm.running_mean.numpy(), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-10, atol=1e-13)
    norm.running_var.copy_(torch.tensor(variance))
    net.eval()
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(x), net(torch.tensor(x)).numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_layer_normalization_is_that_of_torch(epsilon, rng):
    torch = pytest.importorskip("torch")
    model = normalised(fl.LayerNormalization(epsilon=epsilon))
    model.layers[2].gamma, model.layers[2].beta = rng.uniform(0.5, 2, INPUTS), rng.normal(size=INPUTS)
    net = torch_twin(torch, model, torch.nn.LayerNorm(INPUTS, eps=epsilon).double())
    for _ in range(5):
        x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 3))
        with torch.no_grad():
            np.testing.assert_allclose(model.predict(x), net(torch.tensor(x)).numpy(), rtol=1e-11, atol=1e-13)
        _, gradients = model.loss_and_gradients(x, y)
        loss, expected = torch_step(torch, net, x, y)
        assert model.train_on_batch(x, y) == pytest.approx(loss, rel=1e-12)
        for ours, theirs in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_batch_is_normalised_as_a_whole(rng):
    """Beyond the rows that the core takes at once without the layer, as the loss and the averages show."""
    x, y = rng.normal(2, 3, size=(10000, INPUTS)), rng.normal(size=(10000, INPUTS))
    model = fl.Model([fl.Input(INPUTS), fl.BatchNormalization(momentum=0.0)], seed=0, dtype="float64")
    model.compile(fl.SGD(0.0), "mse")
    normal = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3)
    assert model.train_on_batch(x, y) == pytest.approx(((normal - y) ** 2).mean(), rel=1e-12)
    np.testing.assert_allclose(model.layers[1].moving_mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.layers[1].moving_variance, x.var(axis=0), rtol=1e-11)


@pytest.mark.parametrize("rows, batch", [(300, 64), (11000, 5000)])
def test_threads_do_not_change_a_bit(rows, batch, rng):
    x, y = rng.normal(size=(rows, INPUTS)), rng.normal(size=(rows, 3))
    results = []
    for n in (1, 2, 3):
        with fl.threads(n):
            model = fl.Model(
                [fl.Input(INPUTS), fl.Dense(70, "tanh"), fl.BatchNormalization(), fl.Dense(50, "relu"),
                 fl.Residual([fl.LayerNormalization(), fl.BatchNormalization()]), fl.Dense(3)],
                seed=0,
            )  # fmt: skip
            model.compile("adam", "mse")
            model.fit(x, y, batch_size=batch, epochs=2)
            results.append([*model.get_weights(), model.predict(x)])
    for result in results[1:]:
        assert_same_bits(result, results[0])


def test_shifts_and_scales_of_the_input_do_not_matter(rng):
    """y is the same for a x + b of a column or of a row, but for epsilon."""
    x = rng.normal(size=(ROWS, INPUTS))
    for layer, axis in (
        (fl.BatchNormalization(momentum=0.0, epsilon=1e-12), 0),
        (fl.LayerNormalization(epsilon=1e-12), 1),
    ):
        outputs = []
        shape = (1, INPUTS) if axis == 0 else (ROWS, 1)
        for a, b in ((1.0, 0.0), (rng.uniform(0.5, 3, shape), rng.normal(size=shape))):
            model = fl.Model([fl.Input(INPUTS), layer], seed=0, dtype="float64")
            model.compile(fl.SGD(0.0), "mse")
            model.train_on_batch(a * x + b, np.zeros((ROWS, INPUTS)))
            outputs.append(model.predict(a * x + b))
        np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-9)
        np.testing.assert_allclose(outputs[0].mean(axis=axis), 0, atol=1e-12)
        np.testing.assert_allclose(outputs[0].var(axis=axis), 1, rtol=1e-9)


@pytest.mark.parametrize("rows", [1, 2])
def test_constant_columns_and_single_rows_are_finite(rows):
    for layer in (fl.BatchNormalization(), fl.LayerNormalization()):
        model = fl.Model([fl.Input(3), layer, fl.Dense(1)], seed=0)
        model.compile("sgd", "mse")
        model.fit(np.full((rows, 3), 7.0), np.ones((rows, 1)), epochs=3)
        assert all(np.isfinite(w).all() for w in model.get_weights())


def test_moments_do_not_drown_in_a_large_mean(rng):
    """Float32 rows around 1000: the moments come from differences, not from squares of large numbers."""
    x = (1000 + rng.normal(size=(4000, INPUTS))).astype(np.float32)
    for layer, axis in ((fl.BatchNormalization(momentum=0.0), 0), (fl.LayerNormalization(), 1)):
        model = fl.Model([fl.Input(INPUTS), layer], seed=0)
        model.compile(fl.SGD(0.0), "mse")
        model.train_on_batch(x, np.zeros_like(x))
        wide = x.astype(np.float64)
        normal = wide - wide.mean(axis=axis, keepdims=True)
        normal /= np.sqrt(wide.var(axis=axis, keepdims=True) + 1e-3)
        np.testing.assert_allclose(model.predict(x), normal, atol=2e-3)


def test_only_updates_move_the_averages(rng):
    model = normalised(fl.BatchNormalization(momentum=0.5))
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 3))
    before = model.get_weights()
    model.predict(x)
    model.evaluate(x, y)
    model.loss_and_gradients(x, y)
    with pytest.raises(fl.NonFiniteLoss, match="first in the data"):
        model.train_on_batch(np.full_like(x, np.nan), y)
    assert_same_bits(model.get_weights(), before)
    model.train_on_batch(x, y)
    moved = [(a != b).all() for a, b in zip(model.get_weights()[4:6], before[4:6], strict=True)]
    assert moved == [True, True]


def test_training_and_prediction_agree_once_the_averages_have_settled(rng):
    model = normalised(fl.BatchNormalization(momentum=0.5))
    model.compile(fl.SGD(0.0), "mse")
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 3))
    for _ in range(60):
        loss = model.train_on_batch(x, y)
    assert model.evaluate(x, y)["loss"] == pytest.approx(loss, rel=1e-12)


def test_a_frozen_layer_normalises_by_its_averages(rng):
    """In training as in prediction: it is then the affine map that prediction knows, and stays as it is."""
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 3))
    model = normalised(fl.BatchNormalization(momentum=0.5))
    model.fit(x, y, batch_size=8, epochs=2)
    layer = model.layers[2]
    layer.trainable = False
    model.compile(fl.SGD(0.1), "mse")
    kept = model.get_weights()[2:6]
    assert model.loss_and_gradients(x, y)[0] == pytest.approx(model.evaluate(x, y)["loss"], rel=1e-13)

    scale = layer.gamma / np.sqrt(layer.moving_variance + 1e-3)
    diagonal = fl.Dense(INPUTS)
    twin = fl.Model(
        [fl.Input(INPUTS), fl.Dense(INPUTS, "tanh"), diagonal, fl.Dense(3)], seed=0, dtype="float64"
    )
    twin.layers[2].trainable = False
    twin.compile(fl.SGD(0.1), "mse")
    weights = model.get_weights()
    offset = layer.beta - layer.moving_mean * scale
    twin.set_weights([*weights[:2], np.diag(scale), offset, *weights[6:]])
    for m in (model, twin):
        m.fit(x, y, batch_size=8, epochs=2, shuffle=False)
    assert_same_bits(model.get_weights()[2:6], kept)
    for i, j in ((0, 0), (1, 1), (6, 4), (7, 5)):
        np.testing.assert_allclose(model.get_weights()[i], twin.get_weights()[j], rtol=1e-10, atol=1e-12)

    layer.trainable = True
    model.compile(fl.SGD(0.1), "mse")
    model.fit(x, y, batch_size=8)
    assert all((a != b).any() for a, b in zip(model.get_weights()[2:6], kept, strict=True))


def test_normalisation_does_not_see_sample_weights(rng):
    x, y = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, INPUTS))
    weight = rng.uniform(0, 2, ROWS)
    model = fl.Model([fl.Input(INPUTS), fl.BatchNormalization(momentum=0.0)], seed=0, dtype="float64")
    model.compile(fl.SGD(0.0), "mse")
    model.train_on_batch(x, y, sample_weight=weight)
    np.testing.assert_allclose(model.layers[1].moving_mean, x.mean(axis=0), rtol=1e-12, atol=1e-14)


def test_a_name_that_is_not_learned_does_not_exist():
    model = fl.Model([fl.Input(2), fl.LayerNormalization(scale=False)])
    with pytest.raises(
        ValueError, match=r"LayerNormalization: gamma does not exist; expected one of \['beta'\]"
    ):
        model.layers[1].gamma  # noqa: B018
