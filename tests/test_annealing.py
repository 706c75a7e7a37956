"""Simulated annealing: the walk itself, what physics says of it, and networks that it solves."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import fallline as fl
from basins import CENTRES, DEPTHS, WIDTHS, landscape
from helpers import assert_same_bits, refuses, unchanged
from test_basins import WELLS
from twins.annealing import anneal, normals, philox, uniforms

END = "the temperature has come to the end of its schedule"


def walk(f, start, seed=0, **options):
    """The optimizer's method, begun."""
    method = fl.SimulatedAnnealing(**options).start(seed)
    method.begin(f, start)
    return method


def ended(method, f):
    method.run(f, 10**6, np.inf)
    assert method.reason == END
    return method


def bumps(x):
    return 0.1 * float((x**2).sum() + np.cos(3 * x).sum())


WALKS = {
    "geometric": {},
    "linear": {"cooling": "linear", "final_sigma": 2.0},
    "logarithmic": {"cooling": "logarithmic", "temperature": 0.3},
    "inverse": {"cooling": "inverse"},
    "greedy": {"acceptance": "greedy"},
    "adaptive": {"adaptive": True, "sigma": 0.01},
    "adaptive, from too wide": {"adaptive": True, "sigma": 30.0},
    "one coordinate": {"one_coordinate": True},
    "within a bound": {"bound": 1.05, "sigma": 4.0},
    "without a bound": {"bound": None, "sigma": 4.0},
    "uneven cycles": {"proposals": 301, "cycles": 17},
    "one proposal": {"proposals": 1, "cycles": 1},
}


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("size", [1, 7, 70])
def test_the_walk_is_that_of_numpy(name, size):
    """Proposal for proposal, through the end of the schedule and on."""
    optimizer = fl.SimulatedAnnealing(**{"proposals": 400, "cycles": 20} | WALKS[name])
    seed, start = 2**40 + 5, np.linspace(-1, 1, size)
    twin = list(anneal(bumps, start, seed, optimizer.get_config(), schedules=2))
    method = optimizer.start(seed)
    for begun in (start, None):
        method.begin(bumps, method.x if begun is None else begun)
        for cycle in range(1, optimizer.cycles + 1):
            method.run(bumps, 1, np.inf)
            x, best, acceptance = twin.pop(0)
            state = method.get_state()
            np.testing.assert_allclose(state["current"], x, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(method.x, best, rtol=1e-9, atol=1e-9)
            assert state["acceptance"].tolist()[cycle - 1 :] == [acceptance]
            assert method.value == bumps(method.x)
        assert method.reason == END
    assert not twin


def test_random_numbers():
    """Known answers of Philox (Salmon et al. 2011), and that the others are normal and uniform."""
    zeros = philox([0], 0, 0, 0)[:, 0]
    assert zeros.tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    digits_of_pi = philox([0x243F6A88], 0x85A308D3, 0x0370734413198A2E, 0x299F31D0A4093822)[:, 0]
    assert digits_of_pi.tolist() == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
    from scipy import stats

    assert stats.kstest(normals(100_000, 1, 2, 3), "norm").pvalue > 0.01
    assert (
        stats.kstest(np.concatenate([uniforms(1, i, 3) for i in range(100)]).ravel(), "uniform").pvalue > 0.01
    )


# --- what is known of such walks ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_walk_at_one_temperature_has_the_energies_of_boltzmann():
    """E = x²/2 has the mean T/2 (Metropolis et al. 1953), at an acceptance that was measured elsewhere."""
    t, points = 0.7, []

    def bowl(x):
        return float(x[0] ** 2 / 2)

    same = {"temperature": t, "final_temperature": t, "sigma": 2.0, "final_sigma": 2.0, "bound": None}
    method = walk(bowl, np.zeros(1), proposals=100, cycles=100, **same)
    accepted = []
    for _ in range(2000):
        method.begin(bowl, method.x)  # the walk goes on
        for _ in range(100):
            method.run(bowl, 1, np.inf)
            points.append(method.get_state()["current"][0])
        accepted.append(method.get_state()["acceptance"].mean())
    assert np.square(points).mean() / 2 == pytest.approx(t / 2, rel=0.03)
    assert np.mean(points) == pytest.approx(0, abs=0.03)
    assert np.mean(accepted) == pytest.approx(0.445, abs=0.005)


def test_without_heat_it_is_greedy():
    options = {"proposals": 2000, "cycles": 20, "sigma": 0.3}
    cold = walk(bumps, np.full(4, 2.0), temperature=1e-300, final_temperature=1e-300, **options)
    greedy = walk(bumps, np.full(4, 2.0), acceptance="greedy", **options)
    assert cold.run(bumps, 20, np.inf).tolist() == greedy.run(bumps, 20, np.inf).tolist()
    assert_same_bits(list(cold.get_state().values()), list(greedy.get_state().values()))
    assert_same_bits([greedy.x], [greedy.get_state()["current"]])
    assert 0 < greedy.get_state()["acceptance"].mean() < 0.5


def test_in_great_heat_it_accepts_everything():
    hot = ended(walk(bumps, np.ones(4), temperature=1e300, final_temperature=1e300), bumps)
    assert set(hot.get_state()["acceptance"]) == {1.0}


@pytest.mark.parametrize("one_coordinate", [True, False])
def test_sigma_adapts_to_an_acceptance_of_44_per_cent(one_coordinate):
    options = {"temperature": 0.1, "final_temperature": 0.1, "one_coordinate": one_coordinate, "bound": 1e6}
    for sigma in (1e-4, 1e4):
        method = walk(bumps, np.ones(5), adaptive=True, sigma=sigma, proposals=40_000, **options)
        acceptance = ended(method, bumps).get_state()["acceptance"]
        assert acceptance[-50:].mean() == pytest.approx(0.44, abs=0.03)


@pytest.mark.slow
def test_five_basins():
    """Starts anywhere find the deepest well, the narrow one, which one ball in seven falls into."""

    wells = list(zip(DEPTHS, CENTRES, WIDTHS, strict=True))

    def height(x):
        return 1.5 - sum(a * math.exp(-(((x - c) / s) ** 2) / 2) for a, c, s in wells) + 0.004 * x**2

    assert height(0.3) == pytest.approx(landscape(0.3)[0], rel=1e-12)
    walk = fl.SimulatedAnnealing(1.0, final_temperature=0.01, final_sigma=0.1, proposals=2000, cycles=20)
    found = fl.minimize(lambda x: height(float(x)), optimizer=walk, starts=100, bounds=(-5.5, 5.5), seed=1)
    assert found.basins[0].x == pytest.approx(WELLS[0], abs=1e-3)
    assert 80 <= len(found.basins[0].starts) <= 96
    assert found.evaluations == 100 * 2001


def test_any_function_any_shape():
    """Without slopes; the trajectory has the best point so far after each cycle."""
    centre = np.array([[1.0, -2.0], [0.5, 3.0]])
    found = fl.minimize(
        lambda x: float(np.abs(x - centre).max()), np.zeros((2, 2)), optimizer=fl.SimulatedAnnealing(seed=0)
    )
    assert np.abs(found.x - centre).max() == found.value < 0.05
    assert found.gradient is None
    assert (found.iterations, found.evaluations, found.stop_reason) == (100, 10_001, END)
    assert found.trajectory.shape == (101, 2, 2)
    assert found.values.tolist() == sorted(found.values, reverse=True)
    with refuses(ValueError, "SimulatedAnnealing: bound is 10; expected at least 30, to hold the start"):
        fl.minimize(bumps, [1.0, -30.0], optimizer=fl.SimulatedAnnealing())


# --- networks -----------------------------------------------------------------------------------------------------

X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0.0], [1], [1], [0]])


def network(model_seed=0, dtype="float32", **options):
    """XOR with three hidden units, whose bias is the third input."""
    wide = fl.initializers.Uniform(low=-1, high=1)
    layers = [
        fl.Dense(units, activation="sigmoid", use_bias=False, kernel_initializer=wide) for units in (3, 1)
    ]
    model = fl.Model([fl.Input(3), *layers], seed=model_seed, dtype=dtype)
    model.compile(fl.SimulatedAnnealing(**options), "mse")
    return model


@functools.cache
def solved(**options):
    """Of 100 chains."""
    losses = [network(seed, **options).fit(X, Y).history["loss"][-1] for seed in range(100)]
    return np.sum(np.array(losses) < 0.01)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_chain_solves_xor(dtype):
    assert solved(dtype=dtype) == 100


def test_greedy_chains_are_caught():
    assert 70 <= solved(acceptance="greedy") <= 90


@pytest.mark.parametrize("options", [{"cooling": "linear"}, {"cooling": "inverse"}, {"one_coordinate": True}])
def test_other_ways_through_xor(options):
    losses = [network(seed, **options).fit(X, Y).history["loss"][-1] for seed in range(10)]
    assert max(losses) < 0.01


def test_the_best_ever_is_kept_and_the_walk_goes_on_elsewhere():
    model = network(temperature=0.1, final_temperature=0.1)
    losses = model.fit(X, Y, epochs=60).history["loss"]
    assert losses == sorted(losses, reverse=True)
    assert model.evaluate(X, Y)["loss"] == losses[-1]
    best, here = (model.get_state()["arrays"][f"optimizer.{name}"] for name in ("best", "current"))
    np.testing.assert_array_equal(np.concatenate([w.ravel() for w in model.get_weights()]), best)
    assert np.abs(here - best).max() > 1


def test_the_end_of_the_schedule_and_the_next_one():
    model = network(proposals=500, cycles=10)
    first, none, second = model.fit(X, Y, epochs=4), model.fit(X, Y, epochs=5), model.fit(X, Y, epochs=50)
    assert (first.stop_reason, none.stop_reason, second.stop_reason) == (None, None, END)
    assert len(second.epoch) == 1
    again = model.fit(X, Y)
    assert again.stop_reason == END
    assert again.epoch == list(range(10, 20))
    assert model.get_state()["arrays"]["optimizer.acceptance"].shape == (10,)


def test_seeds():
    def weights(model_seed, **options):
        model = network(model_seed, proposals=50, cycles=1, **options)
        model.set_weights([np.zeros((3, 3)), np.zeros((3, 1))])
        model.fit(X, Y)
        return model.get_weights()

    assert_same_bits(weights(1), weights(1))
    assert_same_bits(weights(1, seed=2**64 - 1), weights(2, seed=2**64 - 1))
    assert_same_bits(weights(1, seed=2), weights(2))
    others = [weights(1), weights(2), weights(1 + 2**32), weights(1, seed=2**64 - 1)]
    assert len({w[0].tobytes() for w in others}) == 4


def test_new_weights_are_a_new_start():
    """The walk goes on from its own point only where nobody has moved the model."""
    model = network(sigma=1e-6, final_sigma=1e-6)
    model.fit(X, Y, epochs=1)
    model.set_weights([np.full((3, 3), 5.0), np.full((3, 1), -5.0)])
    model.fit(X, Y, epochs=1)
    assert np.abs(model.get_weights()[0] - 5).max() < 1e-3


# --- bounds, errors, interruptions --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_walk_stays_within_its_bound(dtype):
    bound = 0.1  # which float32 rounds up
    model = network(dtype=dtype, bound=bound, temperature=10.0)
    model.set_weights([np.full((3, 3), bound), np.full((3, 1), -bound)])
    model.fit(X, Y, epochs=50)
    walked = model.get_state()["arrays"]["optimizer.current"]
    assert np.abs(walked).max() <= np.dtype(dtype).type(bound)
    assert np.abs(walked).max() > 0.9 * bound
    model.fit(X, Y)


def test_a_bound_that_excludes_the_start():
    model = network(bound=0.5)
    with (
        unchanged(model),
        refuses(ValueError, r"SimulatedAnnealing: bound is 0.5; expected at least 0.[5-9]"),
    ):
        model.fit(X, Y)
    model.set_weights([np.zeros((3, 3)), np.full((3, 1), np.nan)])
    with unchanged(model), refuses(ValueError, "bound"):
        model.fit(X, Y)


@pytest.mark.parametrize(
    "options, exception, match",
    [
        ({"temperature": -0.1}, ValueError, "temperature is -0.1; expected a finite number > 0"),
        ({"temperature": 0}, ValueError, "temperature"),
        ({"temperature": np.inf}, ValueError, "temperature"),
        ({"temperature": "hot"}, TypeError, "temperature"),
        ({"final_temperature": 0.0}, ValueError, "final_temperature"),
        (
            {"final_temperature": 0.1},
            ValueError,
            "final_temperature is 0.1; expected at most temperature 0.02",
        ),
        ({"cooling": "exponential"}, ValueError, "cooling is 'exponential'; expected one of 'geometric'"),
        ({"cooling": None}, TypeError, "cooling"),
        ({"proposals": 0}, ValueError, "proposals"),
        ({"proposals": 1e4}, TypeError, "proposals"),
        ({"proposals": 10**13}, ValueError, "proposals"),
        ({"cycles": 0}, ValueError, "cycles"),
        ({"proposals": 50}, ValueError, "cycles is 100; expected at most as many as proposals 50"),
        ({"sigma": 0.0}, ValueError, "sigma"),
        ({"final_sigma": -1.0}, ValueError, "final_sigma"),
        ({"adaptive": 1}, TypeError, "adaptive"),
        ({"bound": 0.0}, ValueError, "bound"),
        ({"bound": np.nan}, ValueError, "bound"),
        ({"acceptance": "always"}, ValueError, "acceptance"),
        ({"one_coordinate": "yes"}, TypeError, "one_coordinate"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
    ],
)
def test_bad_arguments(options, exception, match):
    with refuses(exception, f"SimulatedAnnealing: {match}"):
        fl.SimulatedAnnealing(**options)


def test_where_the_function_is_not_defined_nothing_is_accepted():
    def f(x):
        return float(x[0]) if x[0] > 0 else [np.nan, np.inf, -np.inf][int(x[0] * 1000) % 3]

    method = ended(walk(f, np.ones(1), temperature=1e9, final_temperature=1e-9), f)
    assert method.x[0] > 0
    assert method.get_state()["current"][0] > 0
    assert method.value < 0.01


def test_a_function_that_raises_leaves_the_walk_between_two_proposals():
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) % 37 == 0:
            raise KeyboardInterrupt
        return bumps(x)

    options = {"proposals": 300, "cycles": 3, "adaptive": True}
    method, peace = walk(f, np.ones(3), **options), ended(walk(bumps, np.ones(3), **options), bumps)
    stops = 0
    while not method.reason:
        try:
            method.run(f, 1, np.inf)
        except KeyboardInterrupt:
            stops += 1
    assert stops == 301 // 36
    assert_same_bits(list(method.get_state().values()), list(peace.get_state().values()))
    assert method.evaluations == peace.evaluations == 301


def test_states_of_others_are_refused():
    method = ended(walk(bumps, np.ones(3)), bumps)
    state = method.get_state()
    for wrong in (
        {},
        {"pairs": np.zeros(1)},
        state | {"more": np.zeros(1)},
        state | {"current": np.zeros(2)},
        state | {"progress": np.zeros(2)},
        state | {"progress": np.array([-1.0, 0, 1])},
        state | {"progress": np.array([1e300, 0, 1])},
        state | {"progress": np.array([1, 0, np.nan])},
    ):
        with pytest.raises(ValueError, match=r"SimulatedAnnealing\.set_state: "):
            method.set_state(wrong)
    assert_same_bits(list(method.get_state().values()), list(state.values()))
