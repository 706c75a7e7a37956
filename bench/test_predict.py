"""One row through 17-64-64-6 from Python: what a control loop pays for each decision.

`pytest bench/test_predict.py --benchmark-enable`
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.cases import CASES, Weights
from bench.peers import Fallline


class NumpyPredict:
    """The same network by hand, in buffers made beforehand."""

    def __init__(self, weights: Weights) -> None:
        self.layers = [
            (kernel, bias, np.empty((1, len(bias)), np.float32))
            for kernel, bias in zip(weights[::2], weights[1::2], strict=True)
        ]

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        last = self.layers[-1][2]
        for kernel, bias, out in self.layers:
            np.matmul(x, kernel, out=out)
            np.add(out, bias, out=out)
            if out is not last:
                np.maximum(out, 0, out=out)
            x = out
        np.subtract(last, last.max(), out=last)
        np.exp(last, out=last)
        return np.divide(last, last.sum(), out=last)


@pytest.mark.parametrize("contestant", ["fallline", "numpy"])
def test_one_row(benchmark: Any, contestant: str) -> None:
    benchmark.group = "predict, 1 row"
    case = CASES["rl"].shortened(1)
    x, y = case.data()
    weights = case.weights()
    by_hand = NumpyPredict(weights)
    predict = by_hand if contestant == "numpy" else Fallline(case, x, y, weights).model.predict
    row = x[:1]
    np.testing.assert_allclose(benchmark(predict, row), by_hand(row), rtol=1e-5, atol=1e-7)
