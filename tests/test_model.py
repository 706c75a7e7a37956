"""Model: building, weights, summaries, weights of samples, batches of any size."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses, unchanged
from twins import activations, losses
from twins.network import Dense


def network(inputs=6, dtype="float64"):
    layers = [fl.Input(inputs), fl.Dense(9, activation="tanh"), fl.Dense(3, activation="softmax")]
    model = fl.Model(layers, seed=1, dtype=dtype)
    model.compile(fl.SGD(0.1), "cross_entropy", metrics=["accuracy"])
    return model


def test_three_ways_to_build_give_the_same_weights(rng):
    x, y = rng.normal(size=(10, 6)), rng.integers(0, 3, 10)
    declared = network()
    built, fed = (fl.Model(declared.layers[1:], seed=1, dtype="float64") for _ in range(2))
    built.build(6)
    fed.compile("sgd", "cross_entropy")
    fed.predict(x)
    assert_same_bits(built.get_weights(), declared.get_weights())
    assert_same_bits(fed.get_weights(), declared.get_weights())
    assert (built.inputs, built.outputs) == (6, 3)
    fed.fit(x, y)


def test_an_unseeded_model_is_a_new_one_each_time():
    one, two = (fl.Model([fl.Input(4), fl.Dense(5)]) for _ in range(2))
    assert (one.get_weights()[0] != two.get_weights()[0]).all()


def test_weights_are_plain_matrices(rng):
    model = network(dtype="float32")
    assert [w.shape for w in model.get_weights()] == [(6, 9), (9,), (9, 3), (3,)]
    assert all(w.dtype == np.float32 and w.flags.c_contiguous for w in model.get_weights())
    weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    model.set_weights([w.tolist() for w in weights])
    assert_same_bits(model.get_weights(), [w.astype(np.float32) for w in weights])
    x = rng.normal(size=(5, 6))
    expected = activations.softmax(np.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3])
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 13, 14, 15, 100, 1000, 4096, 4097, 9000])
def test_any_number_of_rows(rows, rng):
    """Batches of every size, also those the core takes in pieces, give the twin's loss and gradients."""
    model, twin = network(), Dense(["tanh", "softmax"])
    x, y = rng.normal(size=(rows, 6)), rng.integers(0, 3, rows)
    weight = rng.uniform(0.5, 2, rows)
    target = losses.one_hot(y, 3)
    weights = model.get_weights()
    expected, gradients = twin.loss_and_gradients(weights, x, target, losses.cross_entropy)
    loss, ours = model.loss_and_gradients(x, y)
    assert loss == pytest.approx(expected, rel=1e-12)
    for a, b in zip(ours, gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    expected, gradients = twin.loss_and_gradients(weights, x, target, losses.cross_entropy, weight)
    assert model.evaluate(x, y, sample_weight=weight)["loss"] == pytest.approx(expected, rel=1e-12)
    assert model.train_on_batch(x, y, weight) == pytest.approx(expected, rel=1e-12)
    for new, old, g in zip(model.get_weights(), weights, gradients, strict=True):
        np.testing.assert_allclose(new, old - 0.1 * g, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predict_does_not_depend_on_the_batch_size(dtype, rng):
    model, x = network(dtype=dtype), rng.normal(size=(700, 6))
    whole = model.predict(x)
    for size in (1, 7, 64, 700, 10_000):
        assert_same_bits([model.predict(x, batch_size=size)], [whole])
    assert_same_bits([np.concatenate([model.predict(row[None]) for row in x[:50]])], [whole[:50]])


def test_evaluate_gives_plain_floats(rng):
    scores = network().evaluate(rng.normal(size=(10, 6)), rng.integers(0, 3, 10))
    assert list(scores) == ["loss", "accuracy"]
    assert all(type(v) is float for v in scores.values())


def test_evaluation_and_gradients_change_nothing(rng):
    model, x, y = network(), rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    model.fit(x, y)
    with unchanged(model):
        model.evaluate(x, y)
        model.predict(x)
        model.loss_and_gradients(x, y)
        model.summary()


def test_training_on_batches_returns_the_loss_before_the_update(rng):
    model, x, y = network(), rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    before = model.evaluate(x, y)["loss"]
    assert model.train_on_batch(x, y) == pytest.approx(before, rel=1e-14)
    assert model.evaluate(x, y)["loss"] < before


def test_whole_number_weights_repeat_rows(rng):
    x, y = rng.normal(size=(12, 6)), rng.integers(0, 3, 12)
    times = rng.integers(1, 4, 12)
    weighted, repeated = network(), network()
    weighted.train_on_batch(x, y, times)
    repeated.train_on_batch(np.repeat(x, times, axis=0), np.repeat(y, times))
    for a, b in zip(weighted.get_weights(), repeated.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_equal_weights_are_no_weights(rng):
    x, y = rng.normal(size=(64, 6)), rng.integers(0, 3, 64)
    weighted, plain = network(), network()
    weighted.fit(x, y, batch_size=16, epochs=2, sample_weight=np.ones(64))
    plain.fit(x, y, batch_size=16, epochs=2)
    assert_same_bits(weighted.get_weights(), plain.get_weights())


def test_no_epochs_do_nothing(rng):
    model = network()
    with unchanged(model):
        history = model.fit(rng.normal(size=(8, 6)), rng.integers(0, 3, 8), epochs=0)
    assert (history.epoch, history.history, history.stop_reason) == ([], {"loss": [], "accuracy": []}, None)


def test_summary_counts_parameters(capsys):
    network().summary()
    out = capsys.readouterr().out
    for word in ("Dense", "63", "30", "93"):  # 6*9+9, 9*3+3, all
        assert word in out


def test_one_layer_object_in_two_models():
    layer = fl.Dense(4)
    one, two = (fl.Model([fl.Input(3), layer], seed=s) for s in (0, 1))
    assert (one.layers[1].kernel != two.layers[1].kernel).any()
    with refuses(RuntimeError, "kernel"):
        _ = layer.kernel


def test_compiling_again_starts_the_optimizer_anew_and_keeps_the_weights(rng):
    x, y = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    model, fresh = network(), network()
    model.compile(fl.Adam(0.01), "cross_entropy")
    model.fit(x, y, epochs=2, shuffle=False)
    weights = model.get_weights()
    model.compile(fl.Adam(0.01), "cross_entropy")
    assert_same_bits(model.get_weights(), weights)
    fresh.compile(fl.SGD(0.0), "cross_entropy")
    fresh.set_weights(weights)
    fresh.compile(fl.Adam(0.01), "cross_entropy")
    model.train_on_batch(x, y)
    first = [a - b for a, b in zip(model.get_weights(), weights, strict=True)]
    for change in first:  # Adam's first step is the rate in every entry
        assert np.abs(change).max() <= 0.01 * (1 + 1e-9)


def test_rescaling_is_part_of_the_model(rng):
    x = rng.integers(0, 256, (30, 6)).astype(np.uint8)
    inside = fl.Model([fl.Input(6), fl.Rescale(1 / 256, -0.5), fl.Dense(3)], seed=0)
    outside = fl.Model([fl.Input(6), fl.Dense(3)], seed=0)
    outside.set_weights(inside.get_weights())
    np.testing.assert_array_equal(inside.predict(x), outside.predict((x / 256 - 0.5).astype(np.float32)))
