"""A model remembers what the columns were called, and finds them by their names."""

from __future__ import annotations

import copy
import pickle
import time

import numpy as np
import pandas as pd
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model, refuses, unchanged
from tables import LIBRARIES, NAMES, N, network, of_arrow, rows, table


@pytest.fixture
def data(rng):
    return rows(rng)


ROUTES = {
    "fit": lambda model, X, y: model.fit(X, y, epochs=2, batch_size=16),
    "fit of one batch": lambda model, X, y: model.fit(X, y, epochs=2, batch_size=N),
    "partial_fit": lambda model, X, y: model.partial_fit(X, y, batch_size=16),
    "partial_fit of one batch": lambda model, X, y: model.partial_fit(X, y, batch_size=N),
    "train_on_batch": lambda model, X, y: model.train_on_batch(X, y),
    "a stream": lambda model, X, y: model.fit([(X[i : i + 16], y[i : i + 16]) for i in range(0, N, 16)]),
    "fit_many": lambda model, X, y: fl.fit_many([model], X, y, epochs=2, verbose=0),
}


@pytest.mark.parametrize("make", LIBRARIES)
@pytest.mark.parametrize("route", ROUTES)
def test_the_names_are_remembered_however_it_learns(route, make, data):
    X, y = data
    if make is of_arrow and route == "a stream":
        pytest.skip("no slices of rows")
    model, twin = network(), network()
    ROUTES[route](model, table(X, NAMES, make), y)
    ROUTES[route](twin, X, y)
    swapped = table(X, list("dcba"), make)
    assert model.names.columns == tuple(NAMES)
    assert_same_bits([model.predict(swapped)], [twin.predict(X)])
    assert model.evaluate(swapped, y) == twin.evaluate(X, y)
    assert model.loss_and_gradients(swapped, y)[0] == twin.loss_and_gradients(X, y)[0]
    for again, learn in ROUTES.items():
        if make is not of_arrow or again != "a stream":
            learn(model, swapped, y)
            learn(twin, X, y)
    assert_same_bits(model.get_weights(), twin.get_weights())


def test_full_batch_methods_and_chains_remember_names(data):
    X, y = data
    for optimizer in (fl.LBFGS(), fl.Chain([(fl.Adam(), 3), (fl.LBFGS(), 3)])):
        model, twin = network(optimizer=optimizer), network(optimizer=optimizer)
        model.fit(table(X), y, epochs=4)
        twin.fit(X, y, epochs=4)
        model.fit(table(X, list("bdca")), y, epochs=2)
        twin.fit(X, y, epochs=2)
        assert_same_bits(model.get_weights(), twin.get_weights())


def test_validation_data_and_streams_of_predictions_are_put_in_order(data):
    X, y = data
    swapped = table(X, list("cadb"))
    twin = network()
    expected = twin.fit(X, y, epochs=3, validation_data=(X, y)).history
    for held_out in ((swapped, y), [(swapped[:50], y[:50]), (swapped[50:], y[50:])]):
        model = network()
        history = model.fit(table(X), y, epochs=3, validation_data=held_out).history
        assert history["loss"] == expected["loss"]
        np.testing.assert_allclose(history["val_loss"], expected["val_loss"], rtol=1e-13)
    many = network()
    assert fl.fit_many([many], table(X), y, epochs=3, validation_data=(swapped, y))[0].history == expected
    parts = [swapped[:50], table(X)[50:]]
    assert_same_bits([model.predict(parts)], [model.predict(X)])
    pairs = [(part, y[rows]) for part, rows in zip(parts, (slice(50), slice(50, None)), strict=True)]
    assert model.evaluate(pairs)["loss"] == pytest.approx(model.evaluate(X, y)["loss"])


def test_batches_of_a_stream_are_put_in_order(data):
    X, y = data
    orders = ["abcd", "dcba", "bacd"]
    batches = [
        (table(X, list(o))[i : i + 32], y[i : i + 32]) for o, i in zip(orders, (0, 32, 64), strict=True)
    ]
    model, twin = network(), network()
    model.fit(batches, epochs=2)
    twin.fit([(X[i : i + 32], y[i : i + 32]) for i in (0, 32, 64)], epochs=2)
    assert_same_bits(model.get_weights(), twin.get_weights())


def test_many_models_know_their_own_names(data):
    X, y = data
    known, twin, new = network(), network(), network()
    known.fit(table(X), y)
    twin.fit(X, y)
    swapped = table(X, list("dcba"))
    fl.fit_many([known, new], swapped, y, epochs=2, verbose=0)
    twin.fit(X, y, epochs=2)
    assert_same_bits(known.get_weights(), twin.get_weights())
    assert new.names.columns == tuple("dcba")


def test_multi_start_takes_tables(data):
    X, y = data
    frame = table(X).assign(a=pd.array(X[:, 0] > 0, "boolean"))
    plain = np.column_stack([X[:, 0] > 0, X[:, 1:]])
    found, expected = (fl.multi_start(network(), rows, y, 3, epochs=5) for rows in (frame, plain))
    assert found.best.names.columns == tuple(NAMES)
    assert_same_bits(found.best.get_weights(), expected.best.get_weights())
    probe = fl.multi_start(network(), frame, y, 3, epochs=5, probe=frame[list("dcba")][:40])
    assert_same_bits(probe.best.get_weights(), expected.best.get_weights())


def through_file(model, folder):
    model.save(folder / "model.safetensors")
    return fl.load_model(folder / "model.safetensors")


@pytest.mark.parametrize(
    "copied",
    [through_file, lambda m, _: pickle.loads(pickle.dumps(m)), lambda m, _: copy.deepcopy(m)],
    ids=["file", "pickle", "deepcopy"],
)
def test_copies_know_the_names(copied, data, tmp_path):
    X, y = data
    model = network(outputs=2)
    Y = pd.DataFrame({"u": y, "v": -y})
    model.fit(table(X), Y)
    again = copied(model, tmp_path)
    assert again.names == model.names == (tuple(NAMES), ("u", "v"))
    assert again.evaluate(table(X, list("bacd")), Y[["v", "u"]]) == model.evaluate(X, Y)
    with refuses(ValueError, "'e'"):
        again.predict(table(X).rename(columns={"a": "e"}))
    again.fit(table(X, list("bacd")), Y[["v", "u"]])
    model.fit(X, Y.to_numpy())
    assert_same_model(again, model)


def test_a_fit_that_goes_on_keeps_the_order_of_its_columns(data, tmp_path):
    X, y = data

    def script(rows, *, power_cut):
        model = network()
        callbacks = [fl.BackupAndRestore(tmp_path / "fit.safetensors")]
        if power_cut:
            callbacks.append(fl.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch == 2 and 1 / 0))
        model.fit(rows, y, epochs=5, callbacks=callbacks)
        return model

    with pytest.raises(ZeroDivisionError):
        script(table(X), power_cut=True)
    with refuses(ValueError, "names"):
        script(table(X, list("dcba")), power_cut=False)
    resumed = script(table(X), power_cut=False)
    assert resumed.names.columns == tuple(NAMES)
    assert_same_model(resumed, script(table(X), power_cut=False))


OTHERS = {
    "a column less": (list("abc"), r"X lacks 'd'; expected the columns 'a', 'b', 'c', 'd'"),
    "another name": (["a", "b", "c", "e"], r"X lacks 'd' and has 'e'"),
    "a column more": (["a", "b", "c", "d", "e"], r"X has 'e'"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_columns_are_refused_by_name(name, data):
    X, y = data
    columns, match = OTHERS[name]
    model = network()
    model.fit(table(X), y)
    frame = table(X).assign(e=0.0)[columns]
    for call in (
        lambda: model.predict(frame),
        lambda: model.predict([frame, frame]),
        lambda: model.evaluate(frame, y),
        lambda: model.fit(frame, y),
        lambda: model.partial_fit(frame, y),
        lambda: model.train_on_batch(frame, y),
        lambda: model.loss_and_gradients(frame, y),
        lambda: model.fit(table(X), y, validation_data=(frame, y)),
        lambda: fl.fit_many([model], frame, y, verbose=0),
    ):
        with unchanged(model), refuses(ValueError, match):
            call()
    model.fit(X, y)  # who gives arrays says what they are


def test_columns_that_nobody_named_have_places_for_names(data):
    X, y = data
    model = network()
    model.fit(pd.DataFrame(X), y)
    assert model.names.columns == ("0", "1", "2", "3")
    assert_same_bits([model.predict(pd.DataFrame(X)[[3, 1, 0, 2]])], [model.predict(X)])


def test_a_name_that_stands_twice_is_refused(data):
    X, y = data
    with refuses(ValueError, "'a' twice"):
        network().fit(table(X).set_axis(list("abca"), axis=1), y)


def test_a_failed_fit_has_learned_no_names(data):
    X, y = data
    model = network()
    with refuses(ValueError, "batch_size"):
        model.fit(table(X), y, batch_size=0)
    with refuses(ValueError, "y has"):
        model.fit(table(X), y[:-1])
    model.evaluate(table(X), y)  # learns nothing either
    assert model.names == (None, None)
    model.fit(table(X, list("dcba")), y)
    assert model.names.columns == tuple("dcba")


def test_targets_are_put_in_order(data):
    X, y = data
    Y = pd.DataFrame({"u": y, "v": 10 * y, "w": -y})
    model = network(outputs=3)
    model.fit(X, Y, epochs=2)
    expected = model.evaluate(X, Y.to_numpy())
    assert model.evaluate(X, Y[["w", "u", "v"]]) == expected
    with refuses(ValueError, "y lacks 'w'"):
        model.evaluate(X, Y[["u", "v"]])


def test_a_single_column_of_targets_needs_no_name(data):
    X, y = data
    model = network()
    model.fit(X, pd.DataFrame({"price": y}))
    assert model.evaluate(X, pd.DataFrame({"cost": y})) == model.evaluate(X, y)


def test_names_cost_predictions_from_arrays_nothing(data):
    X, y = data
    model, twin = network(), network()
    model.fit(table(X), y)
    twin.fit(X, y)
    row, best = X[:1], {}
    for _ in range(60):
        for name, each in (("named", model), ("plain", twin)):
            start = time.perf_counter()
            for _ in range(20):
                each.predict(row)
            best[name] = min(best.get(name, 9.0), time.perf_counter() - start)
    assert best["named"] < 1.5 * best["plain"]
