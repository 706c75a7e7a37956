"""Bounds on norms, the proximal L1 penalty, and DropConnect."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model, refuses

INPUTS, ROWS = 23, 60


def data(rng, rows=ROWS, outputs=3):
    return rng.normal(size=(rows, INPUTS)), rng.normal(size=(rows, outputs))


def model_of(*layers, rule="sgd", dtype="float64", seed=0):
    model = fl.Model([fl.Input(INPUTS), *layers], seed=seed, dtype=dtype)
    model.compile(rule, "mse")
    return model


# --- MaxNorm ---


@pytest.mark.parametrize("route", [{}, {"clip_norm": 0.5}], ids=["fused", "arena"])
@pytest.mark.parametrize("make", [fl.Dense, fl.DropConnect, fl.Maxout], ids=lambda v: v.__name__)
def test_no_column_is_longer_than_its_limit_after_an_update(make, route, rng):
    start = fl.initializers.Normal(std=0.2)
    layer = make(90, kernel_initializer=start, kernel_constraint=fl.MaxNorm(0.9))
    model = model_of(layer, fl.Dense(3), rule=fl.SGD(0.05, momentum=0.9, **route), dtype="float32")
    x, y = data(rng)
    assert np.linalg.norm(model.layers[1].kernel, axis=0).max() > 0.9  # it is no bound on initial weights
    touched = []
    for _ in range(10):
        model.train_on_batch(x, y)
        norms = np.linalg.norm(model.layers[1].kernel.astype(np.float64), axis=0)
        assert norms.max() <= 0.9 * (1 + 1e-6)
        touched.append((norms > 0.9 * (1 - 1e-6)).mean())
    assert 0.05 < touched[0] < 1


def test_max_norm_shortens_columns_and_leaves_the_others_bit_for_bit(rng):
    x, y = data(rng)
    free = model_of(fl.Dense(90), fl.Dense(3), rule=fl.SGD(0.5))
    bound = model_of(fl.Dense(90, kernel_constraint=fl.MaxNorm(0.7)), fl.Dense(3), rule=fl.SGD(0.5))
    for model in (free, bound):
        model.train_on_batch(x, y)
    kernel, bounded = free.get_weights()[0], bound.get_weights()[0]
    norms = np.linalg.norm(kernel, axis=0)
    assert 5 < (norms > 0.7).sum() < 85
    assert_same_bits([bounded[:, norms < 0.7]], [kernel[:, norms < 0.7]])
    np.testing.assert_allclose(bounded, kernel * np.minimum(1, 0.7 / norms), rtol=1e-14, atol=1e-17)
    assert_same_bits(bound.get_weights()[1:], free.get_weights()[1:])
    for model in (free, bound):  # and the next pass uses them: forward, and the transposed kernel backward
        model.set_weights(bound.get_weights())
    free.compile(fl.SGD(0.5), "mse")
    assert_same_bits(free.loss_and_gradients(x, y)[1], bound.loss_and_gradients(x, y)[1])


def test_a_bounded_layer_goes_on_with_its_shortened_weights(rng):
    """Forward and backward of the batch after an update see what get_weights() shows."""
    x, y = data(rng)
    model = model_of(
        fl.Dense(40), fl.Dense(90, kernel_constraint=fl.MaxNorm(0.3)), fl.Dense(3), rule=fl.SGD(0.1)
    )
    for _ in range(3):
        model.train_on_batch(x, y)
    fresh = model_of(fl.Dense(40), fl.Dense(90), fl.Dense(3), rule=fl.SGD(0.1))
    fresh.set_weights(model.get_weights())
    assert_same_bits(model.loss_and_gradients(x, y)[1], fresh.loss_and_gradients(x, y)[1])
    assert_same_bits([model.predict(x)], [fresh.predict(x)])


def test_a_limit_that_is_never_reached_changes_nothing(rng):
    x, y = data(rng)
    models = [model_of(fl.Dense(40, kernel_constraint=c), fl.Dense(3)) for c in (None, fl.MaxNorm(1e6))]
    for model in models:
        model.fit(x, y, batch_size=8, epochs=2)
    assert_same_bits(models[0].get_weights(), models[1].get_weights())


@pytest.mark.parametrize("proximal", [False, True])
def test_bounds_and_thresholds_are_the_same_on_any_number_of_threads(proximal, rng):
    x, y = data(rng, 300)
    results = []
    for n in (1, 2, 3):
        with fl.threads(n):
            options = {
                "kernel_constraint": fl.MaxNorm(0.6),
                "kernel_regularizer": fl.L1(1e-3, proximal=True) if proximal else None,
            }
            model = model_of(
                fl.Dense(200, "relu", **options), fl.Dense(130, **options), fl.Dense(3), rule="adam", dtype="float32"
            )  # fmt: skip
            model.fit(x, y, batch_size=64, epochs=2)
            results.append(model.get_weights())
    for result in results[1:]:
        assert_same_bits(result, results[0])


def test_max_norm_is_saved_with_the_model(rng, tmp_path):
    model = model_of(fl.Dense(9, kernel_constraint=fl.MaxNorm(0.8)), fl.Dense(3))
    x, y = data(rng)
    model.fit(x, y, batch_size=8)
    model.save(tmp_path / "bound.safetensors")
    twins = [model, fl.load_model(tmp_path / "bound.safetensors"), copy.deepcopy(model)]
    for each in twins:
        assert each.layers[1].kernel_constraint.limit == 0.8
        each.fit(x, y, batch_size=8, epochs=2)
        assert_same_model(each, model)


@pytest.mark.parametrize("limit", [0.0, -1.0, np.nan, np.inf, "3"])
def test_bad_limits_are_refused(limit):
    with refuses(TypeError if limit == "3" else ValueError, "MaxNorm: limit"):
        fl.MaxNorm(limit)


# --- L1, proximal ---


def penalised(penalty, rate, start, factor=None, rule=fl.SGD):
    """A model whose data gradient is 0, since its rows are: only the penalty moves its kernel."""
    model = fl.Model([fl.Input(1), fl.Dense(len(start), kernel_regularizer=penalty)], seed=0, dtype="float64")
    if factor is not None:
        model.layers[1].group = fl.ParameterGroup(factor)
    model.compile(rule(rate), "mse")
    model.set_weights([np.array([start]), np.zeros(len(start))])
    return model, np.zeros((1, 1)), np.zeros((1, len(start)))


@pytest.mark.parametrize("rule", [fl.SGD, fl.Adam])
@pytest.mark.parametrize("factor", [None, 0.5])
def test_proximal_l1_walks_to_zero_and_stays(rule, factor, rng):
    """|w_t| = max(|w_0| - t rate lam, 0), whatever the rule: the penalty is not in the gradient."""
    start = [1.0, -1.0, 0.0, 0.3, -0.3, 5.0]
    model, x, y = penalised(fl.L1(0.5, proximal=True), 0.25, start, factor, rule)
    step = 0.125 * (factor or 1)
    for t in range(1, 25):
        model.train_on_batch(x, y)
        expected = np.sign(start) * np.maximum(np.abs(start) - t * step, 0)
        np.testing.assert_allclose(model.get_weights()[0][0], expected, rtol=0, atol=1e-14)
    zeros = [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(model.get_weights()[0][0, zeros], 0)
    np.testing.assert_array_equal(model.get_weights()[1], 0)


def test_plain_l1_never_rests_where_proximal_l1_does(rng):
    plain, x, y = penalised(fl.L1(0.5), 0.25, [0.3])
    path = []
    for _ in range(20):
        path.append(plain.get_weights()[0][0, 0])
        assert plain.train_on_batch(x, y) == pytest.approx(0.5 * abs(path[-1]))
    np.testing.assert_allclose(path, [0.3, 0.175, 0.05, *[-0.075, 0.05] * 8, -0.075], atol=1e-14)


def test_the_loss_tells_the_proximal_penalty_and_the_gradient_leaves_it_out(rng):
    x, y = data(rng)
    free = model_of(fl.Dense(3))
    model = model_of(fl.Dense(3, kernel_regularizer=fl.L1(0.25, proximal=True)))
    penalty = 0.25 * np.abs(model.get_weights()[0]).sum()
    (loss, gradients), (expected, expected_gradients) = (m.loss_and_gradients(x, y) for m in (model, free))
    assert loss - expected == pytest.approx(penalty, rel=1e-12)
    assert model.evaluate(x, y)["loss"] == pytest.approx(loss, rel=1e-13)
    assert_same_bits(gradients, expected_gradients)


def test_proximal_l1_solves_the_lasso(rng):
    """On a design with X'X = n I: w = S(w_ls, lam / 2), the soft threshold of least squares, zeros included."""
    n, lam = 64, 0.4
    x = np.linalg.qr(rng.normal(size=(n, INPUTS)))[0] * np.sqrt(n)
    w = np.where(np.arange(INPUTS) % 3 == 0, rng.normal(size=INPUTS), 0.05)
    y = (x @ w)[:, None]
    ends = {}
    for proximal in (False, True):
        layer = fl.Dense(1, use_bias=False, kernel_regularizer=fl.L1(lam, proximal=proximal))
        model = fl.Model([fl.Input(INPUTS), layer], seed=0, dtype="float64")
        model.compile(fl.SGD(0.1), "mse")
        model.fit(x, y, batch_size=n, epochs=400)
        ends[proximal] = model.get_weights()[0][:, 0]
    expected = np.sign(w) * np.maximum(np.abs(w) - lam / 2, 0)
    assert 10 < (expected == 0).sum() < INPUTS
    np.testing.assert_allclose(ends[True], expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ends[True] == 0, expected == 0)
    assert (ends[False] != 0).all()


# --- DropConnect ---


def dropped(rate, steps=1, seed=0, inputs=300, units=7):
    """The masks (steps, inputs, units) of a DropConnect layer.

    From weights of 0, a row of ones whose targets are 1/2 moves each weight by its mask over 1 - rate.
    """
    found = []
    model = fl.Model(
        [fl.Input(inputs), fl.DropConnect(units, rate, use_bias=False)], seed=seed, dtype="float64"
    )
    model.compile(fl.SGD(1.0), fl.MSE(reduction="sum"))
    for _ in range(steps):
        model.set_weights([np.zeros((inputs, units))])
        model.train_on_batch(np.ones((1, inputs)), np.full((1, units), 0.5 * units))
        found.append(model.get_weights()[0] * (1 - rate))
    return np.array(found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rate_zero_is_dense(dtype, rng):
    x, y = data(rng)
    models = [
        model_of(
            fl.Dense(9, "tanh"), make(31, activation="relu", **rate), fl.Dense(3), dtype=dtype, rule="adam"
        )
        for make, rate in ((fl.Dense, {}), (fl.DropConnect, {"rate": 0.0}))
    ]
    for model in models:
        model.fit(x, y, batch_size=8, epochs=3)
    assert_same_bits(models[0].get_weights(), models[1].get_weights())


def test_prediction_uses_all_weights(rng):
    x, y = data(rng)
    model = model_of(fl.DropConnect(31, 0.5, activation="tanh"), fl.DropConnect(3, 0.9))
    model.fit(x, y, batch_size=8)
    k0, b0, k1, b1 = model.get_weights()
    out = np.tanh(x @ k0 + b0) @ k1 + b1
    np.testing.assert_allclose(model.predict(x), out, rtol=1e-12, atol=1e-14)
    assert model.evaluate(x, y)["loss"] == pytest.approx(((out - y) ** 2).mean(), rel=1e-12)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_weights_are_dropped_at_their_rate(rate):
    masks = dropped(rate, steps=4)
    values = np.unique(masks.round(12))
    np.testing.assert_allclose(values, [0, values[-1]])
    kept = (masks > 0).mean()
    assert abs(kept - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / masks.size)


def test_masks_follow_from_seed_and_step():
    one = dropped(0.5, steps=3) > 0
    np.testing.assert_array_equal(one, dropped(0.5, steps=3) > 0)
    other = dropped(0.5, steps=3, seed=1) > 0
    # mask by mask, and against its neighbours within a mask
    flat = [
        *one.reshape(3, -1),
        *other.reshape(3, -1),
        np.roll(one[0], 1, 0).ravel(),
        np.roll(one[0], 1, 1).ravel(),
    ]
    correlation = np.corrcoef(flat) - np.eye(len(flat))
    assert np.abs(correlation).max() < 5 / np.sqrt(one[0].size)


def test_two_layers_drop_different_weights(rng):
    model = fl.Model([fl.Input(60), *[fl.DropConnect(60, 0.5, use_bias=False) for _ in range(3)]], seed=0)
    model.compile("sgd", "mse")
    _, gradients = model.loss_and_gradients(rng.normal(size=(9, 60)), rng.normal(size=(9, 60)))
    masks = [(g != 0).ravel() for g in gradients]
    correlation = np.corrcoef(masks) - np.eye(3)
    assert np.abs(correlation).max() < 5 / 60


def test_dropped_weights_get_no_gradient_and_kept_ones_that_of_the_masked_network(rng):
    rate = 0.4
    x, y = data(rng)
    model = model_of(fl.DropConnect(31, rate, activation="tanh"), fl.DropConnect(3, rate))
    loss, gradients = model.loss_and_gradients(x, y)
    masks = [(gradients[i] != 0) / (1 - rate) for i in (0, 2)]
    k0, b0, k1, b1 = model.get_weights()
    assert 0.5 < (masks[0] > 0).mean() < 0.7
    twin = model_of(fl.Dense(31, "tanh"), fl.Dense(3))
    twin.set_weights([k0 * masks[0], b0, k1 * masks[1], b1])
    expected, by_masked = twin.loss_and_gradients(x, y)
    assert loss == pytest.approx(expected, rel=1e-13)
    for i, factor in enumerate((masks[0], 1.0, masks[1], 1.0)):
        np.testing.assert_allclose(gradients[i], by_masked[i] * factor, rtol=1e-11, atol=1e-14)


def test_the_mean_of_masked_outputs_is_the_full_output(rng):
    """Of a linear layer; within 4 standard errors."""
    x = rng.normal(size=(1, INPUTS))
    model = model_of(fl.DropConnect(1, 0.5), rule=fl.SGD(0.0))
    outputs = []
    for _ in range(2000):
        _, (_, bias) = model.loss_and_gradients(x, np.zeros((1, 1)))
        outputs.append(bias[0] / 2)  # the gradient of the bias is twice the output
        model.train_on_batch(x, np.zeros((1, 1)))  # only the step counts: the rate is 0
    full = model.predict(x)[0, 0]
    assert np.std(outputs) > 0.1
    assert abs(np.mean(outputs) - full) < 4 * np.std(outputs) / np.sqrt(len(outputs))


@pytest.mark.parametrize("batch", [64, 5000])
def test_dropconnect_is_the_same_on_any_number_of_threads(batch, rng):
    x, y = data(rng, 300 if batch == 64 else 11000)
    results = []
    for n in (1, 2, 3):
        with fl.threads(n):
            layers = [
                fl.DropConnect(90, 0.5, activation="relu"),
                fl.Dropout(0.2),
                fl.DropConnect(70, 0.3),
                fl.Dense(3),
            ]
            model = model_of(*layers, rule="adam", dtype="float32")
            model.fit(x, y, batch_size=batch, epochs=2)
            results.append([*model.get_weights(), model.predict(x)])
    for result in results[1:]:
        assert_same_bits(result, results[0])
