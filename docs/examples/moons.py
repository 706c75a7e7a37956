"""Two moons: the data of some examples."""

from __future__ import annotations

import numpy as np


def moons(n: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 2) on two interlocking half circles, blurred by N(0, noise²), and which it is."""
    rng = np.random.default_rng(seed)
    angle = np.pi * rng.random(n)
    lower = np.arange(n) % 2
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    return np.transpose([x, y]) + rng.normal(scale=noise, size=(n, 2)), lower
