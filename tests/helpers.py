"""Small assertions and builders used by many tests."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import fallline as fl

# operation: what it got; expected what
GRAMMAR = re.compile(r"^[A-Za-z_][\w.\[\]()]*: .+; expected .+", re.DOTALL)


def saved(model):
    """The bytes of the model's file: architecture, weights, optimizer state, counters, random state."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        return path.read_bytes()


def assert_same_bits(left, right):
    """Lists of arrays: equal shapes, types and bit patterns."""
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes(), f"{(a != b).sum()} of {a.size} elements differ"


def assert_same_model(left, right):
    """Two models with equal weights, optimizer state and counters."""
    assert_same_bits(left.get_weights(), right.get_weights())
    assert saved(left) == saved(right)


def assert_near(left, right, tolerance=1e-12):
    """Lists of numbers or arrays, equal within an absolute or relative tolerance."""
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@contextmanager
def unchanged(model):
    """The model comes out exactly as it went in."""
    before = saved(model)
    yield
    assert saved(model) == before


@contextmanager
def refuses(exception, match):
    """The block raises `exception` itself, with `match` in a message of the error grammar."""
    with pytest.raises(exception, match=match) as caught:
        yield
    assert type(caught.value) is exception
    assert GRAMMAR.search(str(caught.value)), f"not in the error grammar: {caught.value}"


def path(optimizer, gradient, start, steps):
    """The iterates, start first; `gradient` is a function of the parameter."""
    theta = np.array(start, dtype=np.float64)
    points = [theta.copy()]
    for _ in range(steps):
        optimizer.step([theta], [np.asarray(gradient(theta), dtype=np.float64)])
        points.append(theta.copy())
    return np.array(points)


class Scripted(fl.Callback):
    """Writes chosen numbers into the logs, so that those who come later see them."""

    def __init__(self, values, key="val_loss"):
        super().__init__()
        self.values, self.key = values, key

    def on_epoch_end(self, epoch, logs):
        logs[self.key] = self.values[epoch]
