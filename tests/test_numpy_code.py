"""What a training follows from is the same whichever code NumPy chooses: by the CPU, and for one number or many."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

import fallline as fl
from cases.schedules import SCHEDULES, holds_functions
from fallline import schedules
from fallline.initializers import generator
from helpers import assert_same_bits

STEPS = 1100
# More updates at a hundredth of the first rate than at first: where powers of 0-d arrays were other ones.
STAIRS = schedules.StepDecay(0.2, 0.1, every=7)
ROWS = 48


class Own(schedules.Schedule):
    """As a user writes it: what NumPy computes is another number for another code, but one for a step."""

    def __init__(self, initial):
        self.initial = initial

    def at(self, t):
        return self.initial * 0.1 ** (t // 7) * (1 + np.cos(t) * np.exp(-0.01 * t)) / np.power(1 + t, 2.0)


def problem():
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 5)), rng.normal(size=(ROWS, 3)), rng.integers(0, 3, ROWS)


def network(rate, dtype="float64"):
    model = fl.Model([fl.Input(5), fl.Dense(4, "tanh"), fl.Dense(3)], seed=1, dtype=dtype)
    model.compile(fl.SGD(rate, momentum=0.5), "mse")
    return model


def fit(model, x, y, **options):
    model.fit(x, y, batch_size=16, epochs=9, shuffle=False, **options)
    return model


def one_by_one(model, x, y):
    for _ in range(9):
        for begin in range(0, ROWS, 16):
            model.train_on_batch(x[begin : begin + 16], y[begin : begin + 16])
    return model


def stream(model, x, y):
    model.fit([(x[b : b + 16], y[b : b + 16]) for b in range(0, ROWS, 16)], epochs=9)
    return model


def partly(model, x, y):
    for _ in range(9):
        for begin in range(0, ROWS, 16):
            model.partial_fit(x[begin : begin + 16], y[begin : begin + 16], batch_size=16)
    return model


def many(model, x, y):
    fl.fit_many([model], x, y, batch_size=16, epochs=9, shuffle=False)
    return model


WAYS = {"train_on_batch": one_by_one, "stream": stream, "partial_fit": partly, "fit_many": many}


def watched(x, y, labels):
    """A fit that looks at every metric, and stops and slows down by them."""
    model = fl.Model([fl.Dense(6, "relu"), fl.Dense(3)], seed=2)
    measured = ["accuracy", "auc", "f1", "precision", "recall", "r2", "rmse", "mae", fl.metrics.TopK(2)]
    model.compile(fl.Adam(0.05), "cross_entropy", metrics=measured)
    stop = fl.EarlyStopping("val_auc", patience=3)
    history = model.fit(
        x, labels, epochs=8, validation_data=(x[::2], labels[::2]), class_weight="balanced", callbacks=[stop]
    )
    return [np.array(values) for values in history.history.values()] + model.get_weights()


def digests():
    """Name -> hash of what training follows from, and of where it leads."""
    x, y, labels = problem()
    rng, found = np.random.default_rng(1), {}
    for case in SCHEDULES:
        for i, options in enumerate(case.variants):
            if not holds_functions(options):
                found[f"{case.make.__name__} {i}"] = [case.make(**options)(np.arange(STEPS))]
    for name in ("Uniform", "Normal", "GlorotUniform", "HeNormal", "LecunNormal", "Ones", "Zeros"):
        found[name] = [getattr(fl, name)()((33, 17), generator(3, 1))]
    found["fit"] = fit(network(STAIRS), x, y).get_weights()
    found["watched fit"] = watched(x, y, labels)
    for name in ("shuffled", "with_replacement", "balanced", "awsgd"):
        model = fl.Model([fl.Dense(3)], seed=3)
        model.compile(fl.SGD(schedules.CosineDecay(0.1, 20)), "cross_entropy")
        model.fit(x, labels, epochs=4, batch_size=8, sampler=name)
        found[f"sampler {name}"] = model.get_weights()
    logits = rng.normal(size=(5000, 3)) * 9
    truth, weight = rng.integers(0, 3, 5000), rng.uniform(size=5000)
    found["AUC"] = [np.float64(fl.metrics.AUC(from_logits=True)(truth, logits, weight))]
    near = logits + rng.normal(size=logits.shape)
    for name in ("R2", "RMSE", "MeanAbsoluteError"):
        found[name] = [np.float64(getattr(fl.metrics, name)()(near, logits, weight))]
    found["ewa"] = [fl.ewa(rng.normal(size=500), 0.97)]
    landscape = fl.minimize(
        lambda x: ((x * x * (x * x - 1)).sum(), 2 * x * (2 * x * x - 1)),
        optimizer=fl.SGD(schedules.ExponentialDecay(0.1, 0.99)),
        starts=12, bounds=([-1] * 9, [1] * 9), seed=0,
    )  # fmt: skip
    found["basins"] = [np.array([basin.x for basin in landscape.basins])]
    return {
        name: hashlib.sha256(b"".join(a.tobytes() for a in told)).hexdigest() for name, told in found.items()
    }


def dispatched():
    """Names of the features that NumPy has code for beside its baseline, and the CPU has; they differ by version."""
    return [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]


def digests_without(features):
    """The same in another process, without features of the CPU."""
    code = "import json, test_numpy_code as t; print(json.dumps([t.dispatched(), t.digests()]))"
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "NPY_DISABLE_CPU_FEATURES": " ".join(features)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not dispatched(), reason="NumPy has one code for this CPU")
@pytest.mark.parametrize("share", [0, 0.5], ids=["none of the features", "the older half of them"])
def test_bits_do_not_depend_on_the_code_that_numpy_chooses(share):
    features = dispatched()
    off = features[int(len(features) * share) :]
    left, without = digests_without(off)
    assert not set(left) & set(off), "NumPy has switched them off"
    assert without == digests()


@pytest.mark.parametrize("schedule", [Own(0.3), STAIRS, schedules.Warmup(Own(0.2), 5)], ids=repr)
def test_a_step_alone_has_the_bits_of_a_step_among_others(schedule):
    together = schedule(np.arange(STEPS))
    assert_same_bits([np.array([schedule(t) for t in range(STEPS)])], [together])
    assert_same_bits([np.concatenate([schedule(np.array([t])) for t in range(STEPS)])], [together])
    assert schedule(np.array(14)).shape == ()
    assert schedule(np.arange(0)).shape == (0,)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [STAIRS, Own(0.3), schedules.CosineRestarts(0.2, 4, m_mul=0.8)], ids=repr)
def test_all_ways_to_train_use_the_same_rates(way, dtype, rate):
    x, y, _ = problem()
    expected = fit(network(rate, dtype), x, y).get_weights()
    assert_same_bits(WAYS[way](network(rate, dtype), x, y).get_weights(), expected)


def test_plain_arrays_take_the_same_steps():
    x, y, _ = problem()
    model, other = network(STAIRS), network(STAIRS)
    one_by_one(model, x, y)
    weights, optimizer = other.get_weights(), fl.SGD(STAIRS, momentum=0.5)
    for _ in range(9):
        for begin in range(0, ROWS, 16):
            other.set_weights(weights)
            _, gradients = other.loss_and_gradients(x[begin : begin + 16], y[begin : begin + 16])
            optimizer.step(weights, gradients)
    assert_same_bits(weights, model.get_weights())


def test_a_function_in_a_schedule_is_asked_once_for_each_step():
    asked = []
    schedule = schedules.Piecewise([3], [0.1, lambda step: asked.append(step) or 0.5])
    schedule(5)
    assert asked == [2]
    asked.clear()
    schedule(np.arange(6))
    assert sorted(asked) == [0, 1, 2]


# The first draws of parameter 1 under seed 3, as all versions of NumPy since 2.0 make them.
DRAWS = {
    "Uniform": "0x1.895fb51203b88p-6 0x1.1d5d6514de990p-5 0x1.00b8b55e0f410p-5 -0x1.254e338058807p-5",
    "Normal": "-0x1.300907e712827p-3 0x1.61f0403fb5c7ep-6 -0x1.7f66872319347p-5 -0x1.522018ab88500p-8",
    "GlorotUniform": "0x1.0d531d7a23ce8p-1 0x1.86c07b0c2028cp-1 0x1.5f87c94b5607cp-1 -0x1.91a003ee522e6p-1",
    "HeNormal": "-0x1.364e0125f40fdp+1 0x1.693ca8ade1fdfp-2 -0x1.874e76899a07cp-1 -0x1.59190745f0316p-4",
}


@pytest.mark.parametrize("name", DRAWS)
def test_initial_weights_are_those_of_every_numpy(name):
    drawn = getattr(fl, name)()((3, 2), generator(3, 1))
    assert " ".join(value.hex() for value in drawn.ravel()[:4]) == DRAWS[name]
