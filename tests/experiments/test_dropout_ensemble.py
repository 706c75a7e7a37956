"""Dropout as an average over all thinned networks: Hinton et al. 2012; Srivastava et al. 2014."""

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
