"""What sets one update rule apart from another: closed forms and equivalences."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits
from twins import optimizers as twins

ETA, SHARE = 0.1, 0.9
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


def constant(t):
    return np.ones((t, 1))


def style(name, rate=ETA):
    return fl.SGD(rate, momentum=SHARE, momentum_style=name)


def test_momentum_is_a_weighted_sum_of_all_gradients(rng):
    g = rng.normal(size=(40, 3))
    powers = np.tril(SHARE ** np.maximum(0, np.subtract.outer(np.arange(40), np.arange(40))))
    for name in ("classical", "sutskever"):
        np.testing.assert_allclose(follow(style(name), g), -ETA * powers @ g, rtol=0, atol=1e-14)
    np.testing.assert_allclose(follow(style("ewa"), g), -ETA * (1 - SHARE) * powers @ g, rtol=0, atol=1e-14)


def test_a_changed_rate_acts_on_the_velocity_or_on_new_gradients_only():
    rates = [0.1, 0.02, 0.3]
    classical = follow(style("classical", rates.__getitem__), constant(3))[:, 0]
    np.testing.assert_allclose(classical, [-0.1, -0.02 * 1.9, -0.3 * 2.71], rtol=1e-14)
    sutskever = follow(style("sutskever", rates.__getitem__), constant(3))[:, 0]
    np.testing.assert_allclose(sutskever, [-0.1, -0.09 - 0.02, -0.081 - 0.018 - 0.3], rtol=1e-14)


def test_an_average_of_gradients_is_classical_momentum_at_a_smaller_rate(rng):
    g = rng.normal(size=(50, 4))
    np.testing.assert_allclose(
        follow(style("ewa"), g), follow(style("classical", ETA * (1 - SHARE)), g), rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize(
    "name, first, last",
    [
        ("classical", 1, 1 / (1 - SHARE)),
        ("sutskever", 1, 1 / (1 - SHARE)),
        ("ewa", 1 - SHARE, 1),
        ("ewa_first", 1, 1),
        ("ewa_corrected", 1, 1),
    ],
)
def test_first_and_last_step_of_momentum_on_a_constant_gradient(name, first, last):
    """Only the classical forms speed up beyond the rate."""
    moves = follow(style(name), constant(400))[:, 0]
    assert moves[0] == pytest.approx(-ETA * first, rel=1e-14)
    assert moves[-1] == pytest.approx(-ETA * last, rel=1e-12)


@pytest.mark.parametrize("name", MOMENTUM_STYLES)
def test_without_momentum_all_styles_are_descent(name, rng):
    g = rng.normal(size=(5, 3))
    assert_same_bits([follow(fl.SGD(ETA, momentum_style=name), g)], [follow(fl.SGD(ETA), g)])


def test_nesterov_looks_ahead(rng):
    """The stored parameter is theta + momentum v, where v <- momentum v - rate g at that very point."""
    curvature, ahead = np.array([1.0, 10.0, 0.3]), rng.normal(size=3)
    theta, v = ahead.copy(), np.zeros(3)
    optimizer = fl.SGD(0.05, momentum=SHARE, nesterov=True)
    for _ in range(60):
        v = SHARE * v - 0.05 * curvature * (theta + SHARE * v)
        theta = theta + v
        optimizer.step([ahead], [curvature * ahead])
        np.testing.assert_allclose(ahead, theta + SHARE * v, rtol=0, atol=1e-14)


def test_adagrad_steps_shrink_as_the_root_of_time():
    moves = follow(fl.AdaGrad(1.0, epsilon=0.0), constant(200))[:, 0]
    np.testing.assert_allclose(moves, -1 / np.sqrt(np.arange(1, 201)), rtol=1e-13)
    np.testing.assert_allclose(
        moves[[0, 1, 4, 9, 99, 199]], [-1, -0.70711, -0.44721, -0.31623, -0.1, -0.07071], atol=5e-6
    )


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


def test_adam_is_a_corrected_average_over_a_corrected_rmsprop(rng):
    g = rng.normal(size=(30, 5))
    mean = -follow(fl.SGD(1.0, momentum=0.9, momentum_style="ewa_corrected"), g)
    rmsprop, roots = fl.RMSProp(rho=0.999), []
    theta = np.zeros(5)
    for t, each in enumerate(g, start=1):
        rmsprop.step([theta], [each])
        roots.append(np.sqrt(rmsprop.state_dict()["slots"]["v"][0] / (1 - 0.999**t)))
    expected = -0.01 * mean / (np.array(roots) + 1e-8)
    np.testing.assert_allclose(follow(fl.Adam(0.01), g), expected, rtol=1e-10)


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


def test_long_arrays_keep_their_state_at_different_places_of_a_page(rng):
    """Where it is loaded from a dict, too; it makes steps quicker and changes nothing else."""
    param, grads = rng.normal(size=(100, 301)), [rng.normal(size=(100, 301)) for _ in range(4)]
    kept, loaded = fl.Adam(amsgrad=True, average=0.9), fl.Adam(amsgrad=True, average=0.9)
    for g in grads[:2]:
        kept.step([param], [g])
    loaded.load_state_dict(kept.state_dict())
    twin = param.copy()
    for optimizer, theta in ((kept, param), (loaded, twin)):
        places = [array.ctypes.data % 4096 for [array] in optimizer._slots]
        assert len(set(places)) == len(places) == 4
        for g in grads[2:]:
            optimizer.step([theta], [g])
    assert_same_bits([twin], [param])
    for name, arrays in kept.state_dict()["slots"].items():
        assert_same_bits(loaded.state_dict()["slots"][name], arrays)
