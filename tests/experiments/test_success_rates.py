"""XOR from random starts: quasi-Newton methods end where they start; wide layers have few bad valleys."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import fallline as fl
from xor_alpha_sweep import X, Y, start

STARTS = 240
# hidden units: share of starts that end at 0 with BFGS and with L-BFGS, of 60
RATES = {2: (0.12, 0.12), 3: (0.48, 0.52), 4: (0.72, 0.72), 8: (1.0, 1.0), 16: (1.0, 1.0)}
# where the others end, as sums of e²/2
LEVELS = np.array([0, 1 / 8, 3 / 14, 1 / 4, 1 / 3, 3 / 8, 11 / 24, 1 / 2])


def descend(optimizer, kernels):
    """The sum of e²/2 where a sigmoid network ends, the mean |error| and the slope there."""
    layers = [fl.Dense(k.shape[1], "sigmoid", use_bias=False) for k in kernels]
    model = fl.Model([fl.Input(3), *layers], seed=0, dtype="float64")
    model.compile(optimizer, fl.MSE(reduction="sum"))
    model.set_weights(kernels)
    model.fit(X, Y)
    loss, gradient = model.loss_and_gradients(X, Y)
    return loss / 2, np.abs(model.predict(X) - Y).mean(), max(np.abs(g).max() for g in gradient)


@functools.cache
def ends(make, hidden):
    """What descend() finds from each start, as columns."""
    generator = np.random.default_rng(hidden)
    kernels = [
        [generator.uniform(-1, 1, (3, hidden)), generator.uniform(-1, 1, (hidden, 1))] for _ in range(STARTS)
    ]
    return np.transpose([descend(make(gtol=1e-7, ftol=0), k) for k in kernels])


@pytest.mark.parametrize("hidden", RATES)
@pytest.mark.parametrize("which, make", [(0, fl.BFGS), (1, fl.LBFGS)])
def test_success_grows_with_the_width(which, make, hidden):
    expected = RATES[hidden][which]
    error = (max(expected * (1 - expected), 0.01) * (1 / STARTS + 1 / 60)) ** 0.5
    solved = (ends(make, hidden)[1] < 0.1).mean()
    assert abs(solved - expected) < 4 * error
    if hidden >= 8:
        assert solved >= 0.98


@pytest.mark.parametrize("make", [fl.BFGS, fl.LBFGS])
def test_ends_are_stationary_and_few(make):
    for hidden in RATES:
        values, _, slopes = ends(make, hidden)
        assert (slopes <= 1e-7).mean() > 0.98
        away = np.abs(values[:, None] - LEVELS).min(axis=1)
        assert (away < 1e-3).mean() > 0.97


@pytest.mark.parametrize("make", [fl.BFGS, fl.LBFGS])
def test_a_published_start_leads_into_a_local_minimum(make):
    """From where plain descent at the rate 1 solves the problem."""
    value, _, slope = descend(make(gtol=1e-7, ftol=0), start(4))
    assert value == pytest.approx(1 / 8, abs=1e-4)
    assert slope <= 1e-7
