"""Where descent comes to grief: a local minimum, a saddle, a cliff.

A ball rests wherever there is no slope, and crawls where there is nearly none; a step takes the slope of one point for
that of all the way, and where the ground breaks off it leads anywhere. Clipping the gradient mends the last (Pascanu,
Mikolov, Bengio 2013); for the others see saddle_race.py (momentum, adaptive rates) and basins.py (many starts).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import fallline as fl

Surface = Callable[[np.ndarray], tuple[float, np.ndarray]]


def peaks(point: np.ndarray) -> tuple[float, np.ndarray]:
    """MATLAB's "peaks": height and gradient."""
    x, y = point
    a, b, c = np.exp(-(x**2) - (y + 1) ** 2), np.exp(-(x**2) - y**2), np.exp(-((x + 1) ** 2) - y**2)
    inner = x / 5 - x**3 - y**5
    height = 3 * (1 - x) ** 2 * a - 10 * inner * b - c / 3
    by_x = (
        -6 * (1 - x) * (1 + x * (1 - x)) * a - 10 * (0.2 - 3 * x**2 - 2 * x * inner) * b + 2 / 3 * (x + 1) * c
    )
    by_y = -6 * (y + 1) * (1 - x) ** 2 * a + 10 * (5 * y**4 + 2 * y * inner) * b + 2 / 3 * y * c
    return height, np.array([by_x, by_y])


def monkey_saddle(point: np.ndarray) -> tuple[float, np.ndarray]:
    """x³ − 3xy², whose slope and curvature both vanish at the origin."""
    x, y = point
    return x**3 - 3 * x * y**2, np.array([3 * (x**2 - y**2), -6 * x * y])


def cliff(point: np.ndarray, times: int = 50) -> tuple[float, np.ndarray]:
    """The loss of a unit that feeds itself: z ← weight·σ(z) + bias, 50 times from 1/2; (σ(z) − 0.7)²."""
    (weight, bias), z, dz = point, 0.5, np.zeros(2)
    for _ in range(times):
        out = 1 / (1 + np.exp(-z))
        z, dz = weight * out + bias, weight * out * (1 - out) * dz + [out, 1]
    out = 1 / (1 + np.exp(-z))
    return (out - 0.7) ** 2, 2 * (out - 0.7) * out * (1 - out) * dz


# surface, start, optimizer, steps
WALKS: dict[str, tuple[Surface, tuple[float, float], fl.Optimizer, int]] = {
    "local minimum": (peaks, (1, 0), fl.SGD(0.005), 180),
    "monkey saddle": (monkey_saddle, (1, 0), fl.SGD(0.005), 180),
    "cliff": (cliff, (5.5, -2.6), fl.SGD(0.5), 180),
    "cliff, clipped": (cliff, (5.5, -2.6), fl.SGD(0.5, clip_norm=1.0), 180),
}


def walk(name: str) -> fl.Minimum:
    """Go down one of the surfaces."""
    surface, start, optimizer, steps = WALKS[name]
    return fl.minimize(surface, start, optimizer=optimizer, max_iterations=steps, gtol=0)


def main() -> None:
    """Print where each walk ends; draw them if asked."""
    parser = argparse.ArgumentParser(description="walk into traps")
    parser.add_argument("--picture", metavar="FILE", help="draw the walks (needs matplotlib)")
    options = parser.parse_args()

    walks = {name: walk(name) for name in WALKS}
    print(f"{'':16}{'x':>9}{'y':>9}{'height':>10}{'slope':>10}{'longest step':>15}")
    for name, found in walks.items():
        slope = np.linalg.norm(found.gradient)
        longest = np.linalg.norm(np.diff(found.trajectory, axis=0), axis=1).max()
        x, y = found.x
        print(f"{name:16}{x:9.3f}{y:9.3f}{found.value:10.4f}{slope:10.4f}{longest:15.3f}")
    print(f"the lowest valley of the peaks lies at {fl.minimize(peaks, (0, -1.5)).value:.2f}")

    if options.picture:
        from matplotlib import pyplot as plt

        _, axes = plt.subplots(1, len(walks), figsize=(16, 4))
        for axis, (name, found) in zip(axes, walks.items(), strict=True):
            surface, start, *_ = WALKS[name]
            x, y = (np.linspace(c - 2, c + 2, 60) for c in start)
            axis.contour(x, y, [[surface((a, b))[0] for a in x] for b in y], levels=25, colors="lightgrey")
            axis.plot(*found.trajectory[np.abs(found.trajectory - start).max(axis=1) < 2].T, marker=".")
            axis.set_title(name)
        plt.savefig(options.picture)


if __name__ == "__main__":
    main()
