"""fl.minimize from many starts: five basins, and what merging saves."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import fallline as fl
from basins import landscape, roll
from helpers import refuses
from xor_alpha_sweep import X, Y, network, start

WELLS = np.array([4.34815, -4.17286, 2.49244, -1.61563, 0.45200])
DEPTHS = np.array([0.21743, 0.57009, 0.57492, 0.74454, 0.89731])
HILLS = [-2.6548, -0.4274, 1.2657, 3.8296]
# seed: gradient evaluations of 100 balls, each by itself, and with a rule that is simpler than ours
PUBLISHED = {0: (59511, 20821), 1: (62310, 19308), 2: (64445, 19533)}


@functools.cache
def minima(**options):
    return roll(**options)


def twin(starts, merge=False):
    """Descent in NumPy: (evaluations, ends). Merged: of neighbours within 0.01 the left one goes on."""
    x, goes_on, evaluations, steps = starts.copy(), np.ones(len(starts), bool), 0, 0
    arrived = np.zeros(len(starts), bool)
    while (moving := goes_on & ~arrived).any():
        slopes = landscape(x)[1]
        evaluations += np.count_nonzero(moving)
        arrived |= moving & (np.abs(slopes) < 1e-6)
        x[moving & ~arrived] -= 0.01 * slopes[moving & ~arrived]
        steps += 1
        if merge and steps % 10 == 0:
            left, *others = sorted(np.flatnonzero(goes_on), key=lambda i: x[i])
            for i in others:
                goes_on[i] = x[i] - x[left] > 0.01
                left = i if goes_on[i] else left
    return evaluations, x[goes_on]


@functools.cache
def alone(seed):
    return twin(np.random.default_rng(seed).uniform(-5.5, 5.5, 100))


def test_the_landscape_is_the_published_one():
    np.testing.assert_allclose(landscape(WELLS)[0], DEPTHS, atol=5e-6)
    for flat in (WELLS, HILLS):
        np.testing.assert_allclose(landscape(np.array(flat))[1], 0, atol=2e-4)


@pytest.mark.parametrize("seed", PUBLISHED)
def test_five_basins(seed):
    """Every ball falls into the basin that it falls into alone, for less than a third of the work."""
    found = minima(seed=seed)
    evaluations, ends = alone(seed)
    assert evaluations == PUBLISHED[seed][0]
    assert len(found.basins) == 5
    np.testing.assert_allclose([basin.x for basin in found.basins], WELLS, atol=6e-6)
    np.testing.assert_allclose([basin.value for basin in found.basins], DEPTHS, atol=6e-6)
    np.testing.assert_allclose(WELLS[found.labels], ends, atol=1e-4)
    assert found.value == found.best.value == pytest.approx(0.217428, abs=5e-7)
    assert found.merged == 95
    assert evaluations / found.evaluations > 4.5
    assert 0.6 * evaluations < found.evaluations + found.saved <= evaluations


@pytest.mark.parametrize("seed", PUBLISHED)
def test_merging_is_no_worse_than_published(seed):
    """There the left of two balls goes on, and they have met at a distance of 0.01 wherever they are."""
    starts = np.random.default_rng(seed).uniform(-5.5, 5.5, 100)
    evaluations, ends = twin(starts, merge=True)
    assert evaluations == PUBLISHED[seed][1]
    np.testing.assert_allclose(np.sort(ends), np.sort(WELLS), atol=1e-4)
    assert minima(seed=seed).evaluations < evaluations


def test_without_merging_the_answer_is_the_same():
    merged, single = minima(starts=30), minima(starts=30, merge=False)
    evaluations, ends = twin(single.starts)
    assert (single.evaluations, single.merged, single.saved) == (evaluations, 0, 0)
    np.testing.assert_allclose(WELLS[single.labels], ends, atol=1e-4)
    np.testing.assert_array_equal(single.labels, merged.labels)
    for left, right in zip(single.basins, merged.basins, strict=True):
        assert left.value == pytest.approx(right.value, abs=1e-9)
        np.testing.assert_array_equal(left.starts, right.starts)


def test_balls_on_both_sides_of_a_ridge_stay_apart():
    """A crowd without gaps: each is near the next, all the way over the four hills."""
    starts = np.linspace(-5.5, 5.5, 1101)
    found = fl.minimize(landscape, optimizer=fl.SGD(0.01), starts=starts)
    np.testing.assert_allclose(WELLS[found.labels], WELLS[[1, 3, 4, 2, 0]][np.searchsorted(HILLS, starts)])
    shares = np.bincount(found.labels) / len(starts)
    np.testing.assert_allclose(shares, [0.152, 0.259, 0.233, 0.202, 0.154], atol=1.1e-3)


def test_what_merging_saves_goes_to_those_left():
    """200 iterations are not enough for a ball, but 8000 for all who go on."""
    single, merged = (minima(starts=40, max_iterations=200, merge=merge) for merge in (False, True))
    assert {basin.minimum.stop_reason for basin in merged.basins} == {"the gradient is below gtol"}
    assert max(basin.minimum.iterations for basin in merged.basins) > 800
    assert "max_iterations are spent" in {basin.minimum.stop_reason for basin in single.basins}
    assert single.evaluations <= 8000 + 40


def test_starts_follow_from_the_seed():
    first, again, other = (minima(seed=seed, max_iterations=0).starts for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, np.random.default_rng(3).uniform(-5.5, 5.5, 100))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    unseeded = [minima.__wrapped__(seed=None, max_iterations=0).starts for _ in range(2)]
    assert (unseeded[0] != unseeded[1]).all()


@pytest.mark.parametrize(
    "arguments, shape",
    [
        ({"bounds": (-1, 1)}, ()),
        ({"bounds": ([-1, -1], [1, 2])}, (2,)),
        ({"bounds": (0, np.ones((2, 3)))}, (2, 3)),
        ({"x0": np.zeros((2, 3)), "bounds": (-1, 1)}, (2, 3)),
        ({"x0": np.zeros((2, 3)), "bounds": ([-1, -1, 0], 1)}, (2, 3)),
    ],
)
def test_where_starts_are_drawn(arguments, shape):
    found = fl.minimize(
        lambda x: ((x**2).sum(), 2 * x), optimizer=fl.SGD(0.1), starts=50, seed=0, **arguments
    )
    low, high = (np.broadcast_to(bound, shape) for bound in arguments["bounds"])
    assert found.starts.shape == (50, *shape)
    assert ((low <= found.starts) & (found.starts <= high)).all()
    assert len(np.unique(found.starts)) == 50 * max(1, int(np.prod(shape)))
    assert found.x.shape == shape
    assert len(found.basins) == 1


def test_lost_balls():
    """Where the function is not finite nobody arrives, and the others do."""

    def fun(x):
        with np.errstate(divide="ignore", invalid="ignore"):
            return x - np.log(x), 1 - 1 / x

    def steep(x):
        with np.errstate(over="ignore"):
            return x * x, 2 * x

    found = fl.minimize(fun, optimizer=fl.SGD(0.1), starts=np.array([-2.0, 0.5, 1e-3, 3.0]))
    np.testing.assert_array_equal(found.labels, [-1, 0, 0, 0])
    assert found.x == pytest.approx(1, abs=1e-5)
    assert "4 starts (1 lost)" in repr(found)
    with refuses(fl.NonFiniteLoss, r"fun\(x\) is nan at a start"):
        fl.minimize(fun, optimizer=fl.SGD(0.1), starts=np.array([-2.0, -1.0]))
    with refuses(fl.NonFiniteLoss, "smaller learning rate"):
        fl.minimize(steep, optimizer=fl.SGD(9e99), starts=np.array([9.0, -9.5]))


def test_the_answer_is_a_table():
    assert repr(minima()).splitlines() == [
        "5 basins, 100 starts, 13,035 evaluations; 95 merged, which saved 31,715 iterations",
        "   value  starts  x         stopped because",
        "0.217428      23  4.34815   the gradient is below gtol",
        "0.570092      22  -4.17286  the gradient is below gtol",
        "0.574923      25  2.49244   the gradient is below gtol",
        "0.744544      19  -1.61563  the gradient is below gtol",
        "0.897307      11  0.451999  the gradient is below gtol",
    ]
    assert repr(minima().basins[0]) == "Basin: 0.217428 at 4.34815, 23 starts"
    crowd = fl.minimize(
        lambda x: (-np.cos(x), np.sin(x)), optimizer=fl.SGD(0.1), starts=60, bounds=(-99, 99), seed=0
    )
    assert len(repr(crowd).splitlines()) == 16
    assert "..." in repr(crowd)


def test_trajectories_may_be_kept():
    assert minima(starts=3).best.trajectory is None
    for basin in minima(starts=3, trajectory=True).basins:
        points = basin.minimum.trajectory
        assert len(points) == basin.minimum.iterations + 1
        assert points[0] in minima(starts=3).starts[basin.starts]
        assert points[-1] == basin.x


def test_starts_of_a_quasi_newton_method():
    """On Rosenbrock's valley all come together at its end; merging by iterations in which lines are searched."""
    banana = lambda x: (  # noqa: E731
        100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]),
    )
    options = {"starts": 30, "bounds": ([-2, -1], [2, 3]), "seed": 0}
    merged, single = (fl.minimize(banana, merge=merge, **options) for merge in (True, False))
    for found in (merged, single):
        assert len(found.basins) == 1
        np.testing.assert_allclose(found.x, 1, atol=1e-3)
    assert merged.evaluations < single.evaluations


@pytest.mark.parametrize("make", [fl.BFGS, fl.LBFGS])
def test_published_starts_of_the_xor_network(make):
    """Four hidden units: of 60 starts 43 come down to 0 with scipy, and all others to 1/8, 1/4 or 1/3."""
    model = network(start(4), 1)

    def fun(x):
        model.set_weights([x[:12].reshape(3, 4), x[12:].reshape(4, 1)])
        loss, gradients = model.loss_and_gradients(X, Y)
        return loss / 2, np.concatenate([gradient.ravel() for gradient in gradients]) / 2

    starts = [np.random.default_rng(seed).uniform(-1, 1, 16) for seed in range(60)]
    found = fl.minimize(fun, optimizer=make(), starts=starts)
    ends = np.array([basin.value for basin in found.basins])[found.labels]
    assert np.abs(ends[:, None] - [0, 1 / 8, 1 / 4, 1 / 3]).min(axis=1).max() < 1e-4
    assert 39 <= np.count_nonzero(ends < 1e-3) <= 47
    assert found.value == pytest.approx(0, abs=1e-6)


def test_annealing_is_never_merged_on_its_way():
    """It may leave any basin; its ends are told apart."""
    walk = fl.SimulatedAnnealing(0.5, final_temperature=0.01, proposals=300, cycles=30)
    found = minima(optimizer=walk, starts=20, check_every=1)
    assert (found.merged, found.saved) == (0, 0)
    assert found.evaluations == 20 * 301
    assert len(found.basins) < 20
