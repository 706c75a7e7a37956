"""Sums over the rows of large batches: exact to the last digits, in one order on every route."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses, unchanged

PIECE = 1120  # rows that are summed one after the other
INPUTS, CATEGORIES = 6, 5


class Half(fl.Layer):
    """Works on rows alone, but the core cannot know."""

    def forward(self, x, training):
        return x * x.dtype.type(0.5)

    def backward(self, gradient):
        return gradient * gradient.dtype.type(0.5)


def half_squared(y_true, y_pred):
    error = y_pred - y_true
    return (error**2).sum(axis=1) / 2, error


NETWORKS = {
    "dense": lambda: [fl.Dense(20, "relu"), fl.Dense(7, "tanh")],
    "normalised": lambda: [fl.Dense(9), fl.LayerNormalization()],
    "slopes": lambda: [fl.Dense(40), fl.PReLU(), fl.Dense(35), fl.PReLU(shared=True)],
    "embedding": lambda: [fl.Embedding(CATEGORIES, 3), fl.Dense(4, "tanh")],
    "maxout": lambda: [fl.Maxout(5), fl.Residual([fl.Dense(5, "sigmoid")])],
    "masked": lambda: [fl.DropConnect(8, rate=0.3)],
    "own": lambda: [fl.Dense(6, "relu"), Half()],
}
networks = pytest.mark.parametrize("name", NETWORKS)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def network(name, dtype="float32", optimizer=None, loss="mse"):
    model = fl.Model([fl.Input(INPUTS), *NETWORKS[name](), fl.Dense(2)], seed=5, dtype=dtype)
    model.compile(optimizer or fl.SGD(0.1), loss)
    return model


def data(rng, rows):
    """Rows and targets whose gradients do not cancel."""
    x = rng.normal(0.5, size=(rows, INPUTS)).astype(np.float32)
    x[:, 0] = rng.integers(0, CATEGORIES, rows)
    return x, rng.normal(3, size=(rows, 2)).astype(np.float32)


def pieces(rows):
    return [slice(i, min(i + PIECE, rows)) for i in range(0, rows, PIECE)]


def tree(sums):
    """The left subtree is the largest that is full."""
    if len(sums) == 1:
        return sums[0]
    left = 1 << (len(sums) - 1).bit_length() - 1
    return [a + b for a, b in zip(tree(sums[:left]), tree(sums[left:]), strict=True)]


@networks
@dtypes
@pytest.mark.parametrize("rows", [PIECE, PIECE + 1, 3 * PIECE - 7, 4096, 4097, 7 * PIECE + 1])
def test_a_gradient_is_a_tree_of_pieces(name, dtype, rows, rng):
    x, y = data(rng, rows)
    loss = fl.FunctionLoss(half_squared, reduction="sum") if name == "maxout" else fl.MSE("sum")
    model = network(name, dtype, loss=loss)
    parts = [model.loss_and_gradients(x[at], y[at])[1] for at in pieces(rows)]
    for threads in (1, 2, 3):
        with fl.threads(threads):
            assert_same_bits(model.loss_and_gradients(x, y)[1], tree(parts))


def plain_step(model, x, y):
    model.build(INPUTS)
    weights = model.get_weights()
    model.optimizer.step(weights, model.loss_and_gradients(x, y)[1])
    model.set_weights(weights)


ROUTES = {
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "stream": lambda model, x, y: model.fit([(x, y)], epochs=1),
    "partial_fit": lambda model, x, y: model.partial_fit(x, y, batch_size=len(x)),
    "fit_many": lambda model, x, y: fl.fit_many([model], x, y, batch_size=len(x), epochs=1, shuffle=False),
    "smaller batches before": lambda model, x, y: (
        model.train_on_batch(x[:0:-1], y[:0:-1]),
        model.set_weights(network("dense", model.dtype).get_weights()),
        model.train_on_batch(x, y),
    ),
    "plain arrays": plain_step,
}


@pytest.mark.parametrize("name", [*NETWORKS, "batch normalised"])
@dtypes
@pytest.mark.parametrize("rows", [PIECE, PIECE + 1, 4096, 4097, 6000])
def test_every_route_gives_the_same_bits(name, dtype, rows, rng, monkeypatch):
    monkeypatch.setitem(
        NETWORKS, "batch normalised", lambda: [fl.Dense(9), fl.BatchNormalization(), fl.Dense(3, "relu")]
    )
    x, y = data(rng, rows)
    fitted = []
    for threads in (1, 2, 3):
        with fl.threads(threads):
            for clip in (None, 1e9):  # a norm that nothing reaches, but all gradients are seen first
                fitted.append(network(name, dtype, fl.SGD(0.1, clip_norm=clip)))
                fitted[-1].fit(x, y, batch_size=rows, epochs=1, shuffle=False)
    for model in fitted[1:]:
        assert_same_bits(model.get_weights(), fitted[0].get_weights())
    for route, train in ROUTES.items():
        if (
            (route == "fit_many" and name == "own")
            or (route == "plain arrays" and name == "batch normalised")
            or (route == "smaller batches before" and name != "dense")
        ):
            continue
        model = network(name, dtype)
        train(model, x, y)
        assert_same_bits(model.get_weights(), fitted[0].get_weights())


@dtypes
def test_leaving_out_zeros_changes_no_bit(dtype, rng):
    """All rows are one batch for a layer of one's own, and pieces of their own without it."""
    x, y = data(rng, 3 * PIECE + 50)
    x[rng.random(x.shape) < 0.7] = 0
    kernels = []
    for layers, factor in (([], 0.125), ([Half()], 0.25)):
        last = fl.Dense(2, kernel_initializer=fl.initializers.Constant(factor))
        last.trainable = False
        model = fl.Model([fl.Input(INPUTS), fl.Dense(20, "tanh"), *layers, last], seed=5, dtype=dtype)
        model.compile(fl.LBFGS(), "mse")
        model.fit(x, y, epochs=3)
        kernels.append(model.layers[1].kernel)
    assert_same_bits(kernels[:1], kernels[1:])


# --- a million rows in float32, against float64 ---

MANY = 1_000_000


def assert_exact(found, expected, tolerance=3e-6):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "own"])
def test_a_million_rows_in_float32(name, rng):
    x, y = data(rng, MANY)
    _, found = network(name).loss_and_gradients(x, y)
    exact = network(name, "float64")
    exact.set_weights(network(name).get_weights())
    parts = [
        exact.loss_and_gradients(x[at], y[at])[1] for at in (slice(i, i + 1000) for i in range(0, MANY, 1000))
    ]
    assert_exact(found, [np.mean(sums, axis=0) for sums in zip(*parts, strict=True)])


@pytest.mark.parametrize("route", ["fit", "train_on_batch", "stream", "clipped", "own"])
def test_an_update_of_a_million_rows(route, rng):
    """Of a line, whose gradient is Xᵀ(Xw + b - y) 2 / n."""
    x, y = data(rng, MANY)
    layers = [Half()] if route == "own" else []
    model = fl.Model([fl.Input(INPUTS), *layers, fl.Dense(1)], seed=5, dtype="float32")
    model.compile(fl.SGD(1.0, clip_norm=1e9 if route == "clipped" else None), "mse")
    model.build(INPUTS)
    kernel, bias = (w.astype(float) for w in model.get_weights())
    if route == "train_on_batch":
        model.train_on_batch(x, y[:, :1])
    elif route == "stream":
        model.fit([(x, y[:, :1])], epochs=1)
    else:
        model.fit(x, y[:, :1], batch_size=MANY, epochs=1)
    rows = x.astype(float) * (0.5 if layers else 1)
    error = rows @ kernel + bias - y[:, :1]
    expected = [kernel - 2 * rows.T @ error / MANY, bias - 2 * error.mean(axis=0)]
    assert_exact(model.get_weights(), expected)


def test_batch_normalisation_of_a_million_rows(rng):
    x, y = data(rng, MANY)
    x += 10
    model = fl.Model([fl.Input(INPUTS), fl.BatchNormalization(momentum=0.0), fl.Dense(2)], seed=5)
    model.compile(fl.SGD(0.0), "mse")
    _, found = model.loss_and_gradients(x, y)
    gamma, beta, _, _, kernel, bias = (w.astype(float) for w in model.get_weights())
    rows = x.astype(float)
    mean, variance = rows.mean(axis=0), rows.var(axis=0)
    z = (rows - mean) / np.sqrt(variance + model.layers[1].epsilon)
    h = z * gamma + beta
    delta = (h @ kernel + bias - y) / MANY
    below = delta @ kernel.T
    expected = [(z * below).sum(axis=0), below.sum(axis=0), h.T @ delta, delta.sum(axis=0)]
    assert_exact([found[i] for i in (0, 1, 4, 5)], expected, 1e-5)
    model.fit(x, y, batch_size=MANY, epochs=1)
    assert_exact(model.get_weights()[2:4], [mean, variance])


# --- more rows than one batch may have ---

TOO_MANY = {
    "train_on_batch": (fl.SGD, lambda model, x, y: model.train_on_batch(x, y)),
    "loss_and_gradients": (fl.SGD, lambda model, x, y: model.loss_and_gradients(x, y)),
    "stream": (fl.SGD, lambda model, x, y: model.fit([(x, y)])),
    "second of a stream": (fl.SGD, lambda model, x, y: model.fit([(x[:1], y[:1]), (x, y)])),
    "full batch": (fl.LBFGS, lambda model, x, y: model.fit(x, y)),
    "chain": (lambda: fl.Chain([fl.SGD(), fl.LBFGS()]), lambda model, x, y: model.fit(x, y)),
    "fit_many": (fl.BFGS, lambda model, x, y: fl.fit_many([model], x, y)),
    "multi_start": (fl.LBFGS, lambda model, x, y: fl.multi_start(model, x, y, 2)),
}


@pytest.mark.parametrize("how", TOO_MANY)
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("built", [False, True])
def test_rows_that_cannot_be_counted_are_refused(how, labelled, built):
    x = np.broadcast_to(np.float32(0.5), (2**31, 2))
    y = np.broadcast_to(0 if labelled else np.float32(0.5), (2**31,))
    optimizer, train = TOO_MANY[how]
    model = fl.Model([fl.Dense(3 if labelled else 1)], seed=0)
    model.compile(optimizer(), "cross_entropy" if labelled else "mse")
    if built:
        model.build(2)
    with refuses(ValueError, "X has 2147483648 rows; expected at most 2147483647 rows in one batch"):
        train(model, x, y)
    assert model.inputs == (2 if built or how.startswith("second") else None)


def test_the_core_refuses_them_too():
    model = fl.Model([fl.Input(2), fl.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x = np.broadcast_to(np.float32(0.5), (2**31, 2))
    with unchanged(model), refuses(ValueError, "x has 2147483648 rows; expected at most 2147483647"):
        model._network.train_on_batch(x, x[:, :1], None, 0.1)
