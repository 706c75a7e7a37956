"""Real handwritten digits: softmax regression to published numbers, and a hidden layer with Adam."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl

BIASES = [
    -0.105785,
    0.225899,
    -0.024245,
    -0.120390,
    0.077525,
    0.357806,
    0.018947,
    0.221992,
    -0.552007,
    -0.099742,
]


def softmax_regression(dtype, rescale):
    dense = fl.Dense(10, activation="softmax", kernel_initializer="zeros")
    layers = [fl.Input(784), *([fl.Rescale(1 / 255)] if rescale else []), dense]
    model = fl.Model(layers, seed=0, dtype=dtype)
    model.compile(fl.SGD(0.2), "mse", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def split(mnist):
    """(train images, one-hot, labels, test images, one-hot): the first 5000 are left for validation."""
    images, labels, test_images, test_labels = mnist
    eye = np.eye(10, dtype=np.float32)
    return images[5000:], eye[labels[5000:]], test_images, eye[test_labels]


@pytest.mark.parametrize("dtype, rescale", [("float32", False), ("float64", True)])
def test_softmax_regression_with_squared_error(dtype, rescale, split):
    """Batches of 100 in file order, rate 0.2: test accuracy 0.8304 after epoch 1, 0.9140 after epoch 21."""
    x, y, x_test, y_test = split
    if not rescale:
        x, x_test = x / np.float32(255), x_test / np.float32(255)
    model = softmax_regression(dtype, rescale)
    assert model.evaluate(x, y)["loss"] == pytest.approx(0.09, rel=1e-6)

    model.train_on_batch(x[:100], y[:100])
    first = [8e-5, 4e-5, -1.6e-4, 4e-5, 4e-5, -8e-5, 8e-5, 0, 4e-5, -8e-5]
    np.testing.assert_allclose(
        model.layers[-1].bias, first, rtol=1e-5, atol=1e-10 if dtype == "float32" else 1e-16
    )
    frequencies = y[:100].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(model.layers[-1].bias, 0.004 * frequencies - 0.0004, rtol=1e-5, atol=1e-10)

    model = softmax_regression(dtype, rescale)
    expected = {  # epoch: train loss, train accuracy, test loss, test accuracy
        1: (0.038053537411, 0.817781818, 0.036863145384, 0.8304),
        5: (0.020033506403, 0.883690909, 0.018874708493, 0.8927),
        10: (0.016957041066, 0.897690909, 0.015941898226, 0.9047),
        21: (0.014711555804, 0.908981818, 0.013900172517, 0.9140),
    }
    done, tolerance = 0, 1e-5 if dtype == "float32" else 1e-10
    for epoch, row in expected.items():
        model.fit(x, y, batch_size=100, epochs=epoch - done, shuffle=False)
        done = epoch
        on_train, on_test = model.evaluate(x, y), model.evaluate(x_test, y_test)
        assert on_train["loss"] == pytest.approx(row[0], rel=tolerance)
        assert on_test["loss"] == pytest.approx(row[2], rel=tolerance)
        assert on_train["accuracy"] == pytest.approx(row[1], abs=1e-9)
        assert on_test["accuracy"] == pytest.approx(row[3], abs=1e-9)
    assert np.linalg.norm(model.layers[-1].kernel) == pytest.approx(7.019427, abs=2e-6)
    np.testing.assert_allclose(model.layers[-1].bias, BIASES, atol=2e-6)


def test_softmax_regression_shuffled(split):
    """Published logs of shuffled runs stay in these bands, which other losses or gradients leave."""
    x, y, x_test, y_test = split
    model = softmax_regression("float32", True)
    model.fit(x, y, batch_size=100, epochs=1)
    assert 0.828 <= model.evaluate(x_test, y_test)["accuracy"] <= 0.835
    model.fit(x, y, batch_size=100, epochs=20)
    assert 0.912 <= model.evaluate(x_test, y_test)["accuracy"] <= 0.916


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_hidden_layer_with_adam(seed, mnist):
    """784-128-10, batches of 64, 5 epochs: at least 97.3 % of the test images."""
    images, labels, test_images, test_labels = mnist
    layers = [fl.Rescale(1 / 255), fl.Dense(128, activation="relu"), fl.Dense(10, activation="softmax")]
    model = fl.Model([fl.Input(784), *layers], seed=seed)
    model.compile(fl.Adam(1e-3), "cross_entropy", metrics=["accuracy"])
    model.fit(images, labels, batch_size=64, epochs=5)
    assert model.evaluate(test_images, test_labels)["accuracy"] >= 0.973
