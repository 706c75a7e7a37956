"""Five epochs of 256 networks 8-16-16-1 in a call: fit_many on one thread and two, fits one by one, NumPy, JAX.

`pytest bench/test_many.py --benchmark-enable`
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.cases import MANY
from bench.many import Fallline, Jax, JaxEach, Loop, Numpy

CASE = MANY["many"]
EPOCHS = 5
CONTESTANTS = {
    "one thread": Fallline,
    "two threads": Fallline,
    "one by one": Loop,
    "numpy": Numpy,
    "jax": Jax,
    "jax, each its order": JaxEach,
}


def contestant(name: str, steps: int = CASE.steps) -> Any:
    """Set up on the first steps of the case; skipped where its library is missing."""
    if name.startswith("jax"):
        pytest.importorskip("optax")
    case = CASE.shortened(steps)
    return CONTESTANTS[name](case, *case.data(), [case.weights(seed) for seed in range(case.models)])


@pytest.mark.parametrize("name", CONTESTANTS)
def test_epochs(benchmark: Any, name: str) -> None:
    import fallline as fl

    trained = contestant(name)
    with fl.threads(1 if name == "one thread" else 2):
        losses = benchmark(trained.train, EPOCHS)
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if name != "numpy"])
def test_same_losses(name: str) -> None:
    expected = contestant("numpy", steps=3).train(2, shuffle=False)
    np.testing.assert_allclose(contestant(name, steps=3).train(2, shuffle=False), expected, rtol=1e-3)
