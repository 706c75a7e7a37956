"""Models and batches that the tests of streams share."""

from __future__ import annotations

import numpy as np

import fallline as fl

BATCH = 24  # of 200 rows: the last batch has 8


def network(outputs=4, dtype="float32", metrics=("accuracy", "largest"), penalty=1e-3):
    """A network with all that depends on counters and order: dropout, penalties, Adam, metrics."""

    def largest(y_true, y_pred, sample_weight=None):
        return np.abs(y_pred).max() + y_true.mean() + (0 if sample_weight is None else sample_weight.sum())

    hidden = fl.Dense(16, activation="relu", kernel_regularizer=fl.L2(penalty))
    last = fl.Dense(outputs, activation="softmax" if outputs > 1 else "sigmoid")
    model = fl.Model([fl.Input(8), hidden, fl.Dropout(0.25), last], seed=3, dtype=dtype)
    known = {"accuracy": "accuracy", "largest": largest}
    loss = "cross_entropy" if outputs > 1 else "binary_cross_entropy"
    model.compile(fl.Adam(0.01), loss, metrics=[known[name] for name in metrics])
    return model


def cut(*arrays, size=BATCH):
    """The rows of the arrays as batches."""
    return [tuple(a[i : i + size] for a in arrays) for i in range(0, len(arrays[0]), size)]


class Loader:
    """As torch's DataLoader: begins anew at each iter(), batches are lists, and one buffer serves them all."""

    def __init__(self, batches):
        self.batches = batches
        self.iterations = 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.iterations += 1
        buffer = [np.empty_like(a) for a in self.batches[0]]
        for batch in self.batches:
            for room, a in zip(buffer, batch, strict=True):
                room[: len(a)] = a
            yield [room[: len(batch[0])] for room in buffer]


class Endless:
    """Gives the batches in turn, for ever."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        while True:
            yield from self.batches


def endless(batches):
    return iter(Endless(batches))
