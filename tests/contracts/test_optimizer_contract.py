"""What every optimizer promises, driven by the rows of `cases/optimizers.py`."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest

import fallline as fl
from cases.optimizers import OPTIMIZERS, VARIANTS, label
from fallline import _core
from helpers import assert_same_bits, assert_same_model, refuses, unchanged

every = pytest.mark.parametrize("case", OPTIMIZERS, ids=label)
variants = pytest.mark.parametrize("case, options", VARIANTS, ids=label)
SHAPES = [(7, 5), (5,), (1, 1), (130, 3)]


def arrays(rng, dtype=np.float64):
    return [rng.normal(size=shape).astype(dtype) for shape in SHAPES]


def copies(items):
    return [np.copy(a) for a in items]


def network(optimizer, dtype="float32"):
    layers = [fl.Input(8), fl.Dense(24, activation="relu"), fl.Dense(4, activation="softmax")]
    model = fl.Model(layers, seed=5, dtype=dtype)
    model.compile(optimizer, "cross_entropy")
    return model


def test_every_optimizer_has_a_row():
    public = {v for v in vars(fl).values() if inspect.isclass(v) and issubclass(v, fl.FirstOrder)}
    assert public - {fl.FirstOrder} == {case.make for case in OPTIMIZERS}
    assert set(_core.optimizers()) == {case.make(**options).rule for case, options in VARIANTS}


@every
def test_every_number_has_a_bad_row(case):
    assert set(inspect.signature(case.make).parameters) == {name for bad, _, _ in case.bad for name in bad}


@variants
def test_twenty_steps_match_the_twin(case, options, rng):
    params, expected, states = arrays(rng), None, [{} for _ in SHAPES]
    expected = copies(params)
    optimizer = case.make(**options)
    for t in range(1, 21):
        grads = arrays(rng)
        optimizer.step(params, grads)
        expected = [case.twin(p, g, s, t, **options) for p, g, s in zip(expected, grads, states, strict=True)]
    for p, e in zip(params, expected, strict=True):
        np.testing.assert_allclose(p, e, rtol=0, atol=1e-12)


@variants
def test_float32_follows_the_twin(case, options, rng):
    params = arrays(rng, np.float32)
    expected, states = [p.astype(np.float64) for p in params], [{} for _ in SHAPES]
    optimizer = case.make(**options)
    for t in range(1, 5):
        grads = arrays(rng, np.float32)
        optimizer.step(params, grads)
        expected = [
            case.twin(p, g.astype(np.float64), s, t, **options)
            for p, g, s in zip(expected, grads, states, strict=True)
        ]
    for p, e in zip(params, expected, strict=True):
        assert p.dtype == np.float32
        np.testing.assert_allclose(p, e, rtol=2e-6, atol=2e-6)


@variants
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits_never_reached_change_no_bit(case, options, dtype, rng):
    start, steps = arrays(rng, dtype), [arrays(rng, dtype) for _ in range(4)]
    results = []
    for limits in ({}, {"clip_value": 1e30}, {"clip_norm": 1e30}, {"clip_layer_norm": 1e30}):
        params, optimizer = copies(start), case.make(**options, **limits)
        for grads in steps:
            optimizer.step(params, grads)
        results.append([*params, *(a for slot in optimizer.state_dict()["slots"].values() for a in slot)])
    for other in results[1:]:
        assert_same_bits(other, results[0])


@variants
def test_the_average_of_the_weights_is_kept_beside_them(case, options, rng):
    start, steps = arrays(rng), [arrays(rng) for _ in range(6)]
    params, watched, expected = copies(start), copies(start), [0.0] * len(SHAPES)
    plain, optimizer = case.make(**options), case.make(**options, average=0.7)
    for t, grads in enumerate(steps, start=1):
        plain.step(params, grads)
        optimizer.step(watched, grads)
        share = (1 - 0.7) / (1 - 0.7**t)
        expected = [e + share * (p - e) for e, p in zip(expected, params, strict=True)]
    assert_same_bits(watched, params)
    slots, own = optimizer.state_dict()["slots"], plain.state_dict()["slots"]
    assert list(slots) == [*own, "average"] == [*_core.optimizers()[optimizer.rule][1], "average"]
    for name, state in own.items():
        assert_same_bits(slots[name], state)
    for a, e in zip(slots["average"], expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-13, atol=1e-15)


@variants
def test_parameters_of_different_sizes_share_nothing_but_the_step_count(case, options, rng):
    together, steps = arrays(rng), [arrays(rng) for _ in range(6)]
    apart = copies(together)
    optimizer = case.make(**options)
    for grads in steps:
        optimizer.step(together, grads)
    for i, param in enumerate(apart):
        single = case.make(**options)
        for grads in steps:
            single.step([param], [grads[i]])
    assert_same_bits(together, apart)


@variants
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_do_not_change_the_bits(case, options, dtype, rng):
    start = [rng.normal(size=shape).astype(dtype) for shape in ((700, 500), (500,), (3,))]
    steps = [[rng.normal(size=p.shape).astype(dtype) for p in start] for _ in range(3)]
    results = []
    for n in (1, 2, 3, 7):
        params, optimizer = copies(start), case.make(**options)
        with fl.threads(n):
            for grads in steps:
                optimizer.step(params, grads)
        results.append(params)
    for other in results[1:]:
        assert_same_bits(other, results[0])


@variants
@pytest.mark.parametrize("kind", ["state_dict", "deepcopy", "pickle"])
def test_state_travels(case, options, kind, rng):
    options = {**options, "average": 0.9}
    params, optimizer = arrays(rng), case.make(**options)
    for _ in range(3):
        optimizer.step(params, arrays(rng))
    if kind == "state_dict":
        twin = case.make(**options)
        twin.load_state_dict(optimizer.state_dict())
    else:
        twin = copy.deepcopy(optimizer) if kind == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
    twin_params = copies(params)
    for _ in range(3):
        grads = arrays(rng)
        optimizer.step(params, grads)
        twin.step(twin_params, grads)
    assert_same_bits(twin_params, params)


@every
def test_a_state_dict_is_a_copy(case, rng):
    params, optimizer = arrays(rng), case.make(**case.variants[1])
    optimizer.step(params, arrays(rng))
    kept = pickle.dumps(optimizer.state_dict())
    state = optimizer.state_dict()
    optimizer.step(params, arrays(rng))
    assert pickle.dumps(state) == kept


@every
def test_state_of_another_optimizer_is_refused(case, rng):
    other = next(c for c in OPTIMIZERS if c.make.name != case.make.name).make(**case_momentum(case))
    params = arrays(rng)
    other.step(params, arrays(rng))
    optimizer = case.make()
    with refuses(ValueError, "state"):
        optimizer.load_state_dict({"step": 1})
    with refuses(ValueError, "slots"):
        optimizer.load_state_dict(other.state_dict())
    before = copies(params)
    fresh = case.make()
    grads = arrays(rng)
    optimizer.step(params, grads)
    fresh.step(before, grads)
    assert_same_bits(params, before)


def case_momentum(case):
    """Arguments that give the other optimizer of the test above some state to save."""
    return {"momentum": 0.9} if case.make is not fl.SGD else {}


@variants
def test_converges_on_a_quadratic(case, options):
    target = np.array([[1.0, -2.0, 3.0]])
    param, scale = np.zeros((1, 3)), np.array([[1.0, 2.0, 0.5]])
    optimizer = case.make(**{**options, "learning_rate": case.rate, "weight_decay": 0.0, "l2": 0.0})
    for _ in range(1500):
        optimizer.step([param], [scale * (param - target)])
    np.testing.assert_allclose(param, target, atol=0.06)


@pytest.mark.parametrize(
    "case, options, exception, match", [(c, *row) for c in OPTIMIZERS for row in c.bad], ids=label
)
def test_bad_arguments_are_refused(case, options, exception, match):
    with refuses(exception, match):
        case.make(**options)


@variants
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fused_and_arena_give_the_same_bits(case, options, dtype, blobs):
    """A norm limit that is never reached needs the whole gradient first, and changes nothing else."""
    x, y = blobs
    fused, arena = network(case.make(**options), dtype), network(case.make(**options, clip_norm=1e30), dtype)
    for model in (fused, arena):
        model.fit(x, y, batch_size=32, epochs=3)
    assert_same_bits(fused.get_weights(), arena.get_weights())


@variants
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_model_and_plain_arrays_give_the_same_bits(case, options, dtype, blobs):
    """train_on_batch is loss_and_gradients followed by step on the weights."""
    x, y = blobs
    fused = network(case.make(**options), np.dtype(dtype).name)
    probe, optimizer = network(case.make(**options), np.dtype(dtype).name), case.make(**options)
    weights = probe.get_weights()
    for start in range(0, 128, 32):
        batch = slice(start, start + 32)
        fused.train_on_batch(x[batch], y[batch])
        probe.set_weights(weights)
        optimizer.step(weights, probe.loss_and_gradients(x[batch], y[batch])[1])
    assert_same_bits(fused.get_weights(), weights)


@variants
@pytest.mark.parametrize("how", ["file", "pickle", "deepcopy"])
def test_a_model_goes_on_as_if_never_stopped(case, options, how, blobs, tmp_path):
    x, y = blobs
    straight, model = network(case.make(**options)), network(case.make(**options))
    straight.fit(x, y, batch_size=32, epochs=4)
    model.fit(x, y, batch_size=32, epochs=2)
    if how == "file":
        model.save(tmp_path / "half.safetensors")
        model = fl.load_model(tmp_path / "half.safetensors")
    else:
        model = pickle.loads(pickle.dumps(model)) if how == "pickle" else copy.deepcopy(model)
    model.fit(x, y, batch_size=32, epochs=2)
    assert_same_model(model, straight)


@every
def test_learning_rate_may_change_between_steps(case, rng):
    params, optimizer = arrays(rng), case.make(learning_rate=0.1)
    expected, states = copies(params), [{} for _ in SHAPES]
    for t, rate in enumerate((0.1, 0.02, 0.3), start=1):
        grads = arrays(rng)
        optimizer.learning_rate = rate
        optimizer.step(params, grads)
        expected = [
            case.twin(p, g, s, t, learning_rate=rate) for p, g, s in zip(expected, grads, states, strict=True)
        ]
    for p, e in zip(params, expected, strict=True):
        np.testing.assert_allclose(p, e, rtol=0, atol=1e-12)


def bad_steps():
    p, g = np.ones((3, 2)), np.ones((3, 2))
    locked = np.ones((3, 2))
    locked.flags.writeable = False
    wide = np.ones((3, 4))
    return {
        "other shape": ([p], [np.ones((2, 3))], ValueError, r"\(2, 3\).*\(3, 2\)"),
        "other count": ([p], [g, g], ValueError, "2"),
        "other dtype": ([p], [g.astype(np.float32)], TypeError, "float32.*float64"),
        "integers": ([np.ones((3, 2), dtype=np.int64)], [g], TypeError, "int64"),
        "half": ([p.astype(np.float16)], [g.astype(np.float16)], TypeError, "float16"),
        "read-only": ([locked], [g], ValueError, "read-only|writ"),
        "strided": ([wide[:, ::2]], [g], ValueError, "stride|contiguous"),
        "list": ([p.tolist()], [g], TypeError, "list"),
        "second bad": ([p, np.ones(2)], [g, np.ones(3)], ValueError, r"\(3,\).*\(2,\)"),
        "strided gradient": ([p], [np.ones((3, 4))[:, ::2]], ValueError, "stride|contiguous"),
    }


@every
@pytest.mark.parametrize("row", bad_steps())
def test_bad_steps_are_refused_and_change_nothing(case, row, rng):
    params, grads, exception, match = bad_steps()[row]
    optimizer = case.make(**case.variants[1])
    good, first = [np.full((3, 2), 2.0)], [rng.normal(size=(3, 2))]
    optimizer.step(good, first)
    state, before = pickle.dumps(optimizer.state_dict()), [np.array(p) for p in params]
    with refuses(exception, match):
        optimizer.step(params, grads)
    assert pickle.dumps(optimizer.state_dict()) == state
    assert_same_bits([np.asarray(p) for p in params], before)


@every
def test_parameters_may_not_change_shape_between_steps(case, rng):
    optimizer = case.make(**case.variants[1])
    optimizer.step([np.ones(4)], [rng.normal(size=4)])
    state = pickle.dumps(optimizer.state_dict())
    with refuses(ValueError, r"\(5,\).*\(4,\)"):
        optimizer.step([np.ones(5)], [np.ones(5)])
    assert pickle.dumps(optimizer.state_dict()) == state


@every
def test_parameters_may_come_in_any_sequence_and_of_both_dtypes(case, rng):
    wide, grads = [rng.normal(size=5), rng.normal(size=3)], [rng.normal(size=5), rng.normal(size=3)]
    mixed, apart = [wide[0].copy(), wide[1].astype(np.float32)], [wide[0].copy(), wide[1].astype(np.float32)]
    narrow = grads[1].astype(np.float32)
    case.make().step(tuple(mixed), (grads[0], narrow))
    case.make().step(apart[:1], grads[:1])
    case.make().step(apart[1:], [narrow])
    assert_same_bits(mixed, apart)


@every
def test_bad_data_leave_a_model_unchanged(case, blobs):
    x, y = blobs
    model = network(case.make(**case.variants[1]))
    model.fit(x, y, batch_size=32, epochs=1)
    with unchanged(model), refuses(ValueError, "4"):
        model.fit(x, y + 1)
