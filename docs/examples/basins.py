"""A hundred balls on a curve with five valleys, and a network from sixty starts: who ends where, and at what price.

A descent ends in the valley it starts in, and the deepest here is a narrow one. Many starts find it; but most of them
go the same ways, and those that have met need not all go on. The curve is drawn with the balls that each valley caught,
and below it the valley that each place leads to, a the deepest.

On networks two starts have met if they predict the same. XOR with few hidden units has bad minima that deserve many
starts; with eight there are none left, and a single start will do.
"""

from __future__ import annotations

import argparse

import numpy as np

import fallline as fl

# 1.5 − Σ depth · exp(−(x − centre)² / 2 width²) + x² / 250
CENTRES = np.array([-4.2, -1.6, 0.45, 2.5, 4.35])
DEPTHS = np.array([1, 0.75, 0.6, 0.95, 1.35])
WIDTHS = np.array([0.9, 0.55, 0.4, 0.6, 0.18])
EDGE, COLUMNS, LINES = 5.5, 100, 12


def landscape(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return heights and slopes at x, of any shape."""
    away = np.asarray(x)[..., np.newaxis] - CENTRES
    valleys = DEPTHS * np.exp(-(away**2) / (2 * WIDTHS**2))
    return 1.5 - valleys.sum(-1) + 0.004 * x**2, (valleys * away / WIDTHS**2).sum(-1) + 0.008 * x


def roll(seed: int = 0, **options: object) -> fl.Minima:
    """Let a hundred balls roll from anywhere."""
    told = {"optimizer": fl.SGD(0.01), "starts": 100, "bounds": (-EDGE, EDGE), "seed": seed} | options
    return fl.minimize(landscape, **told)


def picture(found: fl.Minima) -> str:
    """Draw the curve, the number of balls in each valley, and below, by letters, where each place leads to."""
    x = np.linspace(-EDGE, EDGE, COLUMNS)
    heights = landscape(x)[0]
    level = ((heights.max() - heights) / np.ptp(heights) * (LINES - 1)).round().astype(int)
    lines = [["." if row == line else " " for row in level] for line in range(LINES + 1)]
    for basin in found.basins:
        column = int(np.abs(x - basin.x).argmin())
        count = str(len(basin.starts))
        for i, digit in enumerate(count):
            lines[level[column] + 1][column + i - len(count) // 2] = digit
    order = np.argsort(found.starts)
    nearest = order[np.abs(found.starts[order] - x[:, np.newaxis]).argmin(axis=1)]
    letters = "".join("abcde"[label] for label in found.labels[nearest])
    return "\n".join([*("".join(line).rstrip() for line in lines), letters])


def xor(hidden: int) -> fl.Model:
    """Return a network that learns XOR by L-BFGS."""
    layers = [fl.Dense(hidden, activation="tanh"), fl.Dense(1)]
    model = fl.Model(layers, seed=0, dtype="float64")
    model.compile(fl.LBFGS(), "mse")
    return model


def main() -> None:
    """Print what the balls and the networks find."""
    parser = argparse.ArgumentParser(description="roll balls into five valleys")
    parser.add_argument("--seed", type=int, default=0, help="of the balls (default: 0)")
    options = parser.parse_args()

    merged, single = roll(options.seed), roll(options.seed, merge=False)
    print(picture(merged), "\n")
    for name, found in (("each ball by itself", single), ("those that meet are merged", merged)):
        print(f"{name}: {found}\n")
    same = bool((merged.labels == single.labels).all())
    times = single.evaluations / merged.evaluations
    print(f"every ball in the same valley: {same}, for {times:.1f} times fewer evaluations\n")

    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    found = {hidden: fl.multi_start(xor(hidden), x, y, starts=60) for hidden in (1, 2, 3, 8)}
    print(f"XOR with two hidden units: {found[2]}\n")
    solved = [sum(len(basin.starts) for basin in f.basins if basin.loss < 1e-3) for f in found.values()]
    print(f"of 60 starts with 1, 2, 3, 8 hidden units learn XOR: {', '.join(map(str, solved))}")


if __name__ == "__main__":
    main()
