"""Single kernels: products beside NumPy's and the FMA peak, Adam's update beside torch's fused one.

`pytest bench/test_kernels.py --benchmark-enable --benchmark-group-by=group`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fallline as fl

SHAPES = [
    (64, 64, 64),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (64, 784, 128),
    (1024, 2048, 1000),
]
PARAMETERS = (4096, 4096)
"""16.8 million: parameters, gradients and both moments are far beyond any cache."""


def normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("matmul", [fl.ops.matmul, np.matmul], ids=["fallline", "numpy"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matmul(
    benchmark: Any,
    report_flops: Callable[[float], None],
    shape: tuple[int, int, int],
    matmul: Callable[..., NDArray[np.float32]],
) -> None:
    m, k, n = shape
    benchmark.group = f"matmul {m} x {k} x {n}"
    a, b, out = normal(m, k), normal(k, n), np.empty((m, n), np.float32)
    benchmark(matmul, a, b, out=out)
    np.testing.assert_allclose(out, a.astype(float) @ b.astype(float), rtol=1e-4, atol=1e-5 * k)
    report_flops(2 * m * k * n)


def adam_steps(steps: int, gradient: NDArray[np.float32]) -> NDArray[np.float64]:
    """Where Adam leads from zero with a constant gradient: Kingma & Ba 2015 with m̂ = g, v̂ = g²."""
    g = gradient[0, :8].astype(float)
    return -steps * 1e-3 * g / (np.abs(g) + 1e-8)


def test_adam_step_fallline(benchmark: Any) -> None:
    benchmark.group = "Adam, 16.8 M parameters"
    parameters, gradient, optimizer = np.zeros(PARAMETERS, np.float32), normal(*PARAMETERS), fl.Adam()
    optimizer.step([parameters], [gradient])
    np.testing.assert_allclose(parameters[0, :8], adam_steps(1, gradient), rtol=1e-5)
    benchmark(optimizer.step, [parameters], [gradient])


def test_adam_step_torch(benchmark: Any) -> None:
    torch = pytest.importorskip("torch")
    benchmark.group = "Adam, 16.8 M parameters"
    torch.set_num_threads(fl.get_num_threads())
    gradient = normal(*PARAMETERS)
    parameters = torch.zeros(PARAMETERS, requires_grad=True)
    parameters.grad = torch.from_numpy(gradient)
    optimizer = torch.optim.Adam([parameters], fused=True)
    optimizer.step()
    np.testing.assert_allclose(parameters.detach()[0, :8], adam_steps(1, gradient), rtol=1e-5)
    benchmark(optimizer.step)
