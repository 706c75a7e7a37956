"""Embedding: columns of integers become learned vectors."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses, unchanged

ROWS = 90


def mixed(rng, rows=ROWS):
    """Two columns of numbers around integers below 7 and below 40."""
    return np.column_stack(
        [rng.normal(size=rows), rng.integers(0, 7, rows), rng.normal(size=rows), rng.integers(0, 40, rows)]
    )


def built(dtype="float64", rule="sgd", units=(3, 17)):
    layers = [fl.Embedding([7, 40], units, columns=[1, -1]), fl.Dense(9, "tanh"), fl.Dense(2)]
    model = fl.Model(layers, seed=0, dtype=dtype)
    model.compile(rule, "mse")
    model.build(4)
    return model


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_it_is_that_of_torch(rule, rng):
    torch = pytest.importorskip("torch")
    model = built(rule={"sgd": fl.SGD(0.5), "adam": fl.Adam(0.01)}[rule])
    p = [torch.tensor(w, requires_grad=True) for w in model.get_weights()]
    optimizer = torch.optim.SGD(p, 0.5) if rule == "sgd" else torch.optim.Adam(p, 0.01)

    def net(x):
        f = torch.nn.functional
        codes = torch.tensor(x[:, [1, 3]], dtype=torch.long)
        first, second = f.embedding(codes[:, 0], p[0]), f.embedding(codes[:, 1], p[1])
        h = torch.cat([torch.tensor(x[:, [0, 2]]), first, second], dim=1)
        return torch.tanh(h @ p[2] + p[3]) @ p[4] + p[5]

    for _ in range(10):
        x, y = mixed(rng), rng.normal(size=(ROWS, 2))
        np.testing.assert_allclose(model.predict(x), net(x).detach().numpy(), rtol=1e-11, atol=1e-13)
        loss = torch.nn.functional.mse_loss(net(x), torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        for ours, parameter in zip(model.loss_and_gradients(x, y)[1], p, strict=True):
            np.testing.assert_allclose(ours, parameter.grad.numpy(), rtol=1e-10, atol=1e-14)
        optimizer.step()
        assert model.train_on_batch(x, y) == pytest.approx(loss.item(), rel=1e-12)


def test_it_is_a_dense_layer_on_one_hot_columns(rng):
    x, y = rng.integers(0, 7, (ROWS, 1)), rng.normal(size=(ROWS, 4))
    embedding = fl.Model([fl.Input(1), fl.Embedding(7, 4)], seed=0, dtype="float64")
    dense = fl.Model([fl.Input(7), fl.Dense(4, use_bias=False)], seed=0, dtype="float64")
    dense.set_weights(embedding.get_weights())
    for model, rows in ((embedding, x), (dense, np.eye(7)[x[:, 0]])):
        model.compile(fl.SGD(0.5, momentum=0.9), "mse")
        model.fit(rows, y, batch_size=8, epochs=3)
    np.testing.assert_allclose(embedding.get_weights()[0], dense.get_weights()[0], rtol=1e-12, atol=1e-14)


def test_only_the_rows_seen_learn(rng):
    model = built(rule=fl.SGD(0.5))
    x, y = mixed(rng), rng.normal(size=(ROWS, 2))
    x[:, 1], x[:, 3] = np.where(x[:, 1] < 4, 2, 5), 11
    before = model.get_weights()
    model.fit(x, y, batch_size=8)
    for table, old, seen in zip(model.get_weights(), before[:2], ([2, 5], [11]), strict=False):
        moved = (table != old).any(axis=1)
        assert np.flatnonzero(moved).tolist() == seen


@pytest.mark.parametrize("batch", [32, 5000])
def test_threads_do_not_change_a_bit(batch, rng):
    rows = 300 if batch == 32 else 11000
    x, y = mixed(rng, rows), rng.normal(size=(rows, 2))
    results = []
    for n in (1, 2, 3):
        with fl.threads(n):
            layers = [fl.Embedding([7, 40], [3, 170], columns=[1, -1]), fl.Dense(60, "relu"), fl.Dense(2)]
            model = fl.Model([fl.Input(4), *layers], seed=0)
            model.compile("adam", "mse")
            model.fit(x, y, batch_size=batch, epochs=2)
            results.append([*model.get_weights(), model.predict(x)])
    for result in results[1:]:
        assert_same_bits(result, results[0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "int16", "float32", "float64", "bool"])
def test_integers_of_every_kind(dtype, rng):
    x = rng.integers(0, 2, (ROWS, 3)).astype(dtype)
    model = fl.Model([fl.Embedding(2, 5, columns=[2, 0])], seed=0)
    t2, t0 = (np.zeros((2, 5), np.float32) for _ in range(2))
    model.build(3)
    t2, t0 = model.get_weights()
    expected = np.hstack([x[:, 1:2].astype(np.float32), t2[x[:, 2].astype(int)], t0[x[:, 0].astype(int)]])
    np.testing.assert_array_equal(model.predict(x), expected)


def test_large_codes_are_exact_in_float32():
    n = 2**20 + 7
    model = fl.Model([fl.Input(1), fl.Embedding(n, 1, table_initializer="zeros")], seed=0)
    table = np.zeros((n, 1), np.float32)
    codes = [0, 1, n // 2 + 1, n - 2, n - 1]
    table[codes] = np.arange(1, 6)[:, None]
    model.set_weights([table])
    for x in (np.array(codes), np.array(codes, np.float32)):
        np.testing.assert_array_equal(model.predict(x[:, None]), np.arange(1, 6)[:, None])


def test_tables_start_within_a_twentieth():
    model = fl.Model([fl.Input(2), fl.Embedding([300, 200], 10, columns=[0, 1])], seed=0)
    first, second = model.get_weights()
    for table in (first, second):
        assert 0.0499 < np.abs(table).max() <= 0.05
    assert (first[:200] != second).any()


BAD = [(-1, "-1 to"), (7, "to 7"), (2.5, "2.5"), (np.nan, "nan"), (np.inf, "inf")]


@pytest.mark.parametrize("value, told", BAD)
def test_values_that_no_table_has_are_refused(value, told, rng):
    model = built()
    good, y = mixed(rng), rng.normal(size=(ROWS, 2))
    x = good.copy()
    x[:, 1] = 2
    x[50, 1] = value
    calls = (
        lambda: model.predict(x),
        lambda: model.predict(x, batch_size=7),
        lambda: model.predict([good, x]),
        lambda: model.evaluate(x, y),
        lambda: model.train_on_batch(x, y),
        lambda: model.loss_and_gradients(x, y),
        lambda: model.fit(x, y),
        lambda: model.fit(good, y, validation_data=(x, y)),
        lambda: model.fit(x, y, validation_split=0.5),
    )
    with unchanged(model):
        for call in calls:
            with refuses(ValueError, r"X has values from .* in column 1; expected integers from 0 to 6"):
                call()
        with pytest.raises(ValueError, match=told):
            model.predict(x)


@pytest.mark.parametrize("value", [2.0**30, -1.0, np.nan, 40.0])
def test_codes_that_change_while_they_are_learned_stop_the_run(value, rng):
    class Spoil(fl.Callback):
        def on_epoch_end(self, *_):
            x[:, 3] = value

    model, x = built(), mixed(rng)
    with pytest.raises(fl.NonFiniteLoss, match="epoch 1"):
        model.fit(x, rng.normal(size=(ROWS, 2)), epochs=2, callbacks=[Spoil()])
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_model_that_refused_its_first_data_is_not_built(rng):
    model = fl.Model([fl.Embedding(3, 2), fl.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    for call in (lambda: model.predict([[3.0]]), lambda: model.fit([[3.0]], [[1.0]])):
        with refuses(ValueError, "integers from 0 to 2"):
            call()
        assert model.inputs is None


@pytest.mark.parametrize("columns", [[3], [-4], [0, -3], [2, -1]])
def test_columns_that_the_rows_do_not_have_are_refused(columns):
    with refuses(ValueError, "Embedding: columns is .* from 0 to 2, or from -3 to -1"):
        fl.Model([fl.Input(3), fl.Embedding(5, 2, columns=columns)])


def test_it_comes_before_all_that_computes():
    for layers in ([fl.Dense(3), fl.Embedding(3, 2)], [fl.Rescale(2.0), fl.Embedding(3, 2)]):
        with refuses(ValueError, r"Model: layers\[1\] is Embedding"):
            fl.Model(layers)
    fl.Model([fl.Input(3), fl.Embedding(3, 2)])
