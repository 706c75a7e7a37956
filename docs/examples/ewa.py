"""Exponentially weighted averages: what beta remembers, how late it is, and how it starts.

v ← beta · v + (1 − beta) · x on a random walk of 252 days, as prices walk. A larger beta is smoother and later;
without a correction the average starts near 0. Momentum, RMSProp and Adam are made of such averages.
"""

from __future__ import annotations

import argparse

import numpy as np

import fallline as fl

BETAS = (0.8, 0.9, 0.95, 0.98)


def walk(days: int = 252, seed: int = 0) -> np.ndarray:
    """Return a price of about 100 at the end of each day."""
    return 100 + np.random.default_rng(seed).normal(size=days).cumsum()


def lateness(beta: float) -> float:
    """Return how many days an average is behind a price that rises by 1 a day."""
    days = np.arange(5000.0)
    return float(days[-1] - fl.ewa(days, beta)[-1])


def noise_left(beta: float) -> float:
    """Return the standard deviation of the average of white noise of deviation 1."""
    noise = np.random.default_rng(1).normal(size=200_000)
    return float(fl.ewa(noise, beta)[1000:].std())


def main() -> None:
    """Print what each beta does; draw the averages if asked."""
    parser = argparse.ArgumentParser(description="average a random walk")
    parser.add_argument("--picture", metavar="FILE", help="draw the averages (needs matplotlib)")
    options = parser.parse_args()

    price = walk()
    print(f"{'beta':8}{'window':>8}{'days late':>11}{'noise':>8}{'day 1':>9}{'corrected':>11}")
    for beta in BETAS:
        first, corrected = fl.ewa(price, beta, correction=None)[0], fl.ewa(price, beta)[0]
        late, left = lateness(beta), noise_left(beta)
        window = round(1 / (1 - beta))
        print(f"{beta:<8g}{window:8}{late:11.1f}{left:8.3f}{first:9.2f}{corrected:11.2f}")
    print(f"window of {window}: {late:.0f} days late, noise of {left:.2f}")

    if options.picture:
        from matplotlib import pyplot as plt

        plt.plot(price, color="lightgrey", label="price")
        for beta in BETAS:
            plt.plot(fl.ewa(price, beta, correction="first"), label=f"beta {beta:g}")
        plt.xlabel("days")
        plt.legend()
        plt.savefig(options.picture)


if __name__ == "__main__":
    main()
