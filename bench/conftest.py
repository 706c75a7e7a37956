"""What the benchmarks share: the measured peak, and figures beside each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.peak import fma_peak


@pytest.fixture(scope="session")
def peak(request: pytest.FixtureRequest) -> float | None:
    """FMA peak of the target and threads in use; not measured where nothing is timed."""
    if request.config.getoption("benchmark_disable") and not request.config.getoption("benchmark_enable"):
        return None
    import fallline as fl
    from fallline import _core

    return fma_peak(_core.target, fl.get_num_threads())


@pytest.fixture
def report_flops(benchmark: Any, peak: float | None) -> Callable[[float], None]:
    """Call after the timed call with its FLOPs: GFLOP/s and % of peak go into the benchmark's record."""

    def report(flops: float) -> None:
        if benchmark.stats is None:
            return
        rate = flops / benchmark.stats.stats.median
        benchmark.extra_info["GFLOP/s"] = round(rate / 1e9, 1)
        if peak:
            benchmark.extra_info["% of FMA peak"] = round(100 * rate / peak)

    return report
