"""How large a step should be: one network learns XOR at seven rates.

Three inputs, the last of them 1, a hidden layer and one output, all sigmoid, without biases; four rows; full
batch; the loss is the sum of e²/2. Rates far above 1 work best here, up to a point: then all units saturate.
After A. Trask 2015, A Neural Network in 13 lines of Python, part 2.
"""

from __future__ import annotations

import argparse

import numpy as np

import fallline as fl

X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0.0], [1], [1], [0]])
RATES = (0.001, 0.01, 0.1, 1, 10, 100, 1000)


def start(hidden: int, seed: int = 1) -> list[np.ndarray]:
    """Return the two kernels, uniform in [-1, 1)."""
    state = np.random.RandomState(seed)
    return [2 * state.random_sample(shape) - 1 for shape in ((3, hidden), (hidden, 1))]


def network(kernels: list[np.ndarray], rate: float, dtype: str = "float64") -> fl.Model:
    """Return a sigmoid network with the kernels; half the rate, as fallline's loss is the sum of e²."""
    layers = [fl.Dense(k.shape[1], activation="sigmoid", use_bias=False) for k in kernels]
    model = fl.Model([fl.Input(len(kernels[0])), *layers], seed=0, dtype=dtype)
    model.compile(fl.SGD(rate / 2), fl.MSE(reduction="sum"))
    model.set_weights(kernels)
    return model


def errors(model: fl.Model, updates: int, times: int) -> list[float]:
    """Return the mean |error| before, and after each of so many times `updates` updates."""
    found = [np.abs(model.predict(X) - Y).mean()]
    for _ in range(times):
        model.fit(X, Y, batch_size=len(X), epochs=updates, shuffle=False)
        found.append(np.abs(model.predict(X) - Y).mean())
    return found


def main() -> None:
    """Print the errors at each rate; draw them if asked."""
    parser = argparse.ArgumentParser(description="train on XOR at seven rates")
    parser.add_argument("--hidden", type=int, default=4, help="hidden units (default: 4)")
    parser.add_argument("--picture", metavar="FILE", help="draw the errors (needs matplotlib)")
    options = parser.parse_args()

    print(f"mean |error| of 3-{options.hidden}-1")
    print("rate     " + "".join(f"{10000 * i:>10}" for i in range(6)) + "  updates")
    table = {rate: errors(network(start(options.hidden), rate), 10000, 5) for rate in RATES}
    for rate, row in table.items():
        print(f"{rate:<9g}" + "".join(f"{error:10.6f}" for error in row))
    best = min(table, key=lambda rate: table[rate][-1])
    print(f"smallest error at the rate {best:g}")

    if options.picture:
        from matplotlib import pyplot as plt

        for rate, row in table.items():
            plt.semilogy(range(0, 60000, 10000), row, marker="o", label=f"rate {rate:g}")
        plt.xlabel("updates")
        plt.ylabel("mean |error|")
        plt.legend()
        plt.savefig(options.picture)


if __name__ == "__main__":
    main()
