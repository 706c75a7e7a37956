"""Optimizers one after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_model, refuses, saved, unchanged

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=np.float64)
Y = np.array([0.0, 1, 1, 0])


def network(optimizer, **options):
    layers = [fl.Input(3), fl.Dense(8, activation="tanh"), fl.Dense(1)]
    model = fl.Model(layers, seed=2, dtype="float64", **options)
    model.compile(optimizer, "mse")
    return model


def search_descent_polish():
    return fl.Chain(
        [fl.SimulatedAnnealing(proposals=300, cycles=10), (fl.Adam(0.05), 20), fl.LBFGS(gtol=1e-9)]
    )


class Stages(fl.Callback):
    """Which optimizer each epoch belonged to."""

    def __init__(self):
        super().__init__()
        self.names = []

    def on_epoch_end(self, epoch, logs):
        self.names.append(type(self.model._course.optimizer).__name__)


def test_a_chain_runs_its_stages_to_the_end_and_polishes():
    model, stages = network(search_descent_polish()), Stages()
    history = model.fit(X, Y, batch_size=2, callbacks=[stages])
    assert stages.names[:30] == ["SimulatedAnnealing"] * 10 + ["Adam"] * 20
    assert set(stages.names[30:]) == {"LBFGS"}
    assert history.epoch == list(range(len(stages.names)))
    assert history.stop_reason
    assert history.history["loss"][-1] < 1e-8
    assert len(model.fit(X, Y).epoch) <= 1  # it is at its end


def test_a_stage_begins_where_the_one_before_ended():
    """The same as optimizers that the model is compiled with one after the other."""
    chain = network(fl.Chain([(fl.Adam(0.05), 7), (fl.SGD(0.1, momentum=0.9), 5)]))
    chain.fit(X, Y, batch_size=3)
    alone = network(fl.Adam(0.05))
    alone.fit(X, Y, batch_size=3, epochs=7)
    alone.compile(fl.SGD(0.1, momentum=0.9), "mse")
    alone.fit(X, Y, batch_size=3, epochs=5)
    np.testing.assert_array_equal(chain.predict(X), alone.predict(X))


@pytest.mark.parametrize("cuts", [(3, 12, 20), (10, 10, 4), (1, 30)])
def test_a_chain_may_be_cut_anywhere(cuts, tmp_path):
    whole = network(search_descent_polish())
    expected = whole.fit(X, Y, batch_size=2, epochs=sum(cuts)).history["loss"]
    model, losses = network(search_descent_polish()), []
    for epochs in cuts:
        losses += model.fit(X, Y, batch_size=2, epochs=epochs).history["loss"]
        model.save(tmp_path / "part.safetensors")
        model = fl.load_model(tmp_path / "part.safetensors")
    assert losses == expected
    assert_same_model(model, whole)


@pytest.mark.parametrize("cut", [4, 10, 17, 31])
def test_a_killed_chain_goes_on_in_its_stage(cut, tmp_path):
    class Cut(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == cut:
                raise InterruptedError

    whole = network(search_descent_polish())
    expected = whole.fit(X, Y, batch_size=2, validation_data=(X, Y)).history
    backup = fl.BackupAndRestore(tmp_path / "backup.safetensors")
    with pytest.raises(InterruptedError):
        network(search_descent_polish()).fit(
            X, Y, batch_size=2, validation_data=(X, Y), callbacks=[Cut(), backup]
        )
    model = network(search_descent_polish())
    assert model.fit(X, Y, batch_size=2, validation_data=(X, Y), callbacks=[backup]).history == expected
    assert_same_model(model, whole)


def test_a_state_of_another_stage_comes_back():
    model = network(search_descent_polish())
    model.fit(X, Y, batch_size=2, epochs=12)
    state, file = model.get_state(), saved(model)
    model.fit(X, Y, batch_size=2)
    model.set_state(state)
    assert saved(model) == file
    state["arrays"]["optimizer.course"] = np.array([7, 0, math.inf, 0])
    with unchanged(model), refuses(ValueError, "are in stage 7"):
        model.set_state(state)


@pytest.mark.parametrize("patience, min_delta", [(1, 0.0), (3, 0.0), (4, 0.5)])
def test_a_plateau_hands_over(patience, min_delta):
    """Against a loop over the losses of the stage's optimizer alone."""
    losses = network(fl.SGD(0.1, momentum=0.9)).fit(X, Y, batch_size=4, epochs=400).history["loss"]
    best, waited, expected = math.inf, 0, 0
    while waited < patience:
        loss = losses[expected]
        fell = best == math.inf or best - loss > min_delta * best
        best, waited = (loss, 0) if fell else (best, waited + 1)
        expected += 1
    assert 1 < expected < 400
    stages = Stages()
    plateau = fl.Plateau(patience, min_delta=min_delta)
    model = network(fl.Chain([(fl.SGD(0.1, momentum=0.9), plateau), (fl.Adam(), 2)]))
    model.fit(X, Y, batch_size=4, callbacks=[stages])
    assert stages.names == ["SGD"] * expected + ["Adam"] * 2
    without = network(fl.Chain([(fl.SGD(0.1, momentum=0.9), plateau), (fl.Adam(), 2)]))
    without.fit(X, Y, batch_size=4)
    assert_same_model(model, without)


def test_batches_from_an_iterable_go_through_a_chain_of_updates():
    chain = fl.Chain([(fl.Adam(0.05), 3), (fl.SGD(0.1), 2)])
    batches = [(X[:2], Y[:2]), (X[2:], Y[2:])]
    model, arrays = network(chain), network(chain)
    model.fit(batches)
    arrays.fit(X, Y, batch_size=2, shuffle=False)
    assert_same_model(model, arrays)


def test_bad_chains_are_refused():
    with refuses(ValueError, "stages is empty"):
        fl.Chain([])
    with refuses(TypeError, "stages is Adam"):
        fl.Chain(fl.Adam())
    with refuses(TypeError, r"stages.1. is 3; expected a name or an object of Optimizer"):
        fl.Chain([fl.Adam(), 3])
    with refuses(TypeError, r"stages.0.: the budget is 'long'"):
        fl.Chain([(fl.Adam(), "long")])
    with refuses(ValueError, r"stages.0.: the budget is 0"):
        fl.Chain([(fl.Adam(), 0)])
    with refuses(ValueError, "has 3 parts"):
        fl.Chain([(fl.Adam(), 1, 2)])
    with refuses(TypeError, "is a Chain"):
        fl.Chain([fl.Chain([fl.Adam()])])
    with refuses(ValueError, "patience is 0"):
        fl.Plateau(patience=0)
    with refuses(ValueError, "min_delta is -1"):
        fl.Plateau(min_delta=-1)
    model = network(search_descent_polish())
    with unchanged(model), refuses(ValueError, "train_on_batch: optimizer is Chain"):
        model.train_on_batch(X, Y)
    dropped = fl.Model([fl.Dense(3), fl.Dropout(0.5), fl.Dense(1)], seed=0)
    dropped.compile(search_descent_polish(), "mse")
    with refuses(ValueError, r"layers.1. is Dropout\(0.5\), which draws a new mask"):
        dropped.fit(X, Y)
    assert dropped.inputs is None
