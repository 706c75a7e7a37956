"""What a rate for each weight does: Duchi et al. 2011, Zeiler 2012, Tieleman & Hinton 2012, Kingma & Ba 2014."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import path

SCALE_FREE = {
    "AdaGrad": lambda: fl.AdaGrad(0.1, epsilon=0.0),
    "RMSProp": lambda: fl.RMSProp(0.01, epsilon=0.0),
    "Adam": lambda: fl.Adam(0.05, epsilon=0.0),
}


def steps_on_a_slope(optimizer, count):
    """The lengths of the steps on a constant gradient of 1."""
    return -np.diff(path(optimizer, np.ones_like, [0.0], count)[:, 0])


def test_the_steps_of_rmsprop_do_not_shrink():
    """Its mean square forgets: the steps tend to the rate from wherever it starts."""
    for init, first in (("zero", 1 / np.sqrt(0.1)), ("first", 1.0), ("one", 1.0)):
        steps = steps_on_a_slope(fl.RMSProp(0.1, epsilon=0.0, init=init), 200)
        assert steps[0] == pytest.approx(0.1 * first, rel=1e-13)
        assert steps[-1] == pytest.approx(0.1, rel=1e-8)


def test_the_steps_of_adadelta_grow_from_the_size_of_epsilon():
    steps = steps_on_a_slope(fl.AdaDelta(epsilon=1e-6), 200)
    assert steps[0] == pytest.approx(np.sqrt(1e-6 / (0.05 + 1e-6)), rel=1e-12)
    assert (np.diff(steps[10:]) > 0).all()


@pytest.mark.parametrize("name", SCALE_FREE)
def test_an_elongated_bowl_is_round(name):
    """Gradients stand in for curvatures: along the axes, the curvatures 1 and 10000 make no difference."""
    points = path(SCALE_FREE[name](), lambda p: np.array([1.0, 1e4]) * p, [1.0, 1.0], 300)
    np.testing.assert_allclose(points[:, 1], points[:, 0], rtol=0, atol=1e-9)
    assert abs(points[-1, 0]) < 0.3
    assert np.abs(path(fl.SGD(1e-4), lambda p: np.array([1.0, 1e4]) * p, [1.0, 1.0], 300)[-1, 0]) > 0.9


def test_a_rare_feature_keeps_its_rate():
    """Of two features with the same slope, one is seen in every tenth row: AdaGrad makes up for most of it."""

    def distances(optimizer):
        rows = iter(np.array([[1.0, float(t % 10 == 0)] for t in range(1000)]))
        return -path(optimizer, lambda theta: next(rows), [0.0, 0.0], 1000)[-1]

    often, rare = distances(fl.SGD(0.1))
    assert rare == pytest.approx(often / 10)
    often, rare = distances(fl.AdaGrad(0.1))
    assert rare == pytest.approx(often / np.sqrt(10), rel=0.1)
