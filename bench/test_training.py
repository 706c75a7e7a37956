"""One epoch of each case, fallline and the NumPy twin in one group; both must have computed the same losses.

`pytest bench/test_training.py --benchmark-enable --benchmark-group-by=group`
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.cases import CASES, Case
from bench.peers import Contestant, Fallline, Numpy
from bench.twins import Twin


@functools.lru_cache(maxsize=2)
def arrays(case: Case) -> tuple[Any, Any, Any]:
    """x, y, starting weights; the large ones are made once."""
    return *case.data(), case.weights()


@pytest.mark.parametrize("contestant", [Fallline, Numpy])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_epoch(
    benchmark: Any, report_flops: Callable[[float], None], case: Case, contestant: type[Contestant]
) -> None:
    benchmark.group = case.name
    trained = contestant(case, *arrays(case))
    losses = benchmark(trained.train, 1)
    assert np.isfinite(losses).all()
    report_flops(case.flops * case.steps)


@pytest.mark.parametrize("case", [case.shortened(4) for case in CASES.values()], ids=CASES)
def test_same_losses_batch_by_batch(case: Case) -> None:
    x, y, weights = arrays(case)
    expected = Twin(case, x, y, weights).train(1, shuffle=False)[0]
    model = Fallline(case, x, y, weights).model
    batches = [slice(i * case.batch, (i + 1) * case.batch) for i in range(case.steps)]
    np.testing.assert_allclose([model.train_on_batch(x[b], y[b]) for b in batches], expected, rtol=1e-4)


@pytest.mark.parametrize("case", [case.shortened(2) for case in CASES.values()], ids=CASES)
def test_same_losses_epoch_by_epoch(case: Case) -> None:
    x, y, weights = arrays(case)
    expected = Numpy(case, x, y, weights).train(2, shuffle=False)
    np.testing.assert_allclose(Fallline(case, x, y, weights).train(2, shuffle=False), expected, rtol=1e-3)


def test_twin_gradients_are_those_of_finite_differences() -> None:
    case = Case("small", (5, 7, 3), 16, 1, "sgd")
    x, y = case.data()
    weights = case.weights()
    twin = Twin(case, x, y, weights)
    twin.step(np.arange(case.rows))
    analytic = (weights[0][2, 3] - twin.kernels[0][2, 3]) / case.learning_rate
    losses = []
    for shift in (1e-2, -1e-2):
        moved = [array.copy() for array in weights]
        moved[0][2, 3] += shift
        losses.append(Twin(case, x, y, moved).step(np.arange(case.rows)))
    assert analytic == pytest.approx((losses[0] - losses[1]) / 2e-2, rel=2e-2)
