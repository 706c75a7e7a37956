"""The gradient as a direction: it is the steepest one, and a small step against it goes down."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl


@pytest.fixture
def task(rng):
    layers = [fl.Dense(7, "tanh"), fl.Dense(5, "sigmoid"), fl.Dense(3, "softmax")]
    model = fl.Model([fl.Input(4), *layers], seed=2, dtype="float64")
    model.compile("sgd", "cross_entropy")
    return model, rng.normal(size=(50, 4)), rng.integers(0, 3, 50)


def flat(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def loss_along(model, x, y, direction):
    """The loss as a function of how far the weights go in a direction."""
    start = model.get_weights()
    ends = np.cumsum([w.size for w in start])[:-1]
    shaped = [d.reshape(w.shape) for d, w in zip(np.split(direction, ends), start, strict=True)]

    def loss(distance):
        model.set_weights([w + distance * d for w, d in zip(start, shaped, strict=True)])
        value = model.evaluate(x, y)["loss"]
        model.set_weights(start)
        return value

    return loss


def test_no_direction_is_steeper_than_the_gradient(task, rng):
    """dL/du = ∇L · u <= ‖∇L‖, with equality along the gradient, by central differences."""
    model, x, y = task
    gradient = flat(model.loss_and_gradients(x, y)[1])
    steepest = np.linalg.norm(gradient)
    random = [u / np.linalg.norm(u) for u in rng.normal(size=(40, gradient.size))]
    for u in [*random, gradient / steepest, -gradient / steepest]:
        loss = loss_along(model, x, y, u)
        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
        assert slope == pytest.approx(gradient @ u, abs=1e-8)
        assert abs(slope) <= steepest + 1e-8
    assert max(abs(u @ gradient) for u in random) < 0.9 * steepest


def test_a_small_step_against_the_gradient_goes_down(task):
    model, x, y = task
    loss, gradients = model.loss_and_gradients(x, y)
    gradient = flat(gradients)
    along = loss_along(model, x, y, gradient)
    for rate in (1e-5, 1e-3, 0.1):
        assert along(-rate) < loss < along(rate)


def test_the_loss_along_one_weight_has_the_slope_of_backpropagation(task):
    model, x, y = task
    gradient = flat(model.loss_and_gradients(x, y)[1])
    for i in range(0, gradient.size, 7):
        loss = loss_along(model, x, y, np.eye(1, gradient.size, i)[0])
        assert (loss(1e-6) - loss(-1e-6)) / 2e-6 == pytest.approx(gradient[i], abs=1e-8)


def test_backpropagation_layer_by_layer(task):
    """Each layer needs what came in and the gradient of its sum: dW = xᵀδ, db = Σδ, dx = δWᵀ; Rumelhart et al. 1986."""
    model, x, y = task
    weights = model.get_weights()
    outputs, names = [x], ["tanh", "sigmoid", None]
    for i, name in enumerate(names):
        outputs.append(fl.ops.dense_forward(outputs[-1], weights[2 * i], weights[2 * i + 1], name))
    loss, gradient = fl.ops.softmax_cross_entropy(outputs[-1], y)
    by_hand = []
    for i in (2, 1, 0):
        came_in, kernel = outputs[i], weights[2 * i]
        slope = {"tanh": 1 - outputs[i + 1] ** 2, "sigmoid": outputs[i + 1] * (1 - outputs[i + 1])}
        delta = gradient * slope.get(names[i], 1)
        dx, dkernel, dbias = fl.ops.dense_backward(gradient, came_in, outputs[i + 1], kernel, names[i])
        np.testing.assert_allclose(dkernel, came_in.T @ delta, rtol=0, atol=1e-15)
        np.testing.assert_allclose(dbias, delta.sum(axis=0), rtol=0, atol=1e-15)
        np.testing.assert_allclose(dx, delta @ kernel.T, rtol=0, atol=1e-15)
        by_hand[:0] = [dkernel, dbias]
        gradient = dx
    expected, gradients = model.loss_and_gradients(x, y)
    assert loss == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(flat(by_hand), flat(gradients), rtol=0, atol=1e-15)
