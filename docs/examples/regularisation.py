"""Sixty points and four thousand weights: what keeps a network from learning its points by heart.

Two moons with much noise, 2-64-64-1, Adam at 0.01 on all points at once, up to 1000 epochs, means of four seeds.
Without help the validation loss falls for some epochs only, and then grows several times over.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

import fallline as fl
from moons import moons

SEEDS, EPOCHS, NOISE = range(4), 1000, 0.35


class Variant(NamedTuple):
    """A way to regularise."""

    name: str
    penalty: fl.Regularizer | None = None
    dropout: float = 0.0
    patience: int | None = None


VARIANTS = (
    Variant("none"),
    Variant("L2 0.01", penalty=fl.L2(0.01)),
    Variant("L1 0.001", penalty=fl.L1(0.001)),
    Variant("dropout 0.5", dropout=0.5),
    Variant("stopped early", patience=100),
)


def cross_entropy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the loss without penalties, to compare those with and without."""
    y, p = y_true.reshape(-1), y_pred[:, 0].clip(1e-7, 1 - 1e-7).astype(float)
    return -float(np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def train(variant: Variant, seed: int) -> dict[str, float]:
    """Return what is measured at the end of a variant's training."""
    points, validation, test = (moons(n, NOISE, 10 * seed + i) for i, n in enumerate((60, 1000, 2000)))
    layers: list[fl.Layer] = [fl.Input(2)]
    for _ in range(2):
        layers.append(fl.Dense(64, "relu", kernel_regularizer=variant.penalty))
        layers += [fl.Dropout(variant.dropout)] * bool(variant.dropout)
    layers.append(fl.Dense(1, "sigmoid", kernel_regularizer=variant.penalty))
    model = fl.Model(layers, seed=seed)
    model.compile(fl.Adam(0.01), "binary_cross_entropy", metrics=["accuracy", cross_entropy])
    stopping = [fl.EarlyStopping("val_cross_entropy", patience=variant.patience)] if variant.patience else []
    history = model.fit(
        *points, batch_size=60, epochs=EPOCHS, validation_data=validation, callbacks=stopping
    ).history
    kernels = np.concatenate([kernel.ravel() for kernel in model.get_weights()[::2]])
    return {
        "train loss": model.evaluate(*points)["cross_entropy"],
        "val loss": model.evaluate(*validation)["cross_entropy"],
        "lowest": min(history["val_cross_entropy"]),
        "at epoch": float(np.argmin(history["val_cross_entropy"])),
        "accuracy": model.evaluate(*test)["accuracy"],
        "norm": float(np.linalg.norm(kernels)),
        "near 0": float(np.mean(np.abs(kernels) < 1e-3)),
    }


def main() -> None:
    """Print the means over the seeds."""
    argparse.ArgumentParser(description="regularise a network that is far too large").parse_args()
    table = {}
    for variant in VARIANTS:
        runs = [train(variant, seed) for seed in SEEDS]
        table[variant.name] = {name: np.mean([run[name] for run in runs]) for name in runs[0]}
    print(f"{'':14}" + "".join(f"{name:>12}" for name in table["none"]))
    for name, row in table.items():
        print(f"{name:14}" + "".join(f"{value:12.3f}" for value in row.values()))
    none = table.pop("none")
    print(
        "lower validation loss than none: "
        + ", ".join(n for n in table if table[n]["val loss"] < none["val loss"])
    )


if __name__ == "__main__":
    main()
