"""Dropout as an average over thinned networks: Hinton et al. 2012, Wan et al. 2013, Srivastava et al. 2014."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fallline as fl
from twins import activations

UNITS = 10


def masks():
    """Every way to keep some of the units, as rows of 0 and 1."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=UNITS)))


def softmax_layer(rng, classes, *before):
    model = fl.Model([fl.Input(UNITS), *before, fl.Dense(classes, "softmax")], seed=1, dtype="float64")
    model.set_weights([rng.normal(size=(UNITS, classes)), rng.normal(size=classes)])
    return model


@pytest.mark.parametrize("rate", [0.5, 0.2])
@pytest.mark.parametrize("classes", [2, 5])
def test_a_softmax_layer_predicts_the_geometric_mean_of_its_ensemble(classes, rate, rng):
    """Each subset of the inputs, taken as often as it is drawn; normalised. The arithmetic mean differs."""
    x = rng.normal(size=UNITS)
    model = softmax_layer(rng, classes, fl.Dropout(rate))
    kernel, bias = model.get_weights()
    kept = masks()
    often = rate ** (kept == 0).sum(axis=1) * (1 - rate) ** kept.sum(axis=1)
    members = activations.softmax(kept * x / (1 - rate) @ kernel + bias)
    geometric = np.exp(often @ np.log(members))
    predicted = model.predict(x[None])[0]
    np.testing.assert_allclose(predicted, geometric / geometric.sum(), rtol=0, atol=1e-13)
    assert np.abs(predicted - often @ members).max() > 1e-3


def test_members_of_the_ensemble_are_what_training_sees(rng):
    """The loss of a training step is that of one of the masks."""
    x = rng.normal(size=UNITS)
    model = softmax_layer(rng, 3, fl.Dropout(0.5))
    model.compile(fl.SGD(0.0), "cross_entropy")
    kernel, bias = model.get_weights()
    possible = -np.log(activations.softmax(masks() * x / 0.5 @ kernel + bias)[:, 1])
    drawn = [model.train_on_batch(x[None], np.array([1])) for _ in range(50)]
    assert all(np.abs(possible - loss).min() < 1e-12 for loss in drawn)
    assert len({round(loss, 9) for loss in drawn}) > 40


def test_scaling_while_training_is_scaling_the_weights_while_predicting(rng):
    """Trained without the factor 1 / (1 − p), the weights behind the dropout count (1 − p) fold; biases do not."""
    x, rate = rng.normal(size=(8, UNITS)), 0.25
    model = softmax_layer(rng, 3, fl.Dropout(rate))
    kernel, bias = model.get_weights()
    plain = softmax_layer(rng, 3)
    # what training without the factor would have found in place of the kernel
    unscaled = kernel / (1 - rate)
    plain.set_weights([unscaled * (1 - rate), bias])
    np.testing.assert_allclose(model.predict(x), plain.predict(x), rtol=0, atol=1e-12)
    for kept in masks()[:: 2**UNITS // 16]:
        thinned = activations.softmax(x * kept / (1 - rate) @ kernel + bias)
        np.testing.assert_allclose(
            activations.softmax(x * kept @ unscaled + bias), thinned, rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("rate", [0.5, 0.2])
def test_dropped_weights(rate):
    """With weights of 1 and inputs 1, 2, 4, ..., the output of a step has its mask as binary digits."""
    bits, steps = 20, 1500
    model = fl.Model(
        [fl.Input(bits), fl.DropConnect(1, rate, use_bias=False, kernel_initializer="ones")],
        seed=4,
        dtype="float64",
    )
    model.compile(fl.SGD(0.0), "mse")
    x = 2.0 ** np.arange(bits)[None]
    outputs = np.sqrt([model.train_on_batch(x, [[0.0]]) for _ in range(steps)]) * (1 - rate)
    kept = np.rint(outputs).astype(int)
    np.testing.assert_allclose(outputs, kept, rtol=1e-12)
    masks = kept[:, None] >> np.arange(bits) & 1
    error = np.sqrt(rate * (1 - rate) / steps)
    assert np.abs(masks.mean(axis=0) - (1 - rate)).max() < 4.5 * error
    correlation = np.corrcoef(np.hstack([masks[1:], masks[:-1]]).T) - np.eye(2 * bits)
    assert np.abs(correlation).max() < 5 / np.sqrt(steps)
    np.testing.assert_array_equal(model.predict(x), x.sum(keepdims=True))


@pytest.mark.parametrize("make", [fl.SGD, fl.Adam])
def test_norms_stay_below_their_limit(make, rng):
    """Srebro et al. 2005: after each update, columns that are too long are shortened, the others left alone."""
    x, y, limit = rng.normal(size=(64, 6)), rng.normal(size=(64, 5)) * np.arange(1, 6), 0.5
    weights, found = [0.3 * rng.normal(size=(6, 5)), np.zeros(5)], []
    for constraint in (None, fl.MaxNorm(limit)):
        model = fl.Model([fl.Input(6), fl.Dense(5, kernel_constraint=constraint)], seed=0, dtype="float64")
        model.compile(make(0.3), "mse")
        model.set_weights(weights)
        model.train_on_batch(x, y)
        found.append(model.get_weights()[0])
        for _ in range(20):
            model.train_on_batch(x, y)
            length = np.linalg.norm(model.get_weights()[0], axis=0)
            assert constraint is None or length.max() <= limit * (1 + 1e-12)
    free, bound = found
    length = np.linalg.norm(free, axis=0)
    assert (length > limit).any()
    assert (length < limit).any()
    np.testing.assert_allclose(bound, free * np.minimum(1, limit / length), rtol=1e-12)
