"""What every optimizer that sees all rows at once does in fit()."""

from __future__ import annotations

import copy
import inspect
import pickle
import signal
import threading

import numpy as np
import pytest

import fallline as fl
from cases.minimizers import MINIMIZERS
from helpers import assert_same_bits, assert_same_model, refuses, saved, unchanged

minimizers = pytest.mark.parametrize("case", MINIMIZERS, ids=repr)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def test_every_minimizer_has_a_case():
    public = {v for v in vars(fl).values() if inspect.isclass(v) and issubclass(v, fl.Minimizer)}
    assert public - {fl.Minimizer} == {case.make for case in MINIMIZERS}


@pytest.fixture
def task(rng):
    x = rng.normal(size=(60, 5))
    return x, np.sin(x[:, :2]) * x[:, 2:4]


def network(optimizer, dtype="float64", layers=(), metrics=()):
    hidden = fl.Dense(6, activation="tanh", kernel_regularizer=fl.L2(1e-3))
    model = fl.Model([fl.Input(5), hidden, *layers, fl.Dense(2)], seed=3, dtype=dtype)
    model.compile(optimizer, "mse", metrics=metrics)
    return model


@minimizers
@dtypes
def test_the_loss_of_an_iteration_is_that_of_the_weights_after_it(case, dtype, task):
    seen = []

    class Look(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            here = self.model.evaluate(*task)
            seen.append((epoch, logs["loss"], here["loss"], logs["val_loss"], logs["mae"], here["mae"]))

    model = network(case(), dtype, metrics=["mae"])
    before = model.evaluate(*task)["loss"]
    history = model.fit(*task, epochs=case.iterations, validation_data=task, callbacks=[Look()])
    assert history.epoch == [row[0] for row in seen] == list(range(case.iterations))
    losses = np.array(seen)[:, 1:]
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-6 if dtype == "float32" else 1e-12)
    np.testing.assert_array_equal(losses[:, 1], losses[:, 2])
    np.testing.assert_array_equal(losses[:, 3], losses[:, 4])
    falls = np.diff([before, *losses[:, 0]])
    assert falls.max() <= 1e-6  # none of them ends an iteration higher than it began
    assert losses[-1, 0] < 0.95 * before


@minimizers
@dtypes
def test_a_fit_may_be_cut_anywhere(case, dtype, task, tmp_path):
    """In parts, in a saved and a pickled model, with another number of threads: the same bits."""
    whole = network(case(), dtype)
    history = whole.fit(*task, epochs=case.iterations)
    losses = []
    model = network(case(), dtype)
    for part, threads in enumerate((2, 3, case.iterations - 5)):
        with fl.threads(part + 1):
            losses += model.fit(*task, epochs=threads).history["loss"]
        model.save(tmp_path / "part.safetensors")
        model = [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: m][part](
            fl.load_model(tmp_path / "part.safetensors")
        )
    assert losses == history.history["loss"]
    assert_same_bits(model.get_weights(), whole.get_weights())
    assert saved(model) == saved(whole)


@minimizers
def test_any_number_of_threads_gives_the_same_bits(case, rng):
    x = rng.normal(size=(5000, 5)).astype(np.float32)  # more rows than the core takes at once
    y = np.sin(x[:, :2])
    models = []
    for n in (1, 2, 3, 7):
        with fl.threads(n):
            models.append(network(case(), "float32"))
            models[-1].fit(x, y, epochs=3)
    for model in models[1:]:
        assert_same_model(model, models[0])


@minimizers
def test_a_backup_goes_on_bit_for_bit(case, task, tmp_path):
    class Stop(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 4:
                raise InterruptedError

    whole = network(case())
    whole.fit(*task, epochs=case.iterations)
    backup = fl.BackupAndRestore(tmp_path / "backup.safetensors")
    with pytest.raises(InterruptedError):
        network(case()).fit(*task, epochs=case.iterations, callbacks=[backup, Stop()])
    model = network(case())
    model.fit(*task, epochs=case.iterations, callbacks=[backup])
    assert_same_model(model, whole)


@minimizers
def test_it_learns_what_may_learn_and_weighs_rows(case, task):
    x, y = task
    model = network(case())
    model.layers[1].trainable = False
    model.compile(case(), "mse")
    frozen = model.layers[1].kernel.copy()
    weight = np.arange(60.0) % 3
    history = model.fit(x, y, sample_weight=weight, epochs=4)
    assert_same_bits([model.layers[1].kernel], [frozen])
    kept = weight > 0
    assert history.history["loss"][-1] == pytest.approx(
        model.evaluate(x[kept], y[kept], sample_weight=weight[kept])["loss"], rel=1e-12
    )


@minimizers
def test_without_epochs_it_stops_by_itself_and_says_why(case, task):
    model = network(case())
    history = model.fit(*task)
    optimizer = model.optimizer
    assert 1 < len(history.epoch) <= optimizer.max_iterations
    assert history.stop_reason or len(history.epoch) == optimizer.max_iterations
    assert model.fit(*task, epochs=0).epoch == []


@minimizers
@dtypes
@pytest.mark.parametrize("shared", [False, True])
def test_slopes_are_learned(case, dtype, shared, rng):
    """mean((max(0, x) + slope min(0, x) - y)²) is a parabola in each slope."""
    x, y = rng.normal(size=(2, 60, 3))
    below = np.minimum(0, x)
    products, squares = (below * (y - np.maximum(0, x))).sum(axis=0), (below**2).sum(axis=0)
    best = [products.sum() / squares.sum()] if shared else products / squares
    model = fl.Model([fl.Input(3), fl.PReLU(shared=shared)], seed=0, dtype=dtype)
    model.compile(case(), "mse")
    model.fit(x, y)
    exact = not isinstance(model.optimizer, fl.SimulatedAnnealing)
    np.testing.assert_allclose(model.layers[1].slope, best, atol=1e-3 if exact else 0.1)


@minimizers
@pytest.mark.parametrize("how", ["a chain", "many", "a frozen one", "no decay"])
def test_a_decay_of_zero_is_no_obstacle(case, how, task):
    model = network(case(), layers=[fl.PReLU(), fl.Residual([fl.Dense(6), fl.PReLU(shared=True)])])
    model.layers[2].trainable = how != "a frozen one"
    if how == "no decay":
        model.layers[1].group = fl.ParameterGroup(weight_decay=0)
    optimizer = fl.Chain([(fl.AdamW(), 2), (case(), None)]) if how == "a chain" else case()
    model.compile(optimizer, "mse")
    model.build(5)
    before = model.layers[2].slope
    if how == "many":
        losses = fl.fit_many([model], *task, epochs=6)[0].history["loss"]
    else:
        losses = model.fit(*task, epochs=6).history["loss"]
    assert losses[-1] < losses[0]
    assert (model.layers[2].slope != before).any() == (how != "a frozen one")


@minimizers
@pytest.mark.parametrize("group", [fl.ParameterGroup(0.5), fl.ParameterGroup(weight_decay=0.1)], ids=repr)
def test_rates_and_decays_of_its_own_are_refused(case, group, task):
    model = network(case(), layers=[fl.PReLU()])
    model.layers[2].group = group
    model.compile(case(), "mse")
    with unchanged(model), refuses(ValueError, r"layers.2. learns as ParameterGroup"):
        model.fit(*task)


LAYERS = {
    "Dropout": fl.Dropout(0.1),
    "DropConnect": fl.DropConnect(3),
    "BatchNormalization": fl.BatchNormalization(),
    "MaxNorm": fl.Dense(3, kernel_constraint=fl.MaxNorm(2)),
    "proximal": fl.Dense(3, kernel_regularizer=fl.L1(0.1, proximal=True)),
    "Residual": fl.Residual([fl.Dense(6), fl.Dropout(0.1)]),
}


@minimizers
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_that_need_single_updates_are_refused(case, layer, task):
    model = network(case(), layers=[LAYERS[layer]])
    with unchanged(model), refuses(ValueError, f"layers.2. is .*({layer}).*, which"):
        model.fit(*task)


@minimizers
def test_what_is_no_full_batch_is_refused(case, task):
    model = network(case())
    x, y = task
    with unchanged(model), refuses(ValueError, "batch_size is 32 of 60 rows"):
        model.fit(x, y, batch_size=32)
    with unchanged(model), refuses(ValueError, "X gives batches"):
        model.fit([(x, y)])
    with unchanged(model), refuses(ValueError, "train_on_batch: optimizer is"):
        model.train_on_batch(x, y)
    with unchanged(model), refuses(ValueError, "partial_fit: optimizer is"):
        model.partial_fit(x, y)
    with unchanged(model), refuses(ValueError, "learning_rate is None"):
        model.fit(x, y, callbacks=[fl.ReduceLROnPlateau("loss")])
    model.layers[1].group = fl.ParameterGroup(learning_rate_factor=0.5)
    with unchanged(model), refuses(ValueError, "layers.1. learns as ParameterGroup"):
        model.fit(x, y)
    model.layers[1].group = None
    model.fit(x, y, batch_size=60, epochs=1)
    model.fit(x, y, batch_size=100, epochs=1)


@minimizers
def test_a_loss_that_is_not_finite_where_it_starts_is_refused(case, task):
    x, y = task
    model = network(case())
    weights = model.get_weights()
    with refuses(fl.NonFiniteLoss, "the loss is (inf|nan) where the weights are"):
        model.fit(x, y * 1e200)
    assert_same_bits(model.get_weights(), weights)
    other = network(case())  # and nothing is left behind
    assert model.fit(x, y, epochs=3).history == other.fit(x, y, epochs=3).history


@minimizers
def test_its_arguments_print_save_and_refuse(case):
    optimizer = case()
    assert repr(eval(repr(optimizer), vars(fl).copy())) == repr(optimizer)
    with refuses(TypeError, "is 'much'"):
        case.make(**{**case.options, next(iter(inspect.signature(case.make).parameters)): "much"})
    with pytest.raises(AttributeError, match="read-only"):
        setattr(optimizer, next(iter(inspect.signature(case.make).parameters)), 1)


@minimizers
def test_ctrl_c_ends_between_two_points_from_which_it_goes_on(case, rng):
    x = rng.normal(size=(20_000, 5))
    y = np.sin(x[:, :2]) * x[:, 2:4]
    model = fl.Model([fl.Input(5), fl.Dense(64, activation="tanh"), fl.Dense(2)], seed=3, dtype="float64")
    model.compile(case(), "mse")
    before = model.evaluate(x, y)["loss"]
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.15, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, epochs=10**6)
    finally:
        signal.signal(signal.SIGINT, own)
    assert model.evaluate(x, y)["loss"] <= before
    twin = copy.deepcopy(model)
    assert model.fit(x, y, epochs=1).history == twin.fit(x, y, epochs=1).history
    assert_same_model(model, twin)


@minimizers
def test_a_method_at_work_is_not_read(case):
    """By the function that it evaluates, in the middle of an iteration."""
    method, seen = case().start(0), []

    def bowl(x, gradient=None):
        for read in (method.get_state, lambda: method.x, lambda: method.value, lambda: method.reason):
            with refuses(RuntimeError, "inside an update that called this"):
                read()
        seen.append(x)
        if gradient is not None:
            gradient[:] = 2 * x
        return float(x @ x)

    method.begin(bowl, np.ones(3))
    method.run(bowl, 1, np.inf)
    assert len(seen) == method.evaluations > 1
    assert set(method.get_state())
