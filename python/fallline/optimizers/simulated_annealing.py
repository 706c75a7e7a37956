"""Simulated annealing."""

from __future__ import annotations

import math

from fallline import _core
from fallline.checks import choice, flag, integer, number
from fallline.errors import message
from fallline.optimizers.minimizer import Minimizer

COOLING = ("geometric", "linear", "logarithmic", "inverse")
ACCEPTANCE = ("metropolis", "greedy")


class SimulatedAnnealing(Minimizer):
    """A random walk that goes downhill always, and uphill by ΔE with probability exp(−ΔE / T) while T falls.

    Proposal i = 0, 1, ..., n − 1 of n = proposals is θ' = θ + σ·N(0, I), reflected at ±bound. It is accepted if
    ΔE = E(θ') − E(θ) <= 0, or else if a uniform U < exp(−ΔE / T). The best θ there ever was is what fit() leaves in
    the model. With s = i / (n − 1), T₀ = temperature and T₁ = final_temperature,

    - "geometric": T = T₀·(T₁ / T₀)ˢ
    - "linear": T = T₀ + (T₁ − T₀)·s
    - "logarithmic": T = T₀ / ln(1 + k) for proposal k = i + 1, which is slow, and proven to arrive; T₁ plays no part
    - "inverse": T = T₀ / (1 + (T₀ / T₁ − 1)·s)

    and σ = sigma·(final_sigma / sigma)ˢ, or as adaptive has it. The temperatures are made for losses of about 0.1.

    It needs no slopes and climbs out of local minima, but it has only the loss to go by: one random direction among n
    weights is hardly ever a good one. Take it for networks of up to some dozens of weights, or to find a start for
    another optimizer in a Chain. For anything larger, and wherever gradients lead, they are many times quicker. Weights
    without a bound would wander off to where the units are saturated and every move is as good as any other.

    A fit that ends before the schedule does is gone on with by the next one; after its end the next fit begins it
    again. The state of the model, Model.get_state()["arrays"], has under "optimizer.acceptance" the share of
    proposals accepted in each cycle of the schedule: near 1 it is too hot or σ too small, near 0 the walk is frozen.

    Args:
        temperature: of the first proposal, > 0. Default 0.02.
        final_temperature: of the last, > 0 and at most temperature. Default 1e-4.
        cooling: "geometric", "linear", "logarithmic" or "inverse". Default "geometric".
        proposals: of the whole schedule, >= 1. Default 10000.
        cycles: parts of the schedule, each of them an epoch of fit(), >= 1 and at most proposals. Default 100.
        sigma: standard deviation of the first proposal's steps, > 0. Default 1.
        final_sigma: that of the last one's, > 0. Default 0.3.
        adaptive: start with sigma, and after each cycle widen it or narrow it for an acceptance of 44 %, instead of
            going to final_sigma (Corana et al. 1987, with one σ for all coordinates). Default False.
        bound: largest absolute value of a weight, > 0, or None. Default 10.
        acceptance: "metropolis", or "greedy": never uphill, whatever the temperature. Default "metropolis".
        one_coordinate: move one weight at a time, drawn at random, instead of all of them. Default False.
        seed: of its random numbers, an integer >= 0, or None: that of the model. Default None.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range, or an unknown name; by fit(), a bound that excludes the weights.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
        >>> model = fl.Model([fl.Dense(3, activation="sigmoid"), fl.Dense(1, activation="sigmoid")], seed=0)
        >>> model.compile(fl.SimulatedAnnealing(), "mse")
        >>> history = model.fit(X, y)
        >>> len(history.epoch), history.stop_reason
        (100, 'the temperature has come to the end of its schedule')
        >>> history.history["loss"][-1] < 0.01
        True

    References:
        Metropolis et al. 1953; Kirkpatrick, Gelatt & Vecchi 1983; Geman & Geman 1984, for the logarithm; Corana,
        Marchesi, Martini & Ridella 1987.
    """

    name = "simulated_annealing"

    def __init__(
        self,
        temperature: float = 0.02,
        *,
        final_temperature: float = 1e-4,
        cooling: str = "geometric",
        proposals: int = 10_000,
        cycles: int = 100,
        sigma: float = 1.0,
        final_sigma: float = 0.3,
        adaptive: bool = False,
        bound: float | None = 10.0,
        acceptance: str = "metropolis",
        one_coordinate: bool = False,
        seed: int | None = None,
    ) -> None:
        kind = type(self).__name__
        self.temperature = number(kind, "temperature", temperature, above=0)
        self.final_temperature = number(kind, "final_temperature", final_temperature, above=0)
        if self.final_temperature > self.temperature:
            expected = f"at most temperature {self.temperature:g}"
            raise ValueError(message(kind, "final_temperature", f"is {final_temperature!r}", expected))
        self.cooling = choice(kind, "cooling", cooling, COOLING)
        self.proposals = integer(kind, "proposals", proposals, low=1, high=10**12)
        self.cycles = integer(kind, "cycles", cycles, low=1, high=10**6)
        if self.cycles > self.proposals:
            expected = f"at most as many as proposals {self.proposals}"
            raise ValueError(message(kind, "cycles", f"is {cycles!r}", expected))
        self.sigma = number(kind, "sigma", sigma, above=0)
        self.final_sigma = number(kind, "final_sigma", final_sigma, above=0)
        self.adaptive = flag(kind, "adaptive", adaptive)
        self.bound = None if bound is None else number(kind, "bound", bound, above=0)
        self.acceptance = choice(kind, "acceptance", acceptance, ACCEPTANCE)
        self.one_coordinate = flag(kind, "one_coordinate", one_coordinate)
        self.seed = None if seed is None else integer(kind, "seed", seed, low=0, high=2**64 - 1)
        self.max_iterations = self.cycles

    def options(self) -> dict[str, float | str]:
        """Return what the core's method is told."""
        return super().options() | {"bound": math.inf if self.bound is None else self.bound}

    def start(self, seed: int) -> _core.Minimizer:
        """Return the core's method before its first proposal."""
        return super().start(seed if self.seed is None else self.seed)
