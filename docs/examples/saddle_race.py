"""Who leaves a saddle first: optimizers on z = x² − y² from a point a thousandth beside its ridge.

`Optimizer.step` works on plain arrays, so no network is needed. Plain descent crawls, because the slope across
the ridge is tiny; momentum adds it up, and adaptive rates do not see how small it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import fallline as fl

START, STEPS, RATE = (1.0, -0.001), 179, 0.02
RACERS: dict[str, Callable[[], fl.Optimizer]] = {
    "descent": lambda: fl.SGD(RATE),
    "momentum": lambda: fl.SGD(RATE, momentum=0.9),
    "Nesterov": lambda: fl.SGD(RATE, momentum=0.9, nesterov=True),
    "momentum, averaged": lambda: fl.SGD(RATE, momentum=0.9, momentum_style="ewa"),
    "AdaGrad": lambda: fl.AdaGrad(RATE),
    "AdaDelta": fl.AdaDelta,
    "RMSProp": lambda: fl.RMSProp(RATE),
    "RMSProp, s from 1": lambda: fl.RMSProp(RATE, epsilon=1e-10, init="one", epsilon_inside=True),
    "Adam": lambda: fl.Adam(RATE),
}


def path(
    optimizer: fl.Optimizer, gradient: Callable[[np.ndarray], np.ndarray], start: object, steps: int
) -> np.ndarray:
    """Return the points (steps + 1, n) that the optimizer visits, start first."""
    point = np.array(start, dtype=np.float64)
    points = [point.copy()]
    for _ in range(steps):
        optimizer.step([point], [np.asarray(gradient(point), dtype=np.float64)])
        points.append(point.copy())
    return np.array(points)


def slope(point: np.ndarray) -> np.ndarray:
    """Return the gradient of x² − y²."""
    return np.array([2 * point[0], -2 * point[1]])


def arrival(points: np.ndarray, height: float) -> float:
    """Return the first step with |y| > height; infinite if there is none."""
    beyond = np.flatnonzero(np.abs(points[:, 1]) > height)
    return float(beyond[0]) if len(beyond) else np.inf


def main() -> None:
    """Print when each optimizer leaves the saddle; draw the paths if asked."""
    parser = argparse.ArgumentParser(description="race down a saddle")
    parser.add_argument("--picture", metavar="FILE", help="draw the paths (needs matplotlib)")
    options = parser.parse_args()

    paths = {name: path(make(), slope, START, STEPS) for name, make in RACERS.items()}
    print(f"{'':20}|y| > 0.1  |y| > 1   last y")
    for name, points in paths.items():
        print(f"{name:20}{arrival(points, 0.1):9.0f}{arrival(points, 1):9.0f}   {points[-1, 1]:.4g}")
    order = sorted(paths, key=lambda name: arrival(paths[name], 1))
    print("out of the saddle: " + "; ".join(name for name in order if arrival(paths[name], 1) < STEPS))

    if options.picture:
        from matplotlib import pyplot as plt

        x, y = np.meshgrid(np.linspace(-1.2, 1.2, 100), np.linspace(-1.2, 1.2, 100))
        plt.contour(x, y, x**2 - y**2, levels=20, colors="lightgrey")
        for name, points in paths.items():
            plt.plot(*points[(np.abs(points) < 1.2).all(axis=1)].T, marker=".", label=name)
        plt.legend()
        plt.savefig(options.picture)


if __name__ == "__main__":
    main()
