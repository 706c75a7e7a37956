"""Why the first layer of a deep network may not learn: its gradient, compared with that of the last hidden layer.

A factor for each layer: the slope of its activation times its weights. The slope of a sigmoid is 1/4 at most,
so with Glorot's weights the gradient shrinks about fourfold a layer; ReLU with He's weights keeps it, tanh with
weights of N(0, 1) makes it explode. After Glorot & Bengio 2010 and He et al. 2015.
"""

from __future__ import annotations

import argparse

import numpy as np

import fallline as fl

WIDTH, ROWS, SEEDS = 64, 64, 10
DEPTHS = (2, 3, 5, 8, 10, 20)
SETTINGS: dict[str, tuple[str, fl.Initializer]] = {
    "sigmoid, Glorot": ("sigmoid", fl.GlorotUniform()),
    "sigmoid, N(0, 0.01)": ("sigmoid", fl.Normal(std=0.1)),
    "sigmoid, N(0, 1)": ("sigmoid", fl.Normal(std=1.0)),
    "tanh, Glorot": ("tanh", fl.GlorotUniform()),
    "tanh, N(0, 1)": ("tanh", fl.Normal(std=1.0)),
    "ReLU, He": ("relu", fl.HeNormal()),
    "leaky ReLU, He": ("leaky_relu", fl.HeNormal()),
}


def gradient_sizes(activation: str, initializer: fl.Initializer, depth: int, seed: int) -> list[float]:
    """Return the root mean square of the gradient of each kernel of 16-64-...-64-1, at the start."""
    hidden = [fl.Dense(WIDTH, activation, kernel_initializer=initializer) for _ in range(depth)]
    last = fl.Dense(1, "sigmoid", kernel_initializer=initializer)
    model = fl.Model([fl.Input(16), *hidden, last], seed=seed, dtype="float64")
    model.compile("sgd", "mse")
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(ROWS, 16)), rng.integers(0, 2, ROWS)
    _, gradients = model.loss_and_gradients(x, y)
    return [float(np.sqrt(np.square(kernel).mean())) for kernel in gradients[::2]]


def ratio(activation: str, initializer: fl.Initializer, depth: int) -> float:
    """Return first / last hidden layer, the geometric mean over some seeds."""
    sizes = [gradient_sizes(activation, initializer, depth, seed) for seed in range(SEEDS)]
    return float(np.exp(np.mean([np.log(first / last) for first, *_, last, _ in sizes])))


def main() -> None:
    """Print the ratios by depth; draw them if asked."""
    parser = argparse.ArgumentParser(description="gradients by depth and activation")
    parser.add_argument("--picture", metavar="FILE", help="draw the ratios (needs matplotlib)")
    options = parser.parse_args()

    print("gradient of the first hidden layer / of the last")
    print(f"{'hidden layers':20}" + "".join(f"{depth:>9}" for depth in DEPTHS))
    table = {name: [ratio(*setting, depth) for depth in DEPTHS] for name, setting in SETTINGS.items()}
    for name, row in table.items():
        print(f"{name:20}" + "".join(f"{value:9.2g}" for value in row))
    deep = {name: row[DEPTHS.index(10)] for name, row in table.items()}
    print("vanishes with ten layers: " + "; ".join(name for name, value in deep.items() if value < 1e-4))
    print("explodes with ten layers: " + "; ".join(name for name, value in deep.items() if value > 100))

    if options.picture:
        from matplotlib import pyplot as plt

        for name, row in table.items():
            plt.semilogy(DEPTHS, row, marker="o", label=name)
        plt.xlabel("hidden layers")
        plt.ylabel("first / last")
        plt.legend()
        plt.savefig(options.picture)


if __name__ == "__main__":
    main()
