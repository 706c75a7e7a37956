"""Whole data set or mini-batches: what an update costs and what it brings, on two moons.

2-25-50-50-25-1, ReLU and a sigmoid, 1800 points. An update from 64 points is about as good as one from all, for
a small part of the work; momentum and adaptive rates then do more with each. After P. Skalski 2018, How to train
neural network faster with optimizers?
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import fallline as fl
from moons import moons

UNITS = (25, 50, 50, 25, 1)


class Run(NamedTuple):
    """A way to train: optimizer, points in an update, updates."""

    name: str
    optimizer: Callable[[], fl.Optimizer]
    batch_size: int
    updates: int


RUNS = (
    Run("all points, 0.01", lambda: fl.SGD(0.01), 1800, 5000),
    Run("batches, 0.01", lambda: fl.SGD(0.01), 64, 5000),
    Run("batches, 0.1", lambda: fl.SGD(0.1), 64, 5000),
    Run("batches, 0.1, momentum", lambda: fl.SGD(0.01, momentum=0.9), 64, 5000),
    Run("batches, RMSProp", lambda: fl.RMSProp(0.01), 64, 1000),
    Run("batches, Adam", lambda: fl.Adam(0.01), 64, 1000),
)


def data() -> tuple[np.ndarray, ...]:
    """Return training points and labels, test points and labels, of two pairs of moons side by side."""
    (left, y_left), (right, y_right) = moons(1000, 0.2, 100), moons(1000, 0.2, 0)
    x, y = np.concatenate([left, right + np.array([2.0, 0.0])]), np.concatenate([y_left, y_right])
    order = np.random.default_rng(42).permutation(2000)
    return x[order[200:]], y[order[200:]], x[order[:200]], y[order[:200]]


def network(optimizer: fl.Optimizer) -> fl.Model:
    """Return the network; weights and biases start from N(0, 0.01), the same for every run."""
    start = {"kernel_initializer": fl.Normal(std=0.1), "bias_initializer": fl.Normal(std=0.1)}
    hidden = [fl.Dense(units, "relu", **start) for units in UNITS[:-1]]
    model = fl.Model([fl.Input(2), *hidden, fl.Dense(UNITS[-1], "sigmoid", **start)], seed=2)
    model.compile(optimizer, "binary_cross_entropy", metrics=["accuracy"])
    return model


def train(run: Run, data: tuple[np.ndarray, ...]) -> dict[str, float]:
    """Return loss and accuracy on the training points, test accuracy, and how many points were looked at."""
    x, y, x_test, y_test = data
    model = network(run.optimizer())
    per_epoch = -(-len(x) // run.batch_size)
    epochs, left = divmod(run.updates, per_epoch)
    model.fit(x, y, batch_size=run.batch_size, epochs=epochs)
    for batch in range(left):
        part = slice(batch * run.batch_size, (batch + 1) * run.batch_size)
        model.train_on_batch(x[part], y[part])
    points = epochs * len(x) + left * run.batch_size
    test = model.evaluate(x_test, y_test)["accuracy"]
    return model.evaluate(x, y) | {"test": test, "points": points}


def main() -> None:
    """Print what each run reached, and with how much work."""
    argparse.ArgumentParser(description="train on two moons by batches of different sizes").parse_args()
    everything = data()
    print(f"{'':24}updates  points seen    loss   train    test")
    table = {run.name: train(run, everything) for run in RUNS}
    for run in RUNS:
        found = table[run.name]
        print(
            f"{run.name:24}{run.updates:7}{found['points']:13,}{found['loss']:8.4f}"
            f"{found['accuracy']:8.3f}{found['test']:8.3f}"
        )
    full, mini = table["all points, 0.01"], table["batches, 0.01"]
    print(f"batches: {full['points'] / mini['points']:.0f} times less work, ", end="")
    print(f"the loss differs by {abs(full['loss'] - mini['loss']):.4f}")


if __name__ == "__main__":
    main()
