"""When a random walk finds what the slope does not, and when it does not.

XOR with three hidden units has local minima that gradient descent falls into from some starts. Simulated annealing
accepts a worse network now and then, and ever more rarely; it comes out of all of them, where the same proposals
without that ("greedy") are caught as descent is. It knows nothing of slopes, though: with every weight more, a random
direction is less likely to be a good one. The parity of more and more bits, that is XOR of them all, shows where it is
left behind by an optimizer that looks at the rows just as often.
"""

from __future__ import annotations

import argparse

import numpy as np

import fallline as fl

LOOKS = 10_000  # at all rows: proposals, or updates


def parity(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows of so many bits and a last column of ones; 1 where an odd number of bits is set."""
    rows = np.arange(2**bits)[:, np.newaxis] >> np.arange(bits) & 1
    return np.column_stack([rows, np.ones(len(rows))]), rows.sum(axis=1, keepdims=True) % 2


def losses(optimizer: fl.Optimizer, bits: int, hidden: int, starts: int) -> np.ndarray:
    """Return the mean squared errors that so many networks end with."""
    x, y = parity(bits)
    wide = fl.initializers.Uniform(low=-1, high=1)
    steps = isinstance(optimizer, fl.FirstOrder)
    ends = []
    for seed in range(starts):
        layers = [
            fl.Dense(units, activation="sigmoid", use_bias=False, kernel_initializer=wide)
            for units in (hidden, 1)
        ]
        model = fl.Model(layers, seed=seed, dtype="float64")
        model.compile(optimizer, "mse")
        history = model.fit(x, y, batch_size=len(x), epochs=LOOKS if steps else None)
        ends.append(history.history["loss"][-1])
    return np.array(ends)


def main() -> None:
    """Print how many starts solve XOR, and how the parity of more bits is learned."""
    parser = argparse.ArgumentParser(description="anneal small networks")
    parser.add_argument("--starts", type=int, default=100, help="networks that learn XOR (default: 100)")
    options = parser.parse_args()

    ways = {
        "annealing": fl.SimulatedAnnealing(proposals=LOOKS),
        "greedy": fl.SimulatedAnnealing(proposals=LOOKS, acceptance="greedy"),
        "descent": fl.SGD(2.0),
    }
    solved = {}
    print(
        f"XOR with three hidden units, {LOOKS} looks at the rows; the loss of the starts, from best to worst"
    )
    print(f"{'':12}{'lowest':>10}{'median':>10}{'highest':>10}{'solved':>10}")
    for name, optimizer in ways.items():
        ends = losses(optimizer, 2, 3, options.starts)
        solved[name] = int(np.sum(ends < 0.01))
        print(f"{name:12}{ends.min():10.2g}{np.median(ends):10.2g}{ends.max():10.2g}{solved[name]:10}")

    print("\nthe parity of all bits, twice as many hidden units: the median loss of three starts")
    print(f"{'bits':>4}{'weights':>10}{'annealing':>12}{'Adam':>12}")
    for bits in (2, 4, 6, 8):
        walk, slope = (np.median(losses(o, bits, 2 * bits, 3)) for o in (ways["annealing"], fl.Adam(0.05)))
        print(f"{bits:4}{2 * bits * (bits + 2):10}{walk:12.2g}{slope:12.2g}")
    print(f"of {options.starts} starts solved: " + ", ".join(f"{name} {n}" for name, n in solved.items()))
    print(f"when not to use it: {bits} bits, where annealing ends at {walk:.2f} and Adam at {slope:.0e}")


if __name__ == "__main__":
    main()
