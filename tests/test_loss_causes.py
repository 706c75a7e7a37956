"""Losses that are not finite: every way of training says what is to blame."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import refuses

ROWS = 70


def network(optimizer, kernel=1.0, **options):
    initial = fl.initializers.Constant(kernel)
    layers = [fl.Input(3), fl.Dense(4), fl.Dense(2, kernel_initializer=initial, **options)]
    model = fl.Model(layers, seed=0)
    model.compile(optimizer, "mse")
    return model


# What is beyond float32, though not beyond float64, which data come in; or what makes of it more than float32 holds.
CAUSES = {
    "the data": {"x": 1e39},
    "layer 2": {"kernel": 3e38},
    "the labels": {"y": 1e39},
    "the loss itself": {"y": -1e30},
}


def trained_on(model, train, x=1.0, y=1.0):
    rows, targets = np.ones((ROWS, 3)), np.ones((ROWS, 2))
    rows[40, 1], targets[40, 1] = x, y
    return train(model, rows, targets)


WAYS = {
    "fit": lambda model, x, y: model.fit(x, y, batch_size=32, shuffle=False),
    "weighted": lambda model, x, y: model.fit(x, y, sample_weight=np.ones(len(x)), batch_size=len(x)),
    "drawn": lambda model, x, y: model.fit(x, y, epochs=9, sampler=fl.samplers.WithReplacement()),
    "stream": lambda model, x, y: model.fit([(x, y)]),
    "partial_fit": lambda model, x, y: model.partial_fit(x, y, batch_size=32),
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "loss_and_gradients": lambda model, x, y: model.loss_and_gradients(x, y),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cause", CAUSES)
def test_every_way_names_the_cause(way, cause):
    options = dict(CAUSES[cause])
    model = network(fl.SGD(1e-3), options.pop("kernel", 1.0))
    with refuses(fl.NonFiniteLoss, f"first in {cause};"):
        trained_on(model, WAYS[way], **options)
    assert all(np.isfinite(w).all() for w in model.get_weights())


FULL = [fl.LBFGS, fl.BFGS, lambda: fl.SimulatedAnnealing(proposals=60, cycles=3, bound=3.3e38)]


@pytest.mark.parametrize("make", FULL)
@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("many", [False, True])
def test_full_batches_name_the_cause(make, cause, many):
    options = dict(CAUSES[cause])
    model = network(make(), options.pop("kernel", 1.0))
    match = f"the loss is (inf|nan|-nan) where the weights are, first in {cause}; expected a finite number"
    if not many:
        with refuses(fl.NonFiniteLoss, match):
            trained_on(model, lambda model, x, y: model.fit(x, y), **options)
        return
    with pytest.warns(RuntimeWarning, match="not finite"):
        history = trained_on(model, lambda model, x, y: fl.fit_many([model], x, y)[0], **options)
    assert f"first in {cause}" in history.stop_reason


def test_penalties_may_be_the_cause():
    model = network(fl.LBFGS(), kernel=1e25, kernel_regularizer=fl.L2(1.0))
    model.compile(fl.LBFGS(), fl.FunctionLoss(lambda y, p: (np.zeros(len(y)), np.zeros_like(p))))
    with refuses(fl.NonFiniteLoss, "first in the penalties"):
        trained_on(model, lambda model, x, y: model.fit(x, y))


def test_what_ends_a_fit_knows_the_cause():
    guard = fl.TerminateOnNonFinite()
    model = network(fl.SGD(1e-3))
    trained_on(model, lambda model, x, y: model.fit(x, y, callbacks=[guard]), y=1e39)
    assert "first in the labels" in guard.reason


def test_labels_are_looked_at_in_all_pieces():
    """Of a batch that goes through the layers piece by piece."""
    x, y = np.ones((9000, 3)), np.ones((9000, 2))
    y[8500, 0] = 1e39
    with refuses(fl.NonFiniteLoss, "first in the labels"):
        network(fl.SGD(1e-3)).fit(x, y, batch_size=9000)
