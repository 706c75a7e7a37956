"""The average of the weights that an optimizer keeps, and fit() validates with."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses

BETA = 0.9


def network(dtype="float64", **options):
    layers = [fl.Input(6), fl.Dense(9, activation="tanh"), fl.BatchNormalization(), fl.Dense(3)]
    model = fl.Model(layers, seed=1, dtype=dtype)
    model.compile(fl.Adam(0.02, average=BETA, **options), "mse")
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(80, 6)), rng.normal(size=(80, 3))


def test_the_average_weighs_the_weights_after_each_update(data):
    model = network()
    history = []
    for i in range(0, 80, 10):
        model.train_on_batch(data[0][i : i + 10], data[1][i : i + 10])
        history.append(model.get_weights())
    share = BETA ** np.arange(len(history))[::-1]
    names = [name for _, name, _ in model._network.parameters]
    with model.averaged():
        for i, (name, average) in enumerate(zip(names, model.get_weights(), strict=True)):
            expected = np.average([w[i] for w in history], axis=0, weights=share)
            if name.startswith("moving"):  # learned by no optimizer
                expected = history[-1][i]
            np.testing.assert_allclose(average, expected, rtol=1e-12, atol=1e-14)
    assert_same_bits(model.get_weights(), history[-1])


def test_fit_validates_with_the_average(data):
    model = network()
    history = model.fit(*data, batch_size=16, epochs=3, validation_data=data)
    with model.averaged():
        assert model.evaluate(*data)["loss"] == history.history["val_loss"][-1]
    assert model.evaluate(*data)["loss"] != history.history["val_loss"][-1]


def test_early_stopping_restores_the_average_it_saw(data):
    model = network()
    stopping = fl.EarlyStopping(patience=2)
    model.fit(*data, batch_size=16, epochs=40, validation_data=data, callbacks=[stopping])
    assert model.evaluate(*data)["loss"] == pytest.approx(stopping.best, rel=1e-12)


def test_keeping_an_average_changes_no_bit_of_the_training(data):
    with_average, without = network(), network()
    without.compile(fl.Adam(0.02), "mse")
    for model in (with_average, without):
        model.fit(*data, batch_size=16, epochs=3)
    assert_same_bits(with_average.get_weights(), without.get_weights())


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}, {"clip_layer_norm": 0.1}])
def test_any_number_of_threads_gives_the_same_bits(threads, options, rng):
    x, y = rng.normal(size=(600, 6)), rng.normal(size=(600, 3))
    averages = []
    for n in (1, threads):
        with fl.threads(n):
            model = network("float32", **options)
            model.fit(x, y, batch_size=200, epochs=3)
            with model.averaged():
                averages.append(model.get_weights())
    assert_same_bits(*averages)


def test_it_is_saved_and_copied(data, tmp_path):
    model = network()
    model.fit(*data, batch_size=16, epochs=2)
    model.save(tmp_path / "m.safetensors")
    for other in (fl.load_model(tmp_path / "m.safetensors"), copy.deepcopy(model)):
        for m in (model, other):
            with m.averaged():
                m.average_of_test = m.get_weights()
        assert_same_bits(other.average_of_test, model.average_of_test)


def test_frozen_layers_stay_as_they_are(data):
    model = network()
    model.layers[1].trainable = False
    model.compile(fl.Adam(0.02, average=BETA), "mse")
    model.fit(*data, batch_size=16, epochs=2)
    before = model.get_weights()
    with model.averaged():
        assert_same_bits(model.get_weights()[:2], before[:2])
        assert (model.get_weights()[-2] != before[-2]).any()


def test_without_an_average_or_an_update_the_weights_stay(data):
    model = network()
    before = model.get_weights()
    with model.averaged():
        assert_same_bits(model.get_weights(), before)
    model.compile("sgd", "mse")
    model.fit(*data)
    before = model.get_weights()
    with model.averaged():
        assert_same_bits(model.get_weights(), before)
    with refuses(RuntimeError, "average"):
        model._network.show_average()


def test_an_error_inside_puts_the_weights_back(data):
    model = network()
    model.fit(*data)
    before = model.get_weights()
    with pytest.raises(KeyError), model.averaged():
        raise KeyError
    assert_same_bits(model.get_weights(), before)


def test_nothing_trains_while_the_average_is_in_place(data):
    model = network()
    model.fit(*data)
    before = model.get_weights()
    with model.averaged():
        for call in (model.fit, model.train_on_batch, model.partial_fit):
            with refuses(RuntimeError, "average"):
                call(*data)
        with refuses(RuntimeError, "average"):
            model.compile("sgd", "mse")
    assert_same_bits(model.get_weights(), before)
    model.fit(*data)


def layer_norm_clipped(gradients, limit):
    """Gradients of (kernel, bias) pairs, each pair shortened to the limit."""
    clipped = []
    for i in range(0, len(gradients), 2):
        norm = np.sqrt(sum((g**2).sum() for g in gradients[i : i + 2]))
        clipped += [g * min(1, limit / norm) for g in gradients[i : i + 2]]
    return clipped


@pytest.mark.parametrize("clip_norm", [None, 0.15])
def test_clipping_layer_by_layer_inside_a_model(clip_norm, data):
    model = fl.Model([fl.Input(6), fl.Dense(9, activation="tanh"), fl.Dense(3)], seed=1, dtype="float64")
    model.compile(fl.SGD(0.1, clip_layer_norm=0.1, clip_norm=clip_norm), "mse")
    before = model.get_weights()
    gradients = layer_norm_clipped(model.loss_and_gradients(*data)[1], 0.1)
    if clip_norm is not None:
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        gradients = [g * min(1, clip_norm / norm) for g in gradients]
    model.train_on_batch(*data)
    for after, w, g in zip(model.get_weights(), before, gradients, strict=True):
        np.testing.assert_allclose(after, w - 0.1 * g, rtol=1e-12, atol=1e-15)
