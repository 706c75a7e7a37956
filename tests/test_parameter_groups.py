"""Layers that are frozen, or learn at a rate and with a decay of their own."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fallline as fl
from cases.optimizers import OPTIMIZERS
from helpers import assert_same_bits, assert_same_model, refuses

INPUTS, HIDDEN, ROWS = 7, 19, 60


def layers():
    return [fl.Dense(HIDDEN, "tanh"), fl.Dense(HIDDEN, "relu"), fl.Dense(HIDDEN, "tanh"), fl.Dense(2)]


def model_of(optimizer, groups=(), dtype="float64", make=layers):
    """The model, with a ParameterGroup for each layer that has one in `groups`, a mapping."""
    model = fl.Model([fl.Input(INPUTS), *make()], seed=2, dtype=dtype)
    for place, group in dict(groups).items():
        model.layers[place].group = group
    model.compile(optimizer, "mse")
    return model


def data(rng):
    return rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, 2))


FROZEN = fl.ParameterGroup(trainable=False)


@pytest.mark.parametrize("make", [case.make for case in OPTIMIZERS], ids=lambda v: v.__name__)
@pytest.mark.parametrize("frozen", [[1], [2], [1, 2], [1, 3], [4], [1, 2, 3, 4]], ids=str)
def test_frozen_layers_stay_bit_for_bit(make, frozen, rng):
    """With every optimizer, weight decay and clipping; what is not frozen moves."""
    model = model_of(make(0.01, weight_decay=0.1, clip_norm=0.5), dict.fromkeys(frozen, FROZEN), "float32")
    x, y = data(rng)
    before = model.get_weights()
    model.fit(x, y, batch_size=16, epochs=2)
    model.train_on_batch(x, y)
    for i, (old, new) in enumerate(zip(before, model.get_weights(), strict=True)):
        assert (old.tobytes() == new.tobytes()) == (i // 2 + 1 in frozen)


@pytest.mark.parametrize("frozen", [[1], [2], [1, 3], [4], [1, 2, 3, 4]], ids=str)
def test_frozen_parameters_have_gradients_of_zero_and_the_others_do_not_notice(frozen, rng):
    model, free = model_of("sgd", dict.fromkeys(frozen, FROZEN)), model_of("sgd")
    x, y = data(rng)
    (loss, ours), (expected, theirs) = (m.loss_and_gradients(x, y) for m in (model, free))
    assert loss == expected
    for i, (g, e) in enumerate(zip(ours, theirs, strict=True)):
        if i // 2 + 1 in frozen:
            np.testing.assert_array_equal(g, 0)
        else:
            assert_same_bits([g], [e])


@pytest.mark.parametrize("clipped", [False, True])
def test_training_above_frozen_layers_is_training_on_what_they_put_out(clipped, rng):
    """The twin has no frozen layers: its data are their output."""
    rule = fl.AdamW(0.01, clip_norm=0.1 if clipped else None)
    model = model_of(rule, {1: FROZEN, 2: FROZEN})
    x, y = data(rng)
    below = fl.Model([fl.Input(INPUTS), *layers()[:2]], seed=2, dtype="float64")
    below.set_weights(model.get_weights()[:4])
    twin = fl.Model([fl.Input(HIDDEN), *layers()[2:]], seed=2, dtype="float64")
    twin.compile(rule, "mse")
    twin.set_weights(model.get_weights()[4:])
    model.fit(x, y, batch_size=16, epochs=3)
    twin.fit(below.predict(x), y, batch_size=16, epochs=3)
    for a, b in zip(model.get_weights()[4:], twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_a_layer_of_rate_zero_moves_like_a_frozen_one(rng):
    x, y = data(rng)
    frozen, slow = (model_of("adam", {2: g}) for g in (FROZEN, fl.ParameterGroup(learning_rate_factor=0.0)))
    for model in (frozen, slow):
        model.fit(x, y, batch_size=16, epochs=2)
    assert_same_bits(frozen.get_weights(), slow.get_weights())


def test_everything_frozen_trains_nothing_and_still_tells_the_loss(rng):
    model = model_of(fl.Adam(clip_norm=1.0), dict.fromkeys((1, 2, 3, 4), FROZEN))
    x, y = data(rng)
    before = model.get_weights()
    loss = model.evaluate(x, y)["loss"]
    assert model.train_on_batch(x, y) == pytest.approx(loss, rel=1e-13)
    assert model.fit(x, y, batch_size=ROWS).history["loss"] == pytest.approx([loss], rel=1e-13)
    assert_same_bits(model.get_weights(), before)


def test_penalties_of_frozen_layers_are_no_part_of_the_loss(rng):
    """Nothing could be done about them."""

    def penalised():
        return [fl.Dense(HIDDEN, "tanh", kernel_regularizer=fl.L2(0.1)), fl.Dense(2)]

    x, y = data(rng)
    model, free = (model_of("sgd", g, make=penalised) for g in ({1: FROZEN}, {}))
    penalty = 0.05 * (model.get_weights()[0] ** 2).sum()
    assert free.evaluate(x, y)["loss"] - model.evaluate(x, y)["loss"] == pytest.approx(penalty, rel=1e-10)
    assert model.loss_and_gradients(x, y)[0] == pytest.approx(model.evaluate(x, y)["loss"], rel=1e-13)


# --- rates and decays, as the parameter groups of torch ---

GROUPS = {
    1: fl.ParameterGroup(0.1),
    2: fl.ParameterGroup(weight_decay=0.0),
    3: fl.ParameterGroup(2.0, weight_decay=0.5),
}


def torch_groups(torch, parameters, rate, decay):
    groups = []
    for layer in range(4):
        group = GROUPS.get(layer + 1, fl.ParameterGroup())
        own = decay if group.weight_decay is None else group.weight_decay
        these = parameters[2 * layer : 2 * layer + 2]
        groups.append({"params": these, "lr": rate * group.learning_rate_factor, "weight_decay": own})
    return groups


@pytest.mark.parametrize("rule", ["SGD", "AdamW"])
def test_groups_are_those_of_torch(rule, rng):
    torch = pytest.importorskip("torch")
    rate, decay = (0.05, 0.2) if rule == "SGD" else (0.01, 0.2)
    model = model_of(getattr(fl, rule)(rate, weight_decay=decay), GROUPS)
    p = [torch.tensor(w, requires_grad=True) for w in model.get_weights()]
    # without momentum, decay in the gradient is decay of the weights
    optimizer = getattr(torch.optim, rule)(torch_groups(torch, p, rate, decay))
    for _ in range(20):
        x, y = data(rng)
        h = torch.tanh(torch.tensor(x) @ p[0] + p[1])
        h = torch.tanh(torch.relu(h @ p[2] + p[3]) @ p[4] + p[5])
        loss = torch.nn.functional.mse_loss(h @ p[6] + p[7], torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.train_on_batch(x, y)
    for ours, theirs in zip(model.get_weights(), p, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [case.make for case in OPTIMIZERS], ids=lambda v: v.__name__)
def test_a_factor_for_all_is_a_rate_for_all(make, rng):
    x, y = data(rng)
    plain = model_of(make(0.01, weight_decay=0.1))
    grouped = model_of(make(0.04), {i: fl.ParameterGroup(0.25, weight_decay=0.1) for i in (1, 2, 3, 4)})
    for model in (plain, grouped):
        model.fit(x, y, batch_size=16, epochs=2)
    assert_same_bits(grouped.get_weights(), plain.get_weights())


def test_threads_do_not_change_a_bit(rng):
    x, y = rng.normal(size=(300, INPUTS)), rng.normal(size=(300, 2))

    def wide():
        return [fl.Dense(90, "tanh"), fl.Dense(70, "relu"), fl.Dense(90, "tanh"), fl.Dense(2)]

    results = []
    for n in (1, 2, 3):
        with fl.threads(n):
            model = model_of("adamw", GROUPS | {2: FROZEN}, "float32", wide)
            model.fit(x, y, batch_size=64, epochs=2)
            results.append(model.get_weights())
    for result in results[1:]:
        assert_same_bits(result, results[0])


def test_groups_of_a_block_and_of_its_layers_go_together(rng):
    """Factors multiply, the inner decay counts, and what is frozen outside is frozen inside."""

    def block():
        return [fl.Residual([fl.Dense(INPUTS, "tanh"), fl.Dense(INPUTS), fl.PReLU()]), fl.Dense(2)]

    def flat(groups):
        model = model_of(fl.SGD(0.1, weight_decay=0.3), make=block)
        inner = model.layers[1].layers
        for place, group in groups.items():
            (model.layers[1] if place is None else inner[place]).group = group
        model.compile(fl.SGD(0.1, weight_decay=0.3), "mse")
        return model

    x, y = data(rng)
    start, gradients = flat({}).get_weights(), flat({}).loss_and_gradients(x, y)[1]
    kernel0, bias0, kernel1, bias1, slope = range(5)
    cases = [
        ({}, [(1, 0.3), (1, 0.3), (1, 0.0)]),
        ({None: fl.ParameterGroup(0.5)}, [(0.5, 0.3), (0.5, 0.3), (0.5, 0.0)]),
        (
            {None: fl.ParameterGroup(0.5, weight_decay=0.1), 0: fl.ParameterGroup(0.2)},
            [(0.1, 0.1), (0.5, 0.1), (0.5, 0.0)],
        ),
        ({0: FROZEN}, [(0, 0), (1, 0.3), (1, 0.0)]),
        ({None: FROZEN, 1: fl.ParameterGroup(2.0)}, [(0, 0)] * 3),
    ]
    for groups, ways in cases:
        model = flat(groups)
        model.train_on_batch(x, y)
        after = model.get_weights()
        for which, (factor, decay) in zip(((kernel0, bias0), (kernel1, bias1), (slope,)), ways, strict=True):
            for i in which:
                expected = start[i] * (1 - 0.1 * factor * decay) - 0.1 * factor * gradients[i]
                np.testing.assert_allclose(after[i], expected, rtol=1e-12, atol=1e-15)
                assert factor or after[i].tobytes() == start[i].tobytes()


# --- when they count, and where they are kept ---


def test_a_group_counts_from_the_next_compile_on(rng):
    x, y = data(rng)
    model = model_of("sgd")
    before = model.get_weights()[0]
    model.layers[1].trainable = False
    model.train_on_batch(x, y)
    after = model.get_weights()[0]
    assert (after != before).all()
    model.compile("sgd", "mse")
    model.train_on_batch(x, y)
    assert_same_bits([model.get_weights()[0]], [after])
    model.layers[1].trainable = True
    model.compile("sgd", "mse")
    model.train_on_batch(x, y)
    assert (model.get_weights()[0] != after).all()


def test_trainable_keeps_the_rest_of_the_group():
    layer = fl.Dense(3)
    assert layer.trainable
    assert layer.group is None
    layer.group = fl.ParameterGroup(0.5, weight_decay=0.25)
    layer.trainable = False
    assert layer.group.get_config() == {"learning_rate_factor": 0.5, "weight_decay": 0.25, "trainable": False}
    layer.trainable = True
    assert layer.group.get_config() == {"learning_rate_factor": 0.5, "weight_decay": 0.25, "trainable": True}


def test_groups_given_before_the_model_is_made(rng):
    x, y = data(rng)
    layer = fl.Dense(4, "tanh")
    layer.trainable = False
    model = fl.Model([layer, fl.Dense(2)], seed=0)
    model.compile("adam", "mse")
    model.build(INPUTS)
    before = model.get_weights()
    model.fit(x, y)
    assert_same_bits(model.get_weights()[:2], before[:2])
    assert (model.get_weights()[2] != before[2]).all()


@pytest.mark.parametrize("how", ["file", "pickle", "deepcopy"])
def test_groups_are_kept(how, rng, tmp_path):
    def mixed():
        return [fl.Dense(9), fl.PReLU(), fl.PReLU(), fl.Residual([fl.Dense(9), fl.PReLU()]), fl.Dense(2)]

    model = model_of("adamw", {1: GROUPS[1], 2: None, 5: GROUPS[3]}, make=mixed)
    model.layers[4].layers[0].trainable = False
    model.compile("adamw", "mse")
    x, y = data(rng)
    model.fit(x, y, batch_size=16)
    if how == "file":
        model.save(tmp_path / "groups.safetensors")
        twin = fl.load_model(tmp_path / "groups.safetensors")
    else:
        twin = pickle.loads(pickle.dumps(model)) if how == "pickle" else copy.deepcopy(model)
    assert twin.layers[2].group is None
    assert twin.layers[3].group.weight_decay == 0.0
    assert not twin.layers[4].layers[0].trainable
    for m in (model, twin):
        m.fit(x, y, batch_size=16, epochs=2)
    assert_same_model(twin, model)


@pytest.mark.parametrize(
    "options, exception, match",
    [
        ({"learning_rate_factor": -0.1}, ValueError, "learning_rate_factor"),
        ({"learning_rate_factor": float("inf")}, ValueError, "learning_rate_factor"),
        ({"learning_rate_factor": "0.1"}, TypeError, "learning_rate_factor"),
        ({"weight_decay": -0.1}, ValueError, "weight_decay"),
        ({"weight_decay": float("nan")}, ValueError, "weight_decay"),
        ({"weight_decay": "none"}, TypeError, "weight_decay"),
        ({"trainable": 1}, TypeError, "trainable"),
        ({"trainable": None}, TypeError, "trainable"),
    ],
)
def test_bad_arguments_are_refused(options, exception, match):
    with refuses(exception, f"ParameterGroup: {match}"):
        fl.ParameterGroup(**options)


def test_a_layer_takes_nothing_else_for_a_group():
    layer = fl.Dense(3)
    with refuses(TypeError, "Dense: group is 0.1; expected a ParameterGroup or None"):
        layer.group = 0.1
    with refuses(TypeError, "Dense: trainable is 0; expected True or False"):
        layer.trainable = 0
    assert layer.group is None


@pytest.mark.parametrize("clone", ["deepcopy", "pickle", "file"])
def test_a_copy_learns_as_the_model_was_compiled(clone, tmp_path, rng):
    """What is frozen after compile() stays so in name only, in the model and in its copies, until the next one."""
    x, y = rng.normal(size=(40, 5)), rng.normal(size=(40, 2))
    model = fl.Model([fl.Input(5), fl.Dense(4, "tanh"), fl.Dense(2)], seed=0)
    model.compile("adam", "mse")
    model.fit(x, y)
    model.layers[1].trainable = False
    model.save(tmp_path / "m.safetensors")
    copies = {
        "deepcopy": lambda: copy.deepcopy(model),
        "pickle": lambda: pickle.loads(pickle.dumps(model)),
        "file": lambda: fl.load_model(tmp_path / "m.safetensors"),
    }
    other = copies[clone]()
    for m in (model, other):
        m.fit(x, y)
    assert_same_bits(other.get_weights(), model.get_weights())
    assert not other.layers[1].trainable
    other.compile("adam", "mse")
    before = other.get_weights()
    other.fit(x, y)
    assert_same_bits(other.get_weights()[:2], before[:2])
