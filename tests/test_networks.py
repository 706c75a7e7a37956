"""Whole networks against independent ones: NumPy twins, torch, published softmax regression."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from cases.optimizers import VARIANTS, label
from twins import losses
from twins.network import Dense, central_differences, train

TWINS = {
    "mse": losses.mse,
    "cross_entropy": losses.cross_entropy,
    "binary_cross_entropy": losses.binary_cross_entropy,
}
LAST = {"mse": "linear", "cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}


def random_network(seed):
    """(model, twin, x, labels, dense targets) of random depth, widths, activations and loss."""
    rng = np.random.default_rng(seed)
    loss = rng.choice(list(TWINS))
    widths = rng.integers(1, 40, rng.integers(1, 5))
    names = [*rng.choice(["relu", "sigmoid", "tanh", "linear"], len(widths)), LAST[loss]]
    outputs = int(rng.integers(2, 12))
    inputs, rows = int(rng.integers(1, 30)), int(rng.integers(1, 50))
    units = [*widths.tolist(), outputs]
    layers = [
        fl.Dense(u, activation=str(a), bias_initializer="uniform") for u, a in zip(units, names, strict=True)
    ]
    model = fl.Model([fl.Input(inputs), *layers], seed=int(seed), dtype="float64")
    model.compile(fl.SGD(0.1), str(loss))
    x = rng.normal(size=(rows, inputs))
    if loss == "mse":
        labels = target = rng.normal(size=(rows, outputs))
    elif loss == "cross_entropy":
        labels = rng.integers(0, outputs, rows)
        target = losses.one_hot(labels, outputs)
    else:
        labels = target = rng.integers(0, 2, (rows, outputs)).astype(float)
    return model, Dense([str(a) for a in names]), x, labels, target


@pytest.mark.parametrize("seed", range(12))
def test_gradients_of_random_networks(seed):
    """Against the NumPy twin to 1e-10 and against central differences to 1e-6."""
    model, twin, x, labels, target = random_network(seed)
    weights = model.get_weights()
    loss, gradients = model.loss_and_gradients(x, labels)
    expected, by_twin = twin.loss_and_gradients(weights, x, target, TWINS[model.loss.name])
    assert loss == pytest.approx(expected, rel=1e-10)
    for g, t in zip(gradients, by_twin, strict=True):
        np.testing.assert_allclose(g, t, rtol=1e-9, atol=1e-12)
    numerical = central_differences(
        lambda: twin.loss_and_gradients(weights, x, target, TWINS[model.loss.name])[0], weights[:2]
    )
    for g, n in zip(gradients[:2], numerical, strict=True):
        np.testing.assert_allclose(g, n, rtol=1e-6, atol=1e-7)


@pytest.fixture
def torch():
    """torch on one thread, whose team would fight ours for the cores, and in double: NAdam keeps a product in it."""
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(module.float32)


def torch_network(torch, model, names):
    """The same network in torch, as a function of its parameters."""
    weights = [torch.tensor(w, requires_grad=True) for w in model.get_weights()]
    functions = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}

    def loss(x, labels):
        a = torch.tensor(x)
        for i, name in enumerate(names):
            a = a @ weights[2 * i] + weights[2 * i + 1]
            a = functions[name](a) if name in functions and i < len(names) - 1 else a
        f = torch.nn.functional
        if model.loss.name == "mse":
            return f.mse_loss(a, torch.tensor(labels))
        if model.loss.name == "cross_entropy":
            return f.cross_entropy(a, torch.tensor(labels))
        return f.binary_cross_entropy_with_logits(a, torch.tensor(labels))

    return weights, loss


@pytest.mark.parametrize("seed", range(100, 108))
def test_gradients_agree_with_torch(seed, torch):
    model, twin, x, labels, _ = random_network(seed)
    weights, torch_loss = torch_network(torch, model, twin.names)
    value = torch_loss(x, labels)
    value.backward()
    loss, gradients = model.loss_and_gradients(x, labels)
    assert loss == pytest.approx(value.item(), rel=1e-10)
    for g, w in zip(gradients, weights, strict=True):
        np.testing.assert_allclose(g, w.grad.numpy(), rtol=1e-9, atol=1e-12)


# (ours, torch's name and arguments); all rules meet their peers on plain arrays in test_optimizer_peers.py
PEERS = [
    (fl.SGD(0.1), "SGD", {"lr": 0.1}),
    (fl.SGD(0.05, momentum=0.9, nesterov=True), "SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (fl.RMSProp(0.01), "RMSprop", {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}),
    (fl.AdaGrad(0.1), "Adagrad", {"lr": 0.1, "eps": 1e-10}),
    (fl.AdaDelta(), "Adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-6}),
    (fl.Adam(0.01, amsgrad=True, l2=0.1), "Adam", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1}),
    (fl.AdamW(0.01, weight_decay=0.1), "AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    (fl.NAdam(0.01), "NAdam", {"lr": 0.01}),
]


@pytest.mark.parametrize("ours, name, arguments", PEERS, ids=lambda v: v if isinstance(v, str) else "")
def test_fifty_steps_agree_with_torch(ours, name, arguments, torch):
    model, twin, x, labels, _ = random_network(203)
    model.compile(ours, model.loss.name)
    weights, torch_loss = torch_network(torch, model, twin.names)
    optimizer = getattr(torch.optim, name)(weights, **arguments)
    for _ in range(50):
        optimizer.zero_grad()
        value = torch_loss(x, labels)
        value.backward()
        optimizer.step()
        assert model.train_on_batch(x, labels) == pytest.approx(value.item(), rel=1e-8)
    for w, theirs in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(w, theirs.detach().numpy(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("case, options", VARIANTS, ids=label)
def test_training_follows_the_twin(case, options, rng):
    """Two epochs in file order, with a short last batch."""
    names = ["tanh", "sigmoid", "softmax"]
    units = (9, 17, 5)
    layers = [fl.Dense(u, activation=a) for u, a in zip(units, names, strict=True)]
    model = fl.Model([fl.Input(6), *layers], seed=8, dtype="float64")
    model.compile(case.make(**options), "cross_entropy")
    start = model.get_weights()
    x, labels = rng.normal(size=(50, 6)), rng.integers(0, 5, 50)
    target = losses.one_hot(labels, 5)
    batches = [(x[i : i + 16], target[i : i + 16]) for i in range(0, 50, 16)] * 2
    model.fit(x, labels, batch_size=16, epochs=2, shuffle=False)
    expected = train(Dense(names), start, batches, losses.cross_entropy, case.twin, **options)
    for w, e in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(w, e, rtol=0, atol=1e-10)


@pytest.mark.parametrize("rate, epochs", [(0.2, 21), (1.0, 100)])
def test_softmax_regression_with_squared_error_on_digits(rate, epochs):
    """scikit-learn's digits / 16: 1437 rows to train on, in batches of 50 in file order, no short one."""
    x, y = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    x, one_hot = x / 16.0, np.eye(10)[y]
    model = fl.Model(
        [fl.Input(64), fl.Dense(10, activation="softmax", kernel_initializer="zeros")], dtype="float64"
    )
    model.compile(fl.SGD(rate), "mse", metrics=["accuracy"])
    model.fit(x[:1400], one_hot[:1400], batch_size=50, epochs=epochs, shuffle=False)
    on_train, on_test = (model.evaluate(x[part], one_hot[part]) for part in (slice(1437), slice(1437, None)))
    if epochs == 21:
        assert on_train["loss"] == pytest.approx(0.076607825961, abs=5e-12)
        assert on_test["accuracy"] == pytest.approx(0.7, abs=1e-9)
    else:
        assert on_train["loss"] == pytest.approx(0.008048298542, abs=5e-12)
        assert on_train["accuracy"] == pytest.approx(0.967989, abs=5e-7)
        assert on_test["loss"] == pytest.approx(0.018396451755, abs=5e-12)
        assert on_test["accuracy"] == pytest.approx(0.891667, abs=5e-7)
