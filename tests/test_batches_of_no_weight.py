"""Batches whose rows all have the weight 0: from an iterable as from arrays."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses, unchanged
from streams import BATCH, cut, network


@pytest.fixture
def weighted(blobs, rng):
    """Nine batches, of which one in the middle, or another, weighs nothing."""

    def make(place):
        weight = rng.uniform(0, 2, 200)
        weight[place * BATCH : (place + 1) * BATCH] = 0
        return (*blobs, weight)

    return make


@pytest.mark.parametrize("place", [0, 4, 8])
@pytest.mark.parametrize("metrics", [(), ("accuracy", "largest")])
def test_they_train_as_rows_of_arrays_do(place, metrics, weighted):
    x, y, weight = weighted(place)
    arrays, stream = network(metrics=metrics), network(metrics=metrics)
    batches = cut(x, y, weight)
    options = {"batch_size": BATCH, "shuffle": False, "sample_weight": weight}
    expected = arrays.fit(x, y, epochs=3, **options, validation_data=(x, y, weight))
    history = stream.fit(batches, epochs=3, validation_data=batches)
    assert history.history == expected.history
    assert_same_bits(stream.get_weights(), arrays.get_weights())
    assert stream.evaluate(batches) == arrays.evaluate(x, y, sample_weight=weight)
    generator = network(metrics=metrics)
    assert generator.fit(iter(batches), steps_per_epoch=9).history["loss"] == expected.history["loss"][:1]


@pytest.mark.parametrize("optimizer", [fl.SGD(0.1, momentum=0.9), fl.AdamW(0.01, average=0.9)], ids=repr)
def test_moments_and_penalties_go_on_without_a_gradient(optimizer, weighted):
    """An update by hand: the gradient is that of the penalty alone."""
    x, y, weight = weighted(4)

    def made():
        model = fl.Model(
            [fl.Input(8), fl.Dense(4, "softmax", kernel_regularizer=fl.L2(0.1))], seed=0, dtype="float64"
        )
        model.compile(copy.deepcopy(optimizer), "cross_entropy")
        return model

    model, twin = made(), copy.deepcopy(optimizer)
    weights = model.get_weights()
    for i, (rows, labels, share) in enumerate(cut(x, y, weight)):
        other = made()
        other.set_weights(weights)
        if i == 4:
            gradients = [0.1 * weights[0], np.zeros(4)]
        else:
            _, gradients = other.loss_and_gradients(rows, labels, share)
        twin.step(weights, gradients)
    model.fit(cut(x, y, weight))
    for got, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


def test_rows_of_no_weight_at_all_are_refused(blobs):
    """As in arrays, once that is known."""
    x, y = blobs
    nothing = cut(x, y, np.zeros(200))
    model = network()
    with unchanged(model), refuses(ValueError, "Model.evaluate: X gives weights that are all 0"):
        model.evaluate(nothing)
    with refuses(ValueError, "validation_data gives weights that are all 0"):
        model.fit(cut(x, y), validation_data=nothing)
    for options in ({}, {"steps_per_epoch": 2}):
        with refuses(ValueError, "Model.fit: X gives weights that are all 0"):
            model.fit(nothing, **options)
    model.fit(cut(x, y))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_other_weights_are_refused_as_before(bad, weighted):
    x, y, weight = weighted(4)
    weight[130] = bad
    with refuses(ValueError, r"X\[5\]\): sample_weight goes from"):
        network().fit(cut(x, y, weight))
