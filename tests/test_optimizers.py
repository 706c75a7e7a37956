"""What sets one update rule apart from another: closed forms and equivalences."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits
from twins import optimizers as twins

ETA = 0.1
MOMENTUM_STYLES = ["classical", "sutskever", "ewa", "ewa_first", "ewa_corrected"]


def follow(optimizer, gradients):
    """Where each step goes, from 0."""
    theta = np.zeros(np.shape(gradients[0]))
    moves = []
    for g in gradients:
        before = theta.copy()
        optimizer.step([theta], [np.asarray(g, dtype=np.float64)])
        moves.append(theta - before)
    return np.array(moves)


@pytest.mark.parametrize("name", MOMENTUM_STYLES)
def test_without_momentum_all_styles_are_descent(name, rng):
    g = rng.normal(size=(5, 3))
    assert_same_bits([follow(fl.SGD(ETA, momentum_style=name), g)], [follow(fl.SGD(ETA), g)])


def test_where_rmsprop_starts():
    """The first step from s = 0, from s = g^2 and from s = 1, for any gradient."""
    g = np.array([[3.0, -0.01]])
    for init, expected in (
        ("zero", np.sign(g) / np.sqrt(0.1)),
        ("first", np.sign(g)),
        ("one", g / np.sqrt(0.9 + 0.1 * g**2)),
    ):
        np.testing.assert_allclose(
            follow(fl.RMSProp(ETA, epsilon=0.0, init=init), g), -ETA * expected, rtol=1e-14
        )


def test_where_epsilon_stands():
    g, epsilon = np.array([[3.0, -0.01]]), 0.25
    for make, s in ((fl.AdaGrad, g**2), (fl.RMSProp, 0.1 * g**2)):
        outside = follow(make(ETA, epsilon=epsilon), g)
        inside = follow(make(ETA, epsilon=epsilon, epsilon_inside=True), g)
        np.testing.assert_allclose(outside, -ETA * g / (np.sqrt(s) + epsilon), rtol=1e-14)
        np.testing.assert_allclose(inside, -ETA * g / np.sqrt(s + epsilon), rtol=1e-14)


def test_adadelta_sees_the_scale_through_epsilon_only(rng):
    g = rng.normal(size=(50, 4)) + 3

    def apart(epsilon):
        return np.abs(
            follow(fl.AdaDelta(epsilon=epsilon), 10 * g) / follow(fl.AdaDelta(epsilon=epsilon), g) - 1
        )

    assert apart(1e-14).max() < 1e-10
    assert apart(1.0).max() > 0.5


def test_the_rate_of_adadelta_is_no_part_of_its_state(rng):
    g = rng.normal(size=(20, 4))
    full, half = fl.AdaDelta(), fl.AdaDelta(0.5)
    np.testing.assert_allclose(follow(half, g), 0.5 * follow(full, g), rtol=1e-9)
    for name in ("v", "u"):
        assert_same_bits(half.state_dict()["slots"][name], full.state_dict()["slots"][name])


def test_amsgrad_converges_where_adam_does_not():
    """Gradient 3 every third step and -1 otherwise, on [-1, 1]: the mean is 1/3, so the minimum is at -1."""

    def end(amsgrad):
        optimizer = fl.Adam(
            lambda step: 0.5 / np.sqrt(1 + step), beta_1=0.0, beta_2=0.1, epsilon=0.0, amsgrad=amsgrad
        )
        x = np.zeros(1)
        for t in range(3000):
            optimizer.step([x], [np.array([3.0 if t % 3 == 0 else -1.0])])
            np.clip(x, -1, 1, out=x)
        return x[0]

    assert end(amsgrad=False) > 0.9
    assert end(amsgrad=True) < -0.9


def test_lion_moves_every_entry_by_the_rate(rng):
    moves = follow(fl.Lion(0.01), rng.normal(size=(30, 6)) * 10.0 ** np.arange(-3, 3))
    np.testing.assert_allclose(np.abs(moves), 0.01, rtol=1e-12)
    np.testing.assert_array_equal(follow(fl.Lion(0.01), np.zeros((3, 2))), 0)


def test_coupled_and_decoupled_decay_differ_where_gradients_are_scaled(rng):
    """Large gradients hide l2 from Adam, not weight_decay."""

    def shrink(**decay):
        theta, optimizer = np.ones(1), fl.Adam(0.01, **decay)
        for g in np.tile([[1e3], [-1e3]], (100, 1)):
            optimizer.step([theta], [g])
        return theta[0]

    neither = shrink()
    assert shrink(weight_decay=0.1) == pytest.approx(neither * 0.999**200, rel=1e-2)
    assert shrink(l2=0.1) == pytest.approx(neither, rel=1e-3)


@pytest.mark.parametrize("limits", [{"clip_layer_norm": 2.0}, {"clip_layer_norm": 2.0, "clip_norm": 2.5}])
@pytest.mark.parametrize("value", [None, 0.7])
def test_gradients_are_clipped_entry_by_entry_then_array_by_array_then_all_together(limits, value, rng):
    grads = [rng.normal(size=s) for s in ((40, 50), (3,), (200, 100), (1,))]
    expected = grads if value is None else twins.clip_by_value(grads, value)
    expected = [twins.clip_by_norm([g], limits["clip_layer_norm"])[0] for g in expected]
    if "clip_norm" in limits:
        expected = twins.clip_by_norm(expected, limits["clip_norm"])
    moved = [np.zeros_like(g) for g in grads]
    fl.SGD(1.0, clip_value=value, **limits).step(moved, grads)
    for p, g in zip(moved, expected, strict=True):
        np.testing.assert_allclose(-p, g, rtol=1e-12, atol=0)


def test_the_average_of_the_weights(rng):
    """A weighted mean of all weights so far, most of the last, whose shares add up to one."""
    optimizer, theta, b = fl.SGD(0.3, average=0.8), rng.normal(size=(5, 4)), 0.8
    weights = []
    for t in range(1, 21):
        optimizer.step([theta], [rng.normal(size=theta.shape)])
        weights.append(theta.copy())
        shares = (1 - b) * b ** np.arange(t - 1, -1, -1) / (1 - b**t)
        assert shares.sum() == pytest.approx(1, rel=1e-13)
        average = optimizer.state_dict()["slots"]["average"][0]
        np.testing.assert_allclose(average, np.tensordot(shares, weights, 1), rtol=1e-12)
    first = fl.SGD(0.3, average=0.999)
    first.step([theta], [np.ones_like(theta)])
    assert_same_bits(first.state_dict()["slots"]["average"], [theta])
