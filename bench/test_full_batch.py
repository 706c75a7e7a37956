"""Thirty iterations of L-BFGS on MNIST by fallline, torch and scikit-learn, and the losses that they come to.

`FALLLINE_DATA=folder pytest bench/test_full_batch.py --benchmark-enable`
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from bench.data import mnist
from bench.full_batch import CONTESTANTS, ROWS, weights

LIBRARIES = {"fallline": "fallline", "torch": "torch", "sklearn": "sklearn"}


@functools.cache
def contestant(name: str) -> Any:
    """Set up; skipped where the library or the data are missing."""
    pytest.importorskip(LIBRARIES[name])
    try:
        return CONTESTANTS[name](*mnist(ROWS), weights())
    except FileNotFoundError:
        pytest.skip("FALLLINE_DATA names no folder with mnist/ in it")


@pytest.mark.parametrize("name", CONTESTANTS)
def test_iterations(benchmark: Any, name: str) -> None:
    loss = benchmark.pedantic(contestant(name).train, (30,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["loss"] = loss
    assert np.isfinite(loss)


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if name != "fallline"])
def test_same_final_loss(name: str) -> None:
    assert contestant(name).train(100) == pytest.approx(contestant("fallline").train(100), rel=0.02)
