"""Ten thousand proposals of annealing on XOR with three hidden units, by fallline and by a loop in NumPy.

`pytest bench/test_annealing.py --benchmark-enable --benchmark-group-by=group`; one thread does all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

PROPOSALS = 10_000
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)
Y = np.array([[0], [1], [1], [0]], np.float32)


def fallline(seed: int) -> Callable[[], float]:
    """Through its public API."""
    import fallline as fl

    wide = fl.initializers.Uniform(low=-1, high=1)
    layers = [fl.Dense(n, activation="sigmoid", use_bias=False, kernel_initializer=wide) for n in (3, 1)]
    model = fl.Model([fl.Input(3), *layers], seed=seed)
    weights = model.get_weights()

    def chain() -> float:
        model.compile(fl.SimulatedAnnealing(proposals=PROPOSALS), "mse")
        model.set_weights(weights)
        return model.fit(X, Y, verbose=0).history["loss"][-1]

    return chain


def numpy(seed: int) -> Callable[[], float]:
    """By hand: all random numbers in one go, all arrays made beforehand."""
    start = np.random.default_rng(seed).uniform(-1, 1, 12).astype(np.float32)
    hidden, output, error = (
        np.empty((4, 3), np.float32),
        np.empty((4, 1), np.float32),
        np.empty((4, 1), np.float32),
    )
    progress = np.linspace(0, 1, PROPOSALS)
    temperature, sigma = 0.02 * (1e-4 / 0.02) ** progress, (0.3**progress).astype(np.float32)

    def energy(theta: NDArray[np.float32]) -> float:
        for x, kernel, y in ((X, theta[:9].reshape(3, 3), hidden), (hidden, theta[9:].reshape(3, 1), output)):
            np.matmul(x, kernel, out=y)
            np.negative(y, out=y)
            np.exp(y, out=y)
            np.add(y, 1, out=y)
            np.reciprocal(y, out=y)
        np.subtract(output, Y, out=error)
        return float(np.vdot(error, error)) / 4

    def chain() -> float:
        generator = np.random.default_rng(seed + 1)
        steps = generator.standard_normal((PROPOSALS, 12), np.float32) * sigma[:, np.newaxis]
        thresholds = (-np.log(generator.random(PROPOSALS)) * temperature).tolist()
        theta, there = start.copy(), np.empty_like(start)
        here = best = energy(theta)
        for step, threshold in zip(steps, thresholds, strict=True):
            np.add(theta, step, out=there)
            beyond = np.abs(there) > 10
            if beyond.any():
                there[beyond] = np.copysign(20, there[beyond]) - there[beyond]
            rise = energy(there) - here
            if rise <= threshold:
                theta, there, here = there, theta, here + rise
                best = min(best, here)
        return best

    return chain


@pytest.mark.parametrize("contestant", [fallline, numpy])
def test_chain(benchmark: Any, contestant: Callable[[int], Callable[[], float]]) -> None:
    benchmark.group = "annealing"
    assert benchmark(contestant(0)) < 0.01
    if benchmark.stats is not None:
        rate = PROPOSALS / benchmark.stats.stats.median
        benchmark.extra_info["million proposals/s"] = round(rate / 1e6, 3)


@pytest.mark.parametrize("contestant", [fallline, numpy])
def test_both_solve_what_they_are_timed_on(contestant: Callable[[int], Callable[[], float]]) -> None:
    assert max(contestant(seed)() for seed in range(1, 6)) < 0.01
