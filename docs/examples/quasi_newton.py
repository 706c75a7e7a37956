"""What curvature brings, and what it does not: L-BFGS and BFGS beside descents.

A small network follows a curve through all points: quasi-Newton methods get to losses that descents do not. They do
not leave the valley they start in, as XOR shows: how many starts end in the deepest one is a matter of hidden units.
And where data are many, mini-batches are far ahead before the first iterations are through.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

import fallline as fl

EPOCHS = 2000
WIDTHS = (2, 3, 4, 8, 16)
STARTS = 60
X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0.0], [1], [1], [0]])


def curve(optimizer: fl.Optimizer) -> tuple[float, int]:
    """Fit 100 points of a curve at once; return the loss and the epochs."""
    x = np.linspace(-1, 1, 100)[:, None]
    y = np.sin(4 * x) + x**2
    model = fl.Model([fl.Input(1), fl.Dense(12, "tanh"), fl.Dense(1)], seed=0, dtype="float64")
    model.compile(optimizer, "mse")
    history = model.fit(x, y, batch_size=len(x), epochs=EPOCHS)
    return history.history["loss"][-1], len(history.epoch)


def xor(optimizer: fl.Optimizer, hidden: int, generator: np.random.Generator) -> float:
    """Fit XOR from random weights; return the sum of e²/2 where it ends."""
    layers = [fl.Dense(units, "sigmoid", use_bias=False) for units in (hidden, 1)]
    model = fl.Model([fl.Input(3), *layers], seed=0, dtype="float64")
    model.compile(optimizer, fl.MSE(reduction="sum"))
    model.set_weights([generator.uniform(-1, 1, shape) for shape in ((3, hidden), (hidden, 1))])
    return model.fit(X, Y).history["loss"][-1] / 2


def large(optimizer: fl.Optimizer, batch_size: int | None) -> list[float]:
    """Fit 50,000 points of a noisy surface; return the loss after each of five epochs."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50_000, 10))
    y = np.sin(x[:, :1] * 2) * x[:, 1:2] + 0.1 * generator.normal(size=(50_000, 1))
    model = fl.Model([fl.Input(10), fl.Dense(64, "relu"), fl.Dense(1)], seed=0)
    model.compile(optimizer, "mse")
    return model.fit(x, y, batch_size=batch_size, epochs=5).history["loss"]


def main() -> None:
    """Print where each method ends."""
    argparse.ArgumentParser(description="quasi-Newton methods beside descents").parse_args()
    print(f"a curve of 100 points, at most {EPOCHS} epochs")
    print(f"{'':16}   epochs      loss")
    for name, optimizer in {
        "descent": fl.SGD(0.1),
        "momentum": fl.SGD(0.1, momentum=0.9),
        "Adam": fl.Adam(0.01),
        "L-BFGS": fl.LBFGS(gtol=0, ftol=0),
        "BFGS": fl.BFGS(gtol=0, ftol=0),
    }.items():
        loss, epochs = curve(optimizer)
        print(f"{name:16}{epochs:9}{loss:10.1e}")

    print(f"\nXOR from {STARTS} random starts: share solved, and the values where the others end")
    print(f"{'hidden units':14}    BFGS  L-BFGS")
    for hidden in WIDTHS:
        generator = np.random.default_rng(0)
        ends = [[xor(make(), hidden, generator) for _ in range(STARTS)] for make in (fl.BFGS, fl.LBFGS)]
        solved = [np.mean(np.array(values) < 0.01) for values in ends]
        others = Counter(round(value, 3) for values in ends for value in values if value > 0.01)
        rest = ", ".join(f"{count} at {value}" for value, count in others.most_common(4))
        print(f"{hidden:<14}{solved[0]:8.2f}{solved[1]:8.2f}  {rest}")

    print("\n50,000 points: loss after each epoch")
    runs = {"L-BFGS": large(fl.LBFGS(), None), "Adam, batches": large(fl.Adam(), 32)}
    for name, losses in runs.items():
        print(f"{name:16}" + "".join(f"{loss:8.3f}" for loss in losses))
    better = min(runs, key=lambda name: runs[name][-1])
    print(f"for many points take: {better}")


if __name__ == "__main__":
    main()
