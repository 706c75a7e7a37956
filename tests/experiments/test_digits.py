"""What the choice of loss, activation, scale, batch and optimizer does on real digits."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl

# lowest and highest accuracy, on training and test images
BANDS = {
    "sigmoid, squared error": (0.0, 0.2),
    "sigmoid": (0.75, 0.90),
    "ReLU": (0.93, 1.0),
    "ReLU, squared error": (0.80, 0.93),
    "ReLU, pixels 0 to 255": (0.0, 0.2),
    "sigmoid, 13 layers": (0.0, 0.2),
    "ReLU, 13 layers": (0.88, 1.0),
    "ReLU, Adam": (0.94, 1.0),
    "ReLU, Adam, dropout": (0.94, 1.0),
    "ReLU, one batch": (0.4, 0.85),
}


@pytest.fixture(scope="module")
def table(printed, mnist):
    """name -> (training accuracy, test accuracy)."""
    return printed("mnist_settings").rows


@pytest.mark.slow
def test_settings_of_a_deep_network(table):
    assert list(table) == list(BANDS)
    for name, (low, high) in BANDS.items():
        assert low <= min(table[name]) <= max(table[name]) <= high, name


@pytest.mark.slow
def test_dropout_fits_the_training_images_less(table):
    assert table["ReLU, Adam, dropout"][0] < table["ReLU, Adam"][0]


# Softmax regression from zeros in file order, batches of 100: test accuracy after epoch 1 and 21, as plain
# NumPy finds them. The first row is the published program, from which the others differ visibly.
REGRESSIONS = {
    "mean squared error": ("mse", 0.2, 0.8304, 0.9140),
    "summed over the classes": ("mse", 2.0, 0.9011, 0.9283),
    "with a gradient 25 times too large": ("mse", 5.0, 0.9068, 0.9266),
    "cross-entropy": ("cross_entropy", 0.2, 0.9064, 0.9205),
    "cross-entropy, faster": ("cross_entropy", 0.5, 0.9041, 0.9170),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REGRESSIONS)
def test_losses_of_softmax_regression(name, mnist):
    """At the same rate, cross-entropy learns in one epoch what the mean squared error needs ten for."""
    images, labels, test_images, test_labels = mnist
    loss, rate, first, last = REGRESSIONS[name]
    dense = fl.Dense(10, "softmax", kernel_initializer="zeros")
    model = fl.Model([fl.Input(784), fl.Rescale(1 / 255), dense], seed=0, dtype="float64")
    model.compile(fl.SGD(rate), loss, metrics=["accuracy"])
    x, y, found = images[5000:], np.eye(10)[labels[5000:]], []
    for epochs in (1, 20):
        model.fit(x, y, batch_size=100, epochs=epochs, shuffle=False)
        found.append(model.evaluate(test_images, np.eye(10)[test_labels])["accuracy"])
    assert found == pytest.approx([first, last], abs=1e-9)
