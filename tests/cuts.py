"""A network whose updates depend on their number, and ways to cut its epochs."""

from __future__ import annotations

import signal
from contextlib import contextmanager

import fallline as fl

ROWS, SIZE = 100, 8  # the last of 13 batches has 4 rows
BATCHES = 13


def network(dtype="float64", optimizer=None, seed=4, **options):
    layers = [fl.Input(6), fl.Dense(7, "tanh", kernel_regularizer=fl.L2(0.01)), fl.Dropout(0.2), fl.Dense(2)]
    model = fl.Model(layers, seed=seed, dtype=dtype)
    model.compile(optimizer or fl.Adam(0.02), "mse", **options)
    return model


class Cut(Exception):
    """Of a callback."""


class Cuts(fl.Callback):
    """Ends training after a batch of an epoch, in one way or another."""

    def __init__(self, way, epoch=1, batch=3):
        super().__init__()
        self.way, self.at, self.epoch = way, (epoch, batch), None

    def on_epoch_begin(self, epoch, logs):
        self.epoch = epoch

    def on_batch_end(self, batch, logs):
        if (self.epoch, batch) == self.at:
            self.way(self.model)


def stop(model):
    model.stop_training = True


def fail(model):
    raise Cut


def interrupt(model):
    signal.raise_signal(signal.SIGINT)


@contextmanager
def interruptible():
    """Ctrl-C raises, also where a background job of a shell would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
