"""A rare class: which rows to draw, learned from the gradients while training.

4000 rows in 10 dimensions, 2.2 % of them positive, a network 10-16-2, plain descent in batches of 16, means of twenty
seeds: the loss of all rows after 500 and 2000 updates, the mean squared norm of the gradients of single rows, factors
and all, in the second half, and how often positives are drawn. Then the same with as many positives as negatives:
there is nothing to gain, and nothing is gained. Nor is it where a class is rare but easy, as MNIST's digit 1 among the
others. A balance of classes without any learning brings most of the gain; try that first.
"""

from __future__ import annotations

import argparse

import numpy as np

import fallline as fl
from fallline.samplers import AWSGD, Balanced, Sampler

SEEDS, ROWS, BATCH, EPOCHS, RATE = range(20), 4000, 16, 8, 0.5

SAMPLERS = {
    "every row alike": lambda: AWSGD(learning_rate=0.0),  # which learns nothing, but measures
    "classes balanced": lambda: Balanced(unbiased=True),
    "learned, classes": AWSGD,
    "learned, examples": lambda: AWSGD("examples"),
}
PROBLEMS = {"rare": 0.022, "even": 0.5}  # share of positives


def rows(share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positives that are shifted in three of the dimensions, among negatives."""
    rng = np.random.default_rng(seed)
    y = (rng.random(ROWS) < share).astype(int)
    x = rng.normal(size=(ROWS, 10))
    x[y == 1, :3] += 1.2
    return x.astype(np.float32), y


def train(problem: str, sampler: Sampler, seed: int) -> list[float]:
    """Return loss at 500 and 2000 updates, mean squared norm, and probability of a positive."""
    x, y = rows(PROBLEMS[problem], seed)
    model = fl.Model([fl.Dense(16, "tanh"), fl.Dense(2, "softmax")], seed=seed)
    model.compile(fl.SGD(RATE), "cross_entropy")
    losses, moments = [], []
    for _ in range(EPOCHS):
        model.fit(x, y, batch_size=BATCH, sampler=sampler)
        losses.append(model.evaluate(x, y)["loss"])
        moments.append(sampler.second_moment if isinstance(sampler, AWSGD) else np.nan)
    drawn = 0.5  # of Balanced
    if isinstance(sampler, AWSGD):
        pi = sampler.probabilities
        drawn = pi[1] if len(pi) == 2 else pi[y == 1].sum()
    return [losses[1], losses[-1], float(np.mean(moments[EPOCHS // 2 :])), float(drawn)]


def main() -> None:
    """Print the means over the seeds."""
    argparse.ArgumentParser(description="learn which rows to draw").parse_args()
    for problem in PROBLEMS:
        print(f"{problem + ' positives':20}{'at 500':>10}{'at 2000':>10}{'norm²':>10}{'positives':>11}")
        table = {}
        for name, make in SAMPLERS.items():
            table[name] = np.mean([train(problem, make(), seed) for seed in SEEDS], axis=0)
            print(f"{name:20}" + "".join(f"{value:10.4f}" for value in table[name][:3]), end="")
            print(f"{table[name][3]:11.3f}")
        plain, learned = table["every row alike"], table["learned, classes"]
        print(f"{problem}: loss times {learned[1] / plain[1]:.2f}, norm² times {learned[2] / plain[2]:.2f}\n")


if __name__ == "__main__":
    main()
