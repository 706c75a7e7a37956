"""What every schedule promises, driven by the rows of `cases/schedules.py`."""

from __future__ import annotations

import copy
import inspect
import json
import pickle

import numpy as np
import pytest

import fallline as fl
from cases.optimizers import OPTIMIZERS
from cases.optimizers import label as optimizer_label
from cases.schedules import SCHEDULES, VARIANTS, holds_functions, label, square_root
from fallline import schedules
from fallline.declaration import decode, encode
from helpers import assert_same_bits, assert_same_model, refuses, unchanged

every = pytest.mark.parametrize("case", SCHEDULES, ids=label)
variants = pytest.mark.parametrize("case, options", VARIANTS, ids=label)
optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=optimizer_label)
STEPS = 300

# rises, falls, and ends within the updates of network() below
RATES = schedules.Warmup(schedules.CosineRestarts(0.02, 5, end=0.001, t_mul=2, m_mul=0.5), 4, start=0.003)


def peers(kind):
    return [
        (case, options)
        for case in SCHEDULES
        if getattr(case, kind) is not None
        for options in case.peers or case.variants
    ]


def test_every_schedule_has_a_row():
    public = {v for v in vars(schedules).values() if inspect.isclass(v) and issubclass(v, schedules.Schedule)}
    assert public - {schedules.Schedule} == {case.make for case in SCHEDULES}
    assert sorted(schedules.__all__) == sorted(c.__name__ for c in public)


@every
def test_every_argument_has_a_bad_row(case):
    assert set(inspect.signature(case.make).parameters) == {name for bad, _, _ in case.bad for name in bad}


@pytest.mark.parametrize(
    "case, options, exception, match", [(c, *row) for c in SCHEDULES for row in c.bad], ids=label
)
def test_bad_arguments_are_refused(case, options, exception, match):
    with refuses(exception, match):
        case.make(**{**case.variants[0], **options})


@variants
def test_rates_match_the_twin(case, options):
    schedule = case.make(**options)
    expected = [case.twin(t, **options) for t in range(STEPS)]
    np.testing.assert_allclose(schedule(np.arange(STEPS)), expected, rtol=1e-12, atol=1e-16)
    late = 10**6 + 7
    assert schedule(late) == pytest.approx(case.twin(late, **options), rel=1e-9, abs=1e-16)


@pytest.mark.parametrize(
    "case, options, rates", [(c, *row) for c in SCHEDULES for row in c.numbers], ids=label
)
def test_rates_computed_by_hand(case, options, rates):
    schedule = case.make(**options)
    assert {step: schedule(step) for step in rates} == pytest.approx(rates, rel=1e-13, abs=1e-16)


@variants
def test_one_step_and_many_give_the_same_bits(case, options):
    schedule = case.make(**options)
    single = np.array([schedule(t) for t in range(1100)])
    assert all(type(schedule(t)) is float for t in (0, np.int64(3), np.uint8(200)))
    for start, count in ((0, 1100), (0, 1), (1, 7), (3, 1024), (17, 33), (1099, 1)):
        many = schedule(np.arange(start, start + count))
        assert_same_bits([many], [single[start : start + count]])
    assert_same_bits([schedule(np.arange(1100)[::-3])], [single[::-3].copy()])
    assert_same_bits([schedule(np.arange(1100, dtype=np.int32).reshape(11, 100))], [single.reshape(11, 100)])
    assert schedule(np.arange(0)).shape == (0,)


@pytest.mark.parametrize("case, options", peers("torch"), ids=label)
def test_rates_match_torch(case, options):
    torch = pytest.importorskip("torch")
    schedule = case.make(**options)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=options.get("initial", options.get("rate", 0.1)))
    peer = case.torch(torch.optim.lr_scheduler, optimizer, **options)
    theirs = []
    for _ in range(min(STEPS, options.get("steps", STEPS)) if case.make is schedules.CosineDecay else STEPS):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        peer.step()
    # torch goes from rate to rate, and gathers errors on the way
    np.testing.assert_allclose(schedule(np.arange(len(theirs))), theirs, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("case, options", peers("optax"), ids=label)
def test_rates_match_optax(case, options):
    optax = pytest.importorskip("optax")
    peer = case.optax(optax, **options)
    theirs = [float(peer(t)) for t in range(0, STEPS, 3)]  # in float32
    np.testing.assert_allclose(case.make(**options)(np.arange(0, STEPS, 3)), theirs, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "case, options, how",
    [
        (case, options, how)
        for case, options in VARIANTS
        for how in ("file", "pickle", "deepcopy")
        if how != "file" or not holds_functions(options)  # a file holds no Python function
    ],
    ids=label,
)
def test_a_schedule_travels(case, options, how):
    schedule = case.make(**options)
    if how == "file":
        other = decode(json.loads(json.dumps(encode(schedule))))
    else:
        other = pickle.loads(pickle.dumps(schedule)) if how == "pickle" else copy.deepcopy(schedule)
    assert type(other) is case.make
    assert other == schedule
    assert hash(other) == hash(schedule)
    assert repr(other) == repr(schedule)
    assert_same_bits([other(np.arange(STEPS))], [schedule(np.arange(STEPS))])


@every
def test_schedules_compare_and_print_by_their_arguments(case):
    made = [case.make(**options) for options in case.variants]
    assert len({*made, *(case.make(**options) for options in case.variants)}) == len(made)
    assert made[0] != made[1]
    assert made[0] != 0.1
    with pytest.raises(AttributeError, match="read-only"):
        setattr(made[0], made[0].arguments[0], 0.5)


@every
@pytest.mark.parametrize(
    "step, exception",
    [
        (-1, ValueError),
        (1.5, TypeError),
        ("a", TypeError),
        (np.array([0, -1]), ValueError),
        (np.array([0.5]), TypeError),
    ],
    ids=str,
)
def test_steps_are_counted_from_zero(case, step, exception):
    with refuses(exception, "step"):
        case.make(**case.variants[0])(step)


@variants
def test_an_optimizer_uses_the_rate_of_each_step(case, options):
    """On a constant gradient, plain descent goes as far as the rates add up to."""
    theta, schedule = np.zeros(1), case.make(**options)
    optimizer = fl.SGD(schedule)
    for t in range(50):
        before = theta.copy()
        optimizer.step([theta], [np.ones(1)])
        assert before - theta == pytest.approx([schedule(t)], rel=1e-9, abs=1e-12)
    assert theta == pytest.approx([-schedule(np.arange(50)).sum()], rel=1e-12)
    assert_same_bits([optimizer.rates(7, 40)], [schedule(np.arange(7, 47))])


def network(optimizer):
    layers = [fl.Input(8), fl.Dense(6, activation="tanh"), fl.Dense(4, activation="softmax")]
    model = fl.Model(layers, seed=2)
    model.compile(optimizer, "cross_entropy")
    return model


@optimizers
def test_fit_uses_the_rate_of_each_update_with_every_optimizer(optimizer, blobs):
    x, y = blobs
    scheduled, by_hand = network(optimizer.make(learning_rate=RATES)), network(optimizer.make())
    scheduled.fit(x, y, batch_size=50, epochs=2, shuffle=False)
    scheduled.fit(x, y, batch_size=40, epochs=1, shuffle=False)
    batches = [slice(s, s + 50) for s in range(0, 200, 50)] * 2 + [
        slice(s, s + 40) for s in range(0, 200, 40)
    ]
    for step, part in enumerate(batches):
        by_hand.optimizer.learning_rate = RATES(step)
        by_hand.train_on_batch(x[part], y[part])
    assert_same_bits(scheduled.get_weights(), by_hand.get_weights())


@optimizers
@pytest.mark.parametrize("how", ["file", "pickle"])
def test_a_scheduled_model_goes_on_as_if_never_stopped(optimizer, how, blobs, tmp_path):
    x, y = blobs
    straight, model = (network(optimizer.make(learning_rate=RATES)) for _ in range(2))
    straight.fit(x, y, batch_size=50, epochs=4)
    model.fit(x, y, batch_size=50, epochs=1)
    if how == "file":
        model.save(tmp_path / "one.safetensors")
        model = fl.load_model(tmp_path / "one.safetensors")
    else:
        model = pickle.loads(pickle.dumps(model))
    assert model.optimizer.learning_rate == RATES
    model.fit(x, y, batch_size=50, epochs=3)
    assert_same_model(model, straight)


def test_more_updates_than_are_asked_for_at_once(rng):
    """2500 updates in one call of fit: rates are asked for in blocks."""
    x, y = rng.normal(size=(500, 3)), rng.normal(size=500)
    models = [fl.Model([fl.Input(3), fl.Dense(1)], seed=0, dtype="float64") for _ in range(2)]
    schedule = schedules.ExponentialDecay(0.05, 0.5, every=500)
    for model, rate in zip(models, (schedule, schedule.__call__), strict=True):
        model.compile(fl.SGD(rate), "mse")
        model.fit(x, y, batch_size=1, epochs=5)
    assert_same_bits(models[0].get_weights(), models[1].get_weights())


def test_a_function_inside_a_schedule_is_asked_for_numbers(blobs):
    schedule = schedules.Warmup(square_root, 5)
    assert schedule(9) == square_root(4)
    spoiled = schedules.Piecewise([2], [0.1, lambda step: -1.0])
    with refuses(ValueError, r"-1\.0"):
        spoiled(2)
    model = network(fl.SGD(spoiled))
    with unchanged(model), refuses(ValueError, r"-1\.0"):
        model.fit(*blobs)


def test_a_function_inside_a_schedule_is_lost_in_a_file(tmp_path, blobs):
    model = network(fl.SGD(schedules.Warmup(square_root, 5)))
    model.save(tmp_path / "m.safetensors")
    loaded = fl.load_model(tmp_path / "m.safetensors")
    with pytest.raises(RuntimeError, match="square_root"):
        loaded.fit(*blobs)
    loaded.optimizer.learning_rate = schedules.Warmup(square_root, 5)
    model.fit(*blobs)
    loaded.fit(*blobs)
    assert_same_model(loaded, model)


def test_constants_of_two_kinds_are_told_apart_in_a_file(tmp_path):
    layer = fl.Dense(2, bias_initializer=fl.Constant(0.5))
    model = fl.Model([fl.Input(3), layer], seed=0)
    model.compile(fl.SGD(schedules.Constant(0.25)), "mse")
    model.save(tmp_path / "m.safetensors")
    loaded = fl.load_model(tmp_path / "m.safetensors")
    assert repr(loaded.layers) == repr(model.layers)
    assert loaded.optimizer.learning_rate == schedules.Constant(0.25)


def test_a_user_defined_schedule(tmp_path, blobs):
    class Halving(schedules.Schedule):
        def __init__(self, first):
            self.first = first

        def at(self, t):
            return self.first * np.power(0.5, t)

    model = network(fl.Adam(Halving(0.1)))
    model.save(tmp_path / "m.safetensors")
    loaded = fl.load_model(tmp_path / "m.safetensors")
    assert loaded.optimizer.rate(3) == 0.0125
    for each in (model, loaded):
        each.fit(*blobs, epochs=2)
    assert_same_model(loaded, model)
