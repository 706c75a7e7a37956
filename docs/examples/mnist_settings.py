"""What makes a deep network learn: activation, loss, scale of the pixels, size of the batch, optimizer, dropout.

One setting at a time is changed, on 10000 handwritten digits: three (or thirteen) hidden layers of 128 units, 20
epochs. Reads the IDX files of MNIST from a folder. After H.-y. Lee's course on deep learning, 2016.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fallline as fl

ROWS, EPOCHS = 10000, 20


class Setting(NamedTuple):
    """What differs from three ReLU layers, cross-entropy, descent at 0.1, batches of 100, pixels in [0, 1]."""

    name: str
    activation: str = "relu"
    depth: int = 3
    loss: str = "cross_entropy"
    scale: float = 1 / 255
    batch_size: int = 100
    adam: bool = False
    dropout: float = 0.0


SETTINGS = (
    Setting("sigmoid, squared error", activation="sigmoid", loss="mse"),
    Setting("sigmoid", activation="sigmoid"),
    Setting("ReLU"),
    Setting("ReLU, squared error", loss="mse"),
    Setting("ReLU, pixels 0 to 255", scale=1.0),
    Setting("sigmoid, 13 layers", activation="sigmoid", depth=13),
    Setting("ReLU, 13 layers", depth=13),
    Setting("ReLU, Adam", adam=True),
    Setting("ReLU, Adam, dropout", adam=True, dropout=0.5),
    Setting("ReLU, one batch", batch_size=ROWS),
)


def read(folder: Path) -> tuple[np.ndarray, ...]:
    """Return training images (n, 784) and labels, test images and labels."""
    files = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    raw = [gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes()) for name in files]
    images = [np.frombuffer(data, np.uint8, offset=16).reshape(-1, 784) for data in raw[::2]]
    labels = [np.frombuffer(data, np.uint8, offset=8) for data in raw[1::2]]
    return images[0], labels[0], images[1], labels[1]


def accuracies(setting: Setting, data: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """Return the accuracy on the first training images, and on all test images, of a network trained so."""
    images, labels, test_images, test_labels = data
    hidden = []
    for _ in range(setting.depth):
        hidden.append(fl.Dense(128, setting.activation, kernel_initializer="glorot_uniform"))
        hidden += [fl.Dropout(setting.dropout)] * bool(setting.dropout)
    layers = [fl.Input(784), fl.Rescale(setting.scale), *hidden, fl.Dense(10, "softmax")]
    model = fl.Model(layers, seed=1)
    model.compile(fl.Adam() if setting.adam else fl.SGD(0.1), setting.loss, metrics=["accuracy"])
    x, y = images[:ROWS], np.eye(10)[labels[:ROWS]]
    with contextlib.suppress(fl.NonFiniteLoss):  # if it runs away, what is left is measured
        model.fit(x, y, batch_size=setting.batch_size, epochs=EPOCHS)
    on_test = model.evaluate(test_images, np.eye(10)[test_labels])
    return model.evaluate(x, y)["accuracy"], on_test["accuracy"]


def main() -> None:
    """Print the accuracies of each setting."""
    parser = argparse.ArgumentParser(description="train on MNIST with ten settings")
    place = Path(os.environ.get("FALLLINE_DATA", ".")) / "mnist"
    parser.add_argument("--data", type=Path, default=place, help="folder of the files (default: %(default)s)")
    data = read(parser.parse_args().data)

    print(f"{'accuracy':26}{'train':>8}{'test':>8}")
    table = {}
    for setting in SETTINGS:
        table[setting.name] = accuracies(setting, data)
        print("{:26}{:8.4f}{:8.4f}".format(setting.name, *table[setting.name]), flush=True)
    print("best on the test images: " + max(table, key=lambda name: table[name][1]))


if __name__ == "__main__":
    main()
