"""One optimizer object, several models: it is the first one's, and others learn by copies."""

from __future__ import annotations

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_model, saved

HALVE = {"callbacks": [fl.LearningRateScheduler(lambda epoch, rate: rate / 2)]}


def net(optimizer, seed=0, **options):
    model = fl.Model([fl.Input(3), fl.Dense(1)], seed=seed, **options)
    model.compile(optimizer, "mse")
    return model


@pytest.fixture(params=["float32", "float64"])
def rows(request, rng):
    x = rng.normal(size=(64, 3)).astype(request.param)
    return x, x[:, 0]


def own(rule):
    """A rule that nobody else has."""
    return type(rule)(**rule.get_config())


def optimizers_of(model):
    chain = isinstance(model.optimizer, fl.Chain)
    return [optimizer for optimizer, _ in model.optimizer.stages] if chain else [model.optimizer]


RULES = [
    fl.Adam(0.1),
    fl.SGD(0.1, momentum=0.9, average=0.9),
    fl.LBFGS(),
    fl.Chain([(fl.Adam(0.1), 2), (fl.SGD(0.1), 2)]),
    fl.Chain([(fl.SGD(0.1), 1), fl.BFGS()]),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_two_models_share_nothing(rule, rows):
    rule = own(rule)
    first, second = net(rule), net(rule, seed=1)
    assert first.optimizer is rule
    assert second.optimizer is not rule
    assert repr(second.optimizer) == repr(rule)
    assert not {id(o) for o in optimizers_of(first)} & {id(o) for o in optimizers_of(second)}
    alone = net(own(rule), seed=1)
    first.fit(*rows, epochs=3)
    for model in (second, alone):
        model.fit(*rows, epochs=3)
    assert_same_model(second, alone)


def test_a_rate_that_one_schedules_is_not_the_others(rows):
    adam = fl.Adam(0.1)
    first, second = net(adam), net(adam)
    first.fit(*rows, epochs=20, **HALVE)
    assert second.optimizer.learning_rate == 0.1
    assert adam.learning_rate == first.optimizer.learning_rate == pytest.approx(0.1 / 2**20)
    second.fit(*rows, epochs=2, **HALVE)
    assert second.optimizer.learning_rate == 0.025
    assert adam.learning_rate == pytest.approx(0.1 / 2**20)


def test_the_users_object_goes_on_working(rows):
    """Assigned rates count, whatever was copied, saved or tried meanwhile."""
    adam = fl.Adam(0.1)
    model, twin = net(adam), net(fl.Adam(0.1))
    copies = [
        copy.copy(model),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        model.anew(seed=0),
        net(adam),
    ]
    model.fit(*rows)
    twin.fit(*rows)
    model.set_state(model.get_state())
    model.compile(adam, "mse")  # its own, once more
    twin.compile(twin.optimizer, "mse")
    adam.learning_rate = twin.optimizer.learning_rate = 0.01
    assert model.optimizer is adam
    for each in (model, twin):
        each.fit(*rows, epochs=2)
    assert_same_model(model, twin)
    assert [each.optimizer.learning_rate for each in copies] == [0.1] * len(copies)


def test_an_object_that_no_model_learns_by_is_taken(rows):
    adam = fl.Adam(0.1)
    first = net(adam)
    first.compile("sgd", "mse")  # it is left
    second = net(adam)
    assert second.optimizer is adam
    first.compile(adam, "mse")
    assert first.optimizer is not adam
    del second
    gc.collect()
    assert net(adam).optimizer is adam


def test_a_compile_that_raises_takes_nothing():
    adam, model = fl.Adam(0.1), net("sgd")
    before = model.optimizer
    for wrong in ({"loss": "msee"}, {"loss": "cross_entropy"}, {"metrics": ["nothing"]}):
        with pytest.raises(ValueError, match="compile"):
            model.compile(adam, **wrong)
    assert model.optimizer is before
    assert net(adam).optimizer is adam
    assert net(before).optimizer is not before  # which is still at work


def test_stages_of_chains_are_objects_too(rows):
    adam, sgd = fl.Adam(0.1), fl.SGD(0.1)
    first = net(adam)
    chain = fl.Chain([(adam, 1), (sgd, 1)])
    second = net(chain)
    assert chain.stages[0][0] is adam
    assert optimizers_of(second)[0] is not adam
    assert optimizers_of(second)[1] is sgd  # which nobody else has
    assert net(sgd).optimizer is not sgd
    assert net(fl.Chain([fl.SGD(), (adam, 2)])).optimizer.stages[1][0] is not adam
    twin = net(fl.Chain([(fl.Adam(0.1), 1), (fl.SGD(0.5), 1)]))
    sgd.learning_rate, adam.learning_rate = 0.5, 0.0
    for model in (second, twin):
        model.fit(*rows, epochs=2)
    assert_same_model(second, twin)
    assert first.optimizer is adam
    second.compile("adam", "mse")
    assert net(sgd).optimizer is sgd


def test_a_stage_given_twice_is_two_stages(rows):
    sgd = fl.SGD(0.1)
    chain = fl.Chain([(sgd, 1), (sgd, 1)])
    assert chain.stages[0][0] is sgd
    model, twin = net(chain), net(fl.Chain([(fl.SGD(0.01), 1), (fl.SGD(0.1), 1)]))
    sgd.learning_rate = 0.01
    for each in (model, twin):
        each.fit(*rows, epochs=2)
    assert_same_model(model, twin)
    again = pickle.loads(pickle.dumps(model))
    again.optimizer.stages[0][0].learning_rate = 1.0
    assert again.optimizer.stages[1][0].learning_rate == 0.1  # as before it was pickled


def test_many_models_of_one_optimizer_at_once(rows):
    adam = fl.Adam(0.05)
    models = [net(adam, seed=seed) for seed in range(4)]
    alone = [net(fl.Adam(0.05), seed=seed) for seed in range(4)]
    fl.fit_many(models, *rows, epochs=3)
    for each in alone:
        each.fit(*rows, epochs=3)
    for left, right in zip(models, alone, strict=True):
        assert_same_model(left, right)
    adam.learning_rate = 0.5
    assert [model.optimizer.learning_rate for model in models] == [0.5, 0.05, 0.05, 0.05]


@pytest.mark.parametrize("rule", [fl.Adam(0.05), fl.Chain([(fl.Adam(0.05), 2), (fl.SGD(0.01), 2)])])
def test_starts_share_nothing(rule, rows):
    model = net(own(rule))
    rule = model.optimizer
    found = fl.multi_start(model, *rows, starts=3, epochs=4, merge=None)
    parts = [id(o) for basin in found.basins for o in optimizers_of(basin.model)]
    assert len(set(parts)) == len(parts)
    assert not set(parts) & {id(o) for o in optimizers_of(model)}
    assert model.optimizer is rule


def test_plain_arrays_and_functions_have_states_of_their_own(rows):
    """step() and minimize() with an object that a model learns by, and a copy that knows nothing of the steps."""
    adam = fl.Adam(0.1)
    adam.step([np.ones(3)], [np.ones(3)])
    model, twin = net(adam), net(fl.Adam(0.1))
    fl.minimize(lambda x: ((x**2).sum(), 2 * x), [3.0], optimizer=adam)
    for each in (model, twin):
        each.fit(*rows)
    assert_same_model(model, twin)
    assert adam.state_dict()["step"] == 1
    assert net(adam).optimizer.state_dict() == {"step": 0, "slots": {}}


def test_a_fit_that_is_resumed_keeps_the_users_object(rows, tmp_path):
    def cut(epoch, logs):
        if epoch == 1:
            raise InterruptedError

    def fit(model, *more):
        model.fit(*rows, epochs=4, callbacks=[fl.BackupAndRestore(tmp_path / "fit"), *more])

    for make in (lambda: fl.Adam(0.1), fl.LBFGS, lambda: fl.Chain([(fl.Adam(0.1), 3), (fl.SGD(0.01), 3)])):
        with pytest.raises(InterruptedError):
            fit(net(make()), fl.LambdaCallback(on_epoch_end=cut))
        rule = make()
        model, straight = net(rule), net(make())
        parts = optimizers_of(model)
        fit(model)
        fit(straight)
        assert model.optimizer is rule
        assert all(now is before for now, before in zip(optimizers_of(model), parts, strict=True))
        assert net(rule).optimizer is not rule
        if not isinstance(rule, fl.LBFGS):
            parts[-1].learning_rate = optimizers_of(straight)[-1].learning_rate = 0.5
        for each in (model, straight):
            each.fit(*rows, epochs=2)
        assert_same_model(model, straight)


def test_models_and_optimizers_are_copied_together(rows):
    adam = fl.Adam(0.1)
    model, other = net(adam), net(adam)
    for pair in (copy.deepcopy((adam, model, other)), pickle.loads(pickle.dumps((adam, model, other)))):
        rule, first, second = pair
        assert first.optimizer is rule
        assert second.optimizer is not rule
        assert rule is not adam
        assert saved(first) == saved(model)


def test_an_optimizer_of_the_users_own_class(rows):
    """Its constructor may be another, and what it keeps comes along."""

    class Mine(fl.SGD):
        def __init__(self, strength, *, note):
            super().__init__(strength / 10)
            self.strength, self.note = strength, note

    rule = Mine(1.0, note=["mine"])
    first, second = net(rule), net(rule)
    assert type(second.optimizer) is Mine
    assert second.optimizer is not rule
    assert (second.optimizer.strength, second.optimizer.note) == (1.0, ["mine"])
    assert type(first.anew().optimizer) is Mine


def test_threads_that_compile_at_once_share_nothing():
    """Two hundred times, eight threads take what nobody has."""
    for _ in range(200):
        adam, models, gate = fl.Adam(0.1), [], threading.Barrier(8)

        def take(adam=adam, models=models, gate=gate):
            gate.wait()
            models.append(net(adam))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(model.optimizer) for model in models}) == 8
        assert sum(model.optimizer is adam for model in models) == 1
