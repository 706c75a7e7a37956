"""One pass over rows that are not an epoch: partial_fit()."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.checks import integer
from fallline.data import ClassWeights
from fallline.training.arrays import SCHEDULED

if TYPE_CHECKING:
    from fallline.network import Network


def run_once(model: Network, X: Any, y: Any, sample_weight: Any, batch_size: int, class_weight: Any) -> float:
    """Make the updates of one pass in order, and return the mean loss; the epochs counted stay as they are."""
    operation = "Model.partial_fit"
    size = integer(operation, "batch_size", batch_size, low=1, high=2**31 - 1)
    optimizer, _ = model._first_order(operation)
    by_class = None if class_weight is None else ClassWeights(class_weight, part=True)
    network, data = model.data(X, y, sample_weight, operation, class_weight=by_class)
    names = model.names.learned(X, y)
    rate = optimizer.rate(network.step)
    if len(data.x) <= size:
        loss = network.train_on_batch(*data, rate)
        model.adopt(network, names)
        return loss
    epoch, losses = network.epoch, np.empty(0)
    in_order = _core.Sampler({"name": "sequential"}, len(data.x))
    try:
        with closing(network.trainer(*data, size, in_order)) as trainer:
            model.adopt(network, names)
            while not losses.size:  # a signal ends a run early
                left = trainer.batches_per_epoch - network.row // size
                rates = optimizer.rates(network.step, min(left, SCHEDULED))
                _, losses = trainer.run(rates, 1, sys.maxsize, 1e8)
    finally:
        network.epoch = epoch
    return float(losses[0])
