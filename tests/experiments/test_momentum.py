"""What momentum adds on quadratics, how far it may go and where it overshoots."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import path


@pytest.mark.parametrize(
    "style, correction", [("ewa", None), ("ewa_first", "first"), ("ewa_corrected", "bias")]
)
def test_averaged_momentum_steps_by_the_average_of_the_gradients(style, correction, rng):
    gradients = rng.normal(size=(40, 3))
    optimizer, rows = fl.SGD(0.1, momentum=0.9, momentum_style=style), iter(gradients)
    moves = np.diff(path(optimizer, lambda theta: next(rows), np.zeros(3), 40), axis=0)
    np.testing.assert_allclose(
        moves, -0.1 * fl.ewa(gradients, 0.9, correction=correction), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_descent_with_momentum_converges_up_to_its_limit(momentum):
    """On lambda x^2 / 2 exactly while rate < 2 (1 + momentum) / lambda."""
    curvature = 3.0
    limit = 2 * (1 + momentum) / curvature
    near = path(fl.SGD(0.99 * limit, momentum=momentum), lambda x: curvature * x, [1.0], 3000)
    far = path(fl.SGD(1.01 * limit, momentum=momentum), lambda x: curvature * x, [1.0], 3000)
    assert abs(near[-1, 0]) < 1e-6
    assert abs(far[-1, 0]) > 1e6


@pytest.mark.parametrize("momentum, changes", [(0.45, 0), (0.5, 18), (0.9, 41)])
def test_momentum_overshoots_from_its_threshold_on(momentum, changes):
    """rate 0.1 and curvature 1 put the threshold at (1 - sqrt(0.1))^2 = 0.4675."""
    x = path(fl.SGD(0.1, momentum=momentum), lambda x: x, [1.0], 400)[:, 0]
    assert np.count_nonzero(np.diff(np.sign(x)) != 0) == changes


@pytest.mark.parametrize(
    "options, steps",
    [
        ({"learning_rate": 2 / 101}, 691),
        ({"learning_rate": 0.0330578512, "momentum": 0.6694214876}, 93),
        ({"learning_rate": 0.01, "momentum": 0.8181818182, "nesterov": True}, 155),
    ],
    ids=["descent", "heavy ball", "nesterov"],
)
def test_steps_on_an_ill_conditioned_quadratic(options, steps):
    """Until the distance has shrunk to a millionth, at the best constants for curvatures 1 and 100."""
    curvature, optimizer, theta = np.array([1.0, 100.0]), fl.SGD(**options), np.ones(2)
    taken, distance = 0, 1.0
    while distance > 1e-6 and taken < 2000:
        optimizer.step([theta], [curvature * theta])
        taken += 1
        iterate = theta
        if options.get("nesterov"):  # the stored parameter looks ahead by momentum * velocity
            velocity = -options["learning_rate"] * optimizer.state_dict()["slots"]["momentum"][0]
            iterate = theta - options["momentum"] * velocity
        distance = np.linalg.norm(iterate) / np.sqrt(2)
    assert taken == steps
