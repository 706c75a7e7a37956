"""Training gives the same bits however it is cut up: threads, routes, fits, files, kinds of input."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model

NETWORKS = {
    "tiny": ([3, 4, 1], 4, 20),
    "digits": ([64, 32, 10], 32, 200),
    "odd": ([37, 53, 29, 11], 23, 150),
    "mnist": ([784, 128, 10], 64, 256),
    "pieces": ([5, 6, 3], 5000, 11000),  # batches larger than the core takes at once
    "wide": ([129, 300, 257, 5], 200, 600),
}
networks = pytest.mark.parametrize("name", NETWORKS)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def network(name, dtype="float32", seed=11, **options):
    widths = NETWORKS[name][0]
    hidden = [fl.Dense(w, activation="relu", kernel_regularizer=fl.L2(1e-4)) for w in widths[1:-1]]
    last = fl.Dense(widths[-1], activation="softmax" if widths[-1] > 1 else "sigmoid")
    layers = [fl.Input(widths[0]), hidden[0], fl.Dropout(0.25), *hidden[1:], last]
    model = fl.Model(layers, seed=seed, dtype=dtype)
    loss = "cross_entropy" if widths[-1] > 1 else "binary_cross_entropy"
    model.compile(fl.Adam(0.01, **options), loss, metrics=["accuracy"])
    return model


def data(name, rng):
    widths, batch, rows = NETWORKS[name]
    x = rng.normal(size=(rows, widths[0])).astype(np.float32)
    y = rng.integers(0, max(2, widths[-1]), rows)
    return x, (y if widths[-1] > 1 else y[:, None].astype(np.float32)), batch


@networks
@dtypes
@pytest.mark.parametrize("route", ["fused", "arena"])
def test_any_number_of_threads_gives_the_same_bits(name, dtype, route, rng):
    x, y, batch = data(name, rng)
    options = {"clip_norm": 0.5} if route == "arena" else {}
    models, losses, predictions = [], [], []
    for n in (1, 2, 3, 7):
        with fl.threads(n):
            model = network(name, dtype, **options)
            losses.append(model.fit(x, y, batch_size=batch, epochs=2).history)
            predictions.append(model.predict(x))
            models.append(model)
    for model, loss, prediction in zip(models[1:], losses[1:], predictions[1:], strict=True):
        assert_same_model(model, models[0])
        assert loss == losses[0]
        assert_same_bits([prediction], predictions[:1])


@networks
@dtypes
def test_threads_do_not_change_gradients(name, dtype, rng):
    x, y, _ = data(name, rng)
    model = network(name, dtype)
    results = []
    for n in (1, 2, 3, 7):
        with fl.threads(n):
            results.append(model.loss_and_gradients(x, y))
    for loss, gradients in results[1:]:
        assert loss == results[0][0]
        assert_same_bits(gradients, results[0][1])


@networks
@dtypes
def test_four_epochs_are_four_times_one(name, dtype, rng):
    x, y, batch = data(name, rng)
    at_once, by_one = network(name, dtype), network(name, dtype)
    long = at_once.fit(x, y, batch_size=batch, epochs=4).history
    short = [by_one.fit(x, y, batch_size=batch, epochs=1).history for _ in range(4)]
    assert_same_model(at_once, by_one)
    for key, values in long.items():
        assert values == [h[key][0] for h in short]


@networks
@pytest.mark.parametrize("how", ["file", "pickle", "deepcopy"])
def test_stopping_in_the_middle_changes_nothing(name, how, rng, tmp_path):
    x, y, batch = data(name, rng)
    straight, model = network(name), network(name)
    straight.fit(x, y, batch_size=batch, epochs=4)
    model.fit(x, y, batch_size=batch, epochs=2)
    if how == "file":
        model.save(tmp_path / "half.safetensors")
        model = fl.load_model(tmp_path / "half.safetensors")
    else:
        model = pickle.loads(pickle.dumps(model)) if how == "pickle" else copy.deepcopy(model)
    model.fit(x, y, batch_size=batch, epochs=2)
    assert_same_model(model, straight)


@networks
def test_fit_without_shuffle_is_train_on_batch(name, rng):
    x, y, batch = data(name, rng)
    fitted, stepped = network(name), network(name)
    fitted.fit(x, y, batch_size=batch, epochs=1, shuffle=False)
    for start in range(0, len(x), batch):
        stepped.train_on_batch(x[start : start + batch], y[start : start + batch])
    assert_same_bits(fitted.get_weights(), stepped.get_weights())


@networks
def test_callbacks_and_validation_do_not_touch_training(name, rng):
    x, y, batch = data(name, rng)
    plain, watched = network(name), network(name)
    plain.fit(x, y, batch_size=batch, epochs=3)

    class Watch(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.predict(x[:5])
            self.model.loss_and_gradients(x[:5], y[:5])

    watched.fit(x, y, batch_size=batch, epochs=3, validation_data=(x, y), callbacks=[Watch()])
    assert_same_bits(plain.get_weights(), watched.get_weights())


def test_the_seed_decides_everything(rng):
    x, y, batch = data("digits", rng)
    a, b, c = network("digits"), network("digits"), network("digits", seed=12)
    for model in (a, b, c):
        model.fit(x, y, batch_size=batch, epochs=2)
    assert_same_model(a, b)
    assert all((left != right).any() for left, right in zip(a.get_weights(), c.get_weights(), strict=True))


def test_epochs_are_shuffled_differently(rng):
    """With one sample a batch and a rate of nearly 0, the order shows in nothing but the random state."""
    x, y = rng.normal(size=(16, 2)), rng.normal(size=(16, 1))

    def weights_after(epochs, shuffle):
        model = fl.Model([fl.Input(2), fl.Dense(1)], seed=3, dtype="float64")
        model.compile(fl.SGD(0.3), "mse")
        for _ in range(epochs):
            before = model.get_weights()
            model.fit(x, y, batch_size=4, epochs=1, shuffle=shuffle)
            after = model.get_weights()
            model.set_weights(before)
        return after

    assert_same_bits(weights_after(1, False), weights_after(2, False))
    assert (weights_after(1, True)[0] != weights_after(2, True)[0]).any()
    assert (weights_after(1, True)[0] != weights_after(1, False)[0]).any()


@pytest.mark.parametrize(
    "rows, batch, updates", [(10, 3, 4), (10, 10, 1), (10, 100, 1), (12, 3, 4), (1, 1, 1)]
)
def test_an_epoch_has_ceil_n_over_b_updates(rows, batch, updates):
    """With x = 1, y = 0 and the weight's gradient 2w, every update multiplies the weight by 1 - 2 rate."""
    model = fl.Model([fl.Input(1), fl.Dense(1, use_bias=False)], seed=0, dtype="float64")
    model.compile(fl.SGD(0.25), "mse")
    model.set_weights([np.ones((1, 1))])
    model.fit(np.ones((rows, 1)), np.zeros((rows, 1)), batch_size=batch, epochs=3)
    assert model.get_weights()[0][0, 0] == 0.5 ** (3 * updates)


def test_every_row_is_used_once_an_epoch(rng):
    """Row i moves only weight i, by an amount that tells how often it was seen."""
    n = 100
    model = fl.Model([fl.Input(n), fl.Dense(1, use_bias=False)], seed=0, dtype="float64")
    model.compile(fl.SGD(0.25), "mse")
    model.set_weights([np.ones((n, 1))])
    for epoch in (1, 2, 3):
        model.fit(np.eye(n), np.zeros((n, 1)), batch_size=1, epochs=1)
        np.testing.assert_array_equal(model.get_weights()[0], np.full((n, 1), 0.5**epoch))
