"""The average of the weights belongs to the weights, whoever has given them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fallline as fl
from helpers import assert_near, assert_same_bits, assert_same_model, refuses, unchanged

BETA = 0.9


def network(dtype="float64", rate=0.3):
    model = fl.Model([fl.Input(6), fl.Dense(9, "tanh"), fl.Dense(1)], seed=1, dtype=dtype)
    model.compile(fl.Adam(rate, average=BETA), "mse")
    return model


@pytest.fixture
def data(rng):
    x = rng.normal(size=(80, 6))
    return x, np.sin(2 * x[:, :1]) + 0.1 * rng.normal(size=(80, 1))


def averages(model):
    with model.averaged():
        return model.get_weights()


def restored_by_early_stopping(model, data):
    model.fit(*data, epochs=4, validation_data=data, callbacks=[fl.EarlyStopping(patience=99)])


def restored_among_many(model, data):
    fl.fit_many([model], *data, epochs=4, validation_data=data, early_stopping=fl.EarlyStopping(patience=99))


def given_at_once(model, data):
    model.set_weights([w + 1 for w in model.get_weights()])


def given_layer_by_layer(model, data):
    for layer in model.layers[1:]:
        layer.kernel, layer.bias = layer.kernel * 2, layer.bias - 1


def given_while_the_average_is_shown(model, data):
    with model.averaged():
        given_at_once(model, data)


GIVEN = [
    restored_by_early_stopping,
    restored_among_many,
    given_at_once,
    given_layer_by_layer,
    given_while_the_average_is_shown,
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("give", GIVEN)
def test_weights_that_are_given_are_their_average(give, dtype, data, tmp_path):
    """And the average goes on from them, also in copies and in files."""
    model = network(dtype)
    model.fit(*data, epochs=3)
    give(model, data)
    model.save(tmp_path / "m")
    for each in (
        model,
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        fl.load_model(tmp_path / "m"),
    ):
        expected = each.get_weights()
        assert_same_bits(averages(each), expected)
        for step in range(each.get_state()["step"] + 1, each.get_state()["step"] + 4):
            each.train_on_batch(*data)
            share = (1 - BETA) / (1 - BETA**step)
            expected = [a + share * (w - a) for a, w in zip(expected, each.get_weights(), strict=True)]
        assert_near(averages(each), expected, 1e-5 if dtype == "float32" else 1e-13)
    assert_same_bits(averages(model), averages(each))


def test_one_layer_that_is_given_leaves_the_average_of_the_others(data):
    model = network()
    model.fit(*data, epochs=3)
    before = averages(model)
    model.layers[1].kernel = np.ones((6, 9))
    assert_same_bits(averages(model), [np.ones((6, 9)), *before[1:]])


def test_early_stopping_and_checkpoints_agree_on_the_best(data, tmp_path):
    """The model ends with the best average as its weights; the file has the training weights and that average."""
    model = network()
    stopping = fl.EarlyStopping(patience=5)
    checkpoint = fl.ModelCheckpoint(tmp_path / "best", save_best_only=True)
    model.fit(
        *data, batch_size=16, epochs=60, validation_data=data, callbacks=[stopping, checkpoint], shuffle=False
    )
    best = pytest.approx(stopping.best, rel=1e-13)
    assert model.evaluate(*data)["loss"] == best
    with model.averaged():
        assert model.evaluate(*data)["loss"] == best
    loaded, straight = fl.load_model(tmp_path / "best"), network()
    straight.fit(*data, batch_size=16, epochs=stopping.best_epoch + 1, shuffle=False)
    with loaded.averaged():
        assert loaded.evaluate(*data)["loss"] == best
    assert_same_model(loaded, straight)


def test_many_models_end_with_the_average_of_one(data):
    many, alone = network(), network()
    options = {"batch_size": 16, "epochs": 40, "validation_data": data}
    fl.fit_many([many], *data, **options, early_stopping=fl.EarlyStopping(patience=3))
    alone.fit(*data, **options, callbacks=[fl.EarlyStopping(patience=3)])
    assert_same_model(many, alone)
    assert_same_bits(averages(many), many.get_weights())


def test_going_back_takes_the_average_along(data):
    model = network()
    model.fit(*data, epochs=2)
    state, expected = model.get_state(), averages(model)
    model.fit(*data, epochs=2)
    model.set_state(state)
    assert_same_bits(averages(model), expected)
    guard = fl.TerminateOnNonFinite()
    x, y = data
    broken = [(x, y), (x, y), (x * np.inf, y)]
    straight = copy.deepcopy(model)
    with np.errstate(invalid="ignore"):
        model.fit(broken, steps_per_epoch=2, epochs=9, callbacks=[guard])
    straight.fit(broken[:2])
    assert guard.restored_epoch == 2
    assert_same_bits(averages(model), averages(straight))


COPIES = {
    "save": lambda model, path: (model.save(path), fl.load_model(path))[1],
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, path: copy.deepcopy(model),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_of_what_is_shown_is_its_own_average(kind, data, tmp_path):
    model = network()
    model.fit(*data, epochs=2)
    expected, before = averages(model), model.get_weights()
    with model.averaged():
        other = COPIES[kind](model, tmp_path / "m")
    for show in (other.get_weights, lambda: averages(other)):
        assert_same_bits(show(), expected)
    assert_same_bits(model.get_weights(), before)
    assert_same_bits(averages(model), expected)


def test_no_state_is_put_in_the_place_of_an_average(data):
    model = network()
    model.fit(*data, epochs=2)
    state = model.get_state()
    with unchanged(model), model.averaged(), refuses(RuntimeError, "average"):
        model.set_state(state)
