"""Compare the speed of training with plain NumPy on this machine, in under a minute."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import fallline as fl
from fallline import _core
from fallline.cli.twin import NumpyTwin

SUMMARY = "Compare the speed of training with plain NumPy on this machine, in under a minute."
_EPOCHS = 2
_TOLERANCE = 1e-3  # of epoch losses, float32, summed in different orders over hundreds of steps


@dataclass(frozen=True)
class _Case:
    """A ReLU network, softmax cross-entropy at its end, or mean squared error where that is one wide."""

    widths: tuple[int, ...]
    batch_size: int
    optimizer: str
    steps: int  # an epoch

    def data(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int64]]:
        """Normal rows (n, inputs), and what a random linear teacher says of them."""
        random = np.random.default_rng(0)
        x = random.standard_normal((self.steps * self.batch_size, self.widths[0]), dtype=np.float32)
        told = x @ random.standard_normal((self.widths[0], self.widths[-1]), dtype=np.float32)
        return (x, told.argmax(axis=1)) if self.widths[-1] > 1 else (x, np.tanh(told))

    def model(self) -> fl.Model:
        """The network with its starting weights, which are the same at every call."""
        is_classes = self.widths[-1] > 1
        hidden = [fl.Dense(width, activation="relu") for width in self.widths[1:-1]]
        output = fl.Dense(self.widths[-1], activation="softmax" if is_classes else None)
        model = fl.Model([fl.Input(self.widths[0]), *hidden, output], seed=0)
        model.compile(optimizer=self.optimizer, loss="cross_entropy" if is_classes else "mse")
        return model


_CASES = (
    _Case((64, 32, 10), 32, "adam", steps=1000),
    _Case((17, 64, 64, 6), 64, "adam", steps=500),
    _Case((784, 128, 10), 64, "sgd", steps=300),
    _Case((784, 128, 10), 64, "adam", steps=150),
    _Case((100, 256, 256, 256, 1), 256, "adam", steps=50),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fallline bench`."""
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="time to spend; default: 30")


def run(options: argparse.Namespace) -> int:
    """Print microseconds per step of both, and how far their losses differ; 1 where they do not agree."""
    print(f"fallline {fl.__version__}, target {_core.target}, up to {fl.get_num_threads()} threads")
    print(f"NumPy {np.__version__}, Python {sys.version.split()[0]}; float32, batches in file order, medians")
    print()
    print(_line("", "", "", "NumPy", "fallline", "times", "losses"))
    print(_line("network", "batch", "optimizer", "µs/step", "µs/step", "faster", "differ"))
    agree = True
    for case in _CASES:
        seconds, difference = _race(case, options.seconds / len(_CASES))
        numpy, ours = (1e6 * s / (_EPOCHS * case.steps) for s in seconds)
        network = "-".join(map(str, case.widths))
        results = (f"{numpy:,.1f}", f"{ours:,.1f}", f"{numpy / ours:.1f}", f"{difference:.0e}")
        print(_line(network, str(case.batch_size), case.optimizer, *results), flush=True)
        agree = agree and difference < _TOLERANCE
    print()
    print(
        "Both start from the same weights and see the same batches; the last column is the largest relative"
    )
    verdict = "they agree" if agree else "THEY DO NOT AGREE"
    print(f"difference of their losses per epoch: {verdict} (within {_TOLERANCE:g}).")
    return 0 if agree else 1


def _line(network: str, batch: str, optimizer: str, *figures: str) -> str:
    return f"{network:18}{batch:>6}  {optimizer:10}" + "".join(f"{figure:>10}" for figure in figures)


def _race(case: _Case, seconds: float) -> tuple[tuple[float, float], float]:
    """Median seconds of NumPy and fallline in turns, and the largest relative difference of their losses."""
    x, y = case.data()

    def numpy() -> Callable[[], Sequence[float]]:
        twin = NumpyTwin(case.model().get_weights(), case.optimizer, case.batch_size)
        return lambda: [twin.epoch(x, y) for _ in range(_EPOCHS)]

    def ours() -> Callable[[], Sequence[float]]:
        model = case.model()
        return lambda: model.fit(
            x, y, batch_size=case.batch_size, epochs=_EPOCHS, shuffle=False, verbose=0
        ).history["loss"]

    times: tuple[list[float], list[float]] = ([], [])
    losses: list[Sequence[float]] = [(), ()]
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for i, prepare in enumerate((numpy, ours)):
            train = prepare()
            start = time.perf_counter()
            losses[i] = train()
            times[i].append(time.perf_counter() - start)
    difference = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    return (statistics.median(times[0]), statistics.median(times[1])), difference
