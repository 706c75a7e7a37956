"""A hundred small networks in one call: which rate and width suit two moons, and what an ensemble adds.

2-n-1 with tanh, Adam, batches of 32 from 200 points with much noise; 5 rates x 4 widths x 5 seeds, each stopped by its
own validation loss. Then 20 networks of the best kind, each on points drawn with replacement (Breiman 1996), and the
mean of what they predict.

fit_many() gives each network one thread, which is what small ones are good for. One that is large enough to keep
all cores busy by itself gains nothing here: fit such networks one after the other. Metrics, callbacks and layers of
your own are also for Model.fit().
"""

from __future__ import annotations

import argparse

import numpy as np

import fallline as fl
from moons import moons

RATES, WIDTHS, SEEDS = (0.0003, 0.003, 0.03, 0.3, 3.0), (1, 4, 16, 64), range(5)
MEMBERS, EPOCHS, NOISE = 20, 200, 0.3

Points = tuple[np.ndarray, np.ndarray]


def network(rate: float, width: int, seed: int) -> fl.Model:
    """Return a compiled network."""
    model = fl.Model([fl.Dense(width, "tanh"), fl.Dense(1, "sigmoid")], seed=seed)
    model.compile(fl.Adam(rate), "binary_cross_entropy", metrics=["accuracy"])
    return model


def sweep(train: Points, validation: Points) -> dict[tuple[float, int], float]:
    """Return the lowest validation loss of each rate and width, the median of the seeds."""
    kinds = [(rate, width) for rate in RATES for width in WIDTHS]
    histories = fl.fit_many(
        [network(*kind, seed) for kind in kinds for seed in SEEDS],
        *train,
        epochs=EPOCHS,
        validation_data=validation,
        early_stopping=fl.EarlyStopping(patience=20),
    )
    lowest = np.array([min(history.history["val_loss"]) for history in histories]).reshape(len(kinds), -1)
    epochs = sum(len(history.epoch) for history in histories)
    print(f"{len(histories)} networks, {epochs} of {len(histories) * EPOCHS} epochs before they stopped")
    return dict(zip(kinds, np.median(lowest, axis=1), strict=True))


def bagged(rate: float, width: int, train: Points, validation: Points) -> list[fl.Model]:
    """Return networks of one kind, each fitted to points of its own."""
    members = [network(rate, width, seed) for seed in range(MEMBERS)]
    draws = [np.random.default_rng(seed).integers(0, len(train[0]), len(train[0])) for seed in range(MEMBERS)]
    fl.fit_many(
        members,
        [train[0][draw] for draw in draws],
        [train[1][draw] for draw in draws],
        epochs=EPOCHS,
        validation_data=validation,
        early_stopping=fl.EarlyStopping(patience=20),
    )
    return members


def cross_entropy(y: np.ndarray, p: np.ndarray) -> float:
    """Return the loss of probabilities p."""
    return -float(np.mean(np.log(np.where(y.reshape(p.shape) > 0, p, 1 - p).clip(1e-7))))


def main() -> None:
    """Sweep, take the best kind, and compare an ensemble with its members."""
    argparse.ArgumentParser(description="sweep rates and widths, then make an ensemble").parse_args()
    train, validation, test = (moons(n, NOISE, seed) for seed, n in enumerate((200, 500, 2000)))
    loss = sweep(train, validation)
    print(f"{'rate':>10}" + "".join(f"{f'width {width}':>10}" for width in WIDTHS))
    for rate in RATES:
        print(f"{rate:10g}" + "".join(f"{loss[rate, width]:10.3f}" for width in WIDTHS))
    rate, width = min(loss, key=loss.__getitem__)
    print(f"best: rate {rate:g}, width {width}")
    outputs = [model.predict(test[0]).astype(float) for model in bagged(rate, width, train, validation)]
    members = float(np.mean([cross_entropy(test[1], p) for p in outputs]))
    together = cross_entropy(test[1], np.mean(outputs, axis=0))
    print(f"test loss: members {members:.3f}, their mean {together:.3f}")


if __name__ == "__main__":
    main()
