"""Rows and targets of the cases, seeded: what nobody can learn, and what a fit comes to the end of."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Data = tuple[NDArray[np.float32], NDArray[Any]]
"""x (rows, inputs) and y: integer classes (rows,) or targets (rows, 1)."""


def normal(generator: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    """Standard normal numbers, made without temporaries."""
    return generator.standard_normal((rows, columns), dtype=np.float32)


def noise(generator: np.random.Generator, rows: int, inputs: int, outputs: int) -> Data:
    """Where one number is asked for, the sign of a product of two columns, with noise; else labels at random."""
    x = normal(generator, rows, inputs)
    if outputs == 1:
        return x, np.sign(x[:, :1] * x[:, 1:2]) + np.float32(0.1) * normal(generator, rows, 1)
    # What nobody can learn keeps the gradients away from subnormal numbers; every class occurs.
    return x, generator.permutation(np.arange(rows) % outputs)


def linear(generator: np.random.Generator, rows: int, inputs: int, outputs: int) -> Data:
    """A weighted sum of the columns, without noise."""
    x = normal(generator, rows, inputs)
    return x, x @ normal(generator, inputs, 1) / np.float32(inputs**0.5)


def separable(generator: np.random.Generator, rows: int, inputs: int, outputs: int) -> Data:
    """Two classes on either side of a plane, each ten away from it."""
    x, across = normal(generator, rows, inputs), normal(generator, inputs, 1)
    across /= np.linalg.norm(across)
    side = np.sign(x @ across)
    return x + np.float32(10) * side * across.T, (side[:, 0] > 0).astype(np.int64)


def mnist(rows: int) -> Data:
    """The first images in [0, 1] and their labels; FileNotFoundError where FALLLINE_DATA names none."""
    folder = Path(os.environ.get("FALLLINE_DATA", "")) / "mnist"

    def read(name: str, header: int, size: int) -> NDArray[np.uint8]:
        with gzip.open(folder / f"train-{name}-ubyte.gz") as file:
            return np.frombuffer(file.read(header + size)[header:], np.uint8)

    images = read("images-idx3", 16, rows * 784).reshape(rows, 784)
    return images / np.float32(255), read("labels-idx1", 8, rows).astype(np.int64)


TASKS: dict[str, Callable[[np.random.Generator, int, int, int], Data]] = {
    "noise": noise,
    "linear": linear,
    "separable": separable,
    "mnist": lambda generator, rows, inputs, outputs: mnist(rows),
}
