"""What samplers cost beside training itself, case mnist: AW-SGD's bookkeeping should stay below 15 % of a plain step.

Epochs of all samplers take turns, so that the machine's moods meet all alike; the ratio of medians is printed.

`pytest bench/test_samplers.py -s --benchmark-enable`
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import fallline as fl
from bench.cases import CASES, Case
from bench.peers import Fallline
from fallline.samplers import AWSGD, Balanced, Sampler, Shuffled, Weighted, WithReplacement

LIMIT = 1.15
ROUNDS = 9


def samplers(case: Case) -> dict[str, Sampler]:
    """What takes turns; the first is the plain step."""
    return {
        "shuffled": Shuffled(),
        "with replacement": WithReplacement(),
        "balanced": Balanced(unbiased=True),
        "weighted": Weighted(np.ones(case.rows), unbiased=True),
        "AW-SGD, classes": AWSGD(),
        "AW-SGD, examples": AWSGD("examples"),
    }


def epochs(case: Case, rounds: int) -> dict[str, list[float]]:
    """Seconds of each epoch of each sampler."""
    x, y = case.data()
    runs = {name: (Fallline(case, x, y, case.weights()).model, s) for name, s in samplers(case).items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, (model, sampler) in runs.items():
            begun = time.perf_counter()
            loss = model.fit(x, y, batch_size=case.batch, sampler=sampler, verbose=0).history["loss"]
            times[name].append(time.perf_counter() - begun)
            assert np.isfinite(loss).all()
    return {name: of_each[1:] for name, of_each in times.items()}


def test_every_sampler_trains() -> None:
    assert all(len(times) == 1 for times in epochs(CASES["mnist"].shortened(4), 1).values())


def test_bookkeeping(request: pytest.FixtureRequest) -> None:
    option = request.config.getoption
    if option("benchmark_disable") and not option("benchmark_enable"):
        pytest.skip("nothing is timed")
    case = CASES["mnist"]
    medians: dict[str, Any] = {name: float(np.median(t)) for name, t in epochs(case, ROUNDS).items()}
    print(f"\n{fl.get_num_threads()} threads, µs a step")
    plain = medians["shuffled"]
    for name, median in medians.items():
        print(f"{name:18}{median / case.steps * 1e6:8.1f}{median / plain:7.2f}")
    for name in ("AW-SGD, classes", "AW-SGD, examples"):
        assert medians[name] < LIMIT * plain, name
