"""Fits that converge: everyone computes the same losses, they do converge, and no moment stays subnormal.

`python -m bench.converging` measures them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.cases import CONVERGING, Case
from bench.converging import LIMIT, pace, slower
from bench.peers import CONTESTANTS, Fallline, Numpy

LIBRARIES = {"fallline": "fallline", "torch": "torch", "jax": "optax"}


def arrays(case: Case) -> tuple[Any, Any, Any]:
    """x, y, starting weights; skipped where MNIST is missing."""
    try:
        return *case.data(), case.weights()
    except FileNotFoundError:
        pytest.skip("FALLLINE_DATA names no folder with mnist/ in it")


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("case", [case.shortened(4) for case in CONVERGING.values()], ids=CONVERGING)
def test_same_losses(case: Case, name: str) -> None:
    pytest.importorskip(LIBRARIES[name])
    given = arrays(case)
    expected = Numpy(case, *given).train(2, shuffle=False)
    np.testing.assert_allclose(CONTESTANTS[name](case, *given).train(2, shuffle=False), expected, rtol=1e-3)


@pytest.mark.parametrize("case", [replace(case, epochs=20) for case in CONVERGING.values()], ids=CONVERGING)
def test_a_fit_converges_and_leaves_no_subnormal_moment(case: Case) -> None:
    contestant = Fallline(case, *arrays(case))
    losses = contestant.train(case.epochs)
    assert losses[-1] < losses[0] / 4
    arrays_of = contestant.model.get_state()["arrays"]
    slots = {name: array for name, array in arrays_of.items() if name.count(".") == 2}
    assert len(slots) >= len(case.weights())
    faint = {
        name: np.count_nonzero(slot[abs(slot) < np.finfo(np.float32).tiny]) for name, slot in slots.items()
    }
    assert not any(faint.values()), faint


def test_pace_is_of_both_ends_without_the_first_epoch() -> None:
    fit = [9, 1, 2, 3, 5, 5, 5, 4, 4, 7]
    assert pace([fit], steps=10) == {"first": 2e5, "last": 4e5, "ratio": 2}
    assert pace([fit, fit[::-1], fit], steps=10)["ratio"] == 2


def test_only_fallline_must_not_become_slower() -> None:
    def case(ours: float, theirs: float) -> dict[str, Any]:
        return {"microseconds": {"fallline": {"ratio": ours}, "torch": {"ratio": theirs}}}

    cases = {"good": case(LIMIT, 9), "bad": case(LIMIT + 0.01, 1), "missing": {"microseconds": {}}}
    assert slower({"cases": cases}) == ["bad"]
