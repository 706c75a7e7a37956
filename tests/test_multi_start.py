"""fl.multi_start: one model from many starts, merged where they come to the same."""

from __future__ import annotations

import functools
import signal
import threading

import numpy as np
import pytest

import fallline as fl
from fallline.activations import ACTIVATIONS
from fallline.search.symmetry import MIRRORED, canonical
from helpers import assert_same_bits, refuses, unchanged
from xor_alpha_sweep import X, Y

WIDE = fl.initializers.Uniform(low=-1, high=1)
LEVELS = np.array([0, 1 / 8, 1 / 4, 1 / 3, 3 / 8])


def xor(hidden, optimizer, dtype="float64", metrics=(), activation="sigmoid"):
    """Three inputs, the last of them 1, no biases; the loss is the sum of e²."""
    layers = [
        fl.Dense(units, kind, use_bias=False, kernel_initializer=WIDE)
        for units, kind in ((hidden, activation), (1, "sigmoid"))
    ]
    model = fl.Model(layers, seed=0, dtype=dtype)
    model.compile(optimizer, fl.MSE("sum"), metrics=metrics)
    return model


@functools.cache
def solved(hidden=4, make=fl.LBFGS, starts=60, **options):
    return fl.multi_start(xor(hidden, make()), X, Y, starts, **options)


def descent():
    return fl.SGD(2.0)


def losses(found):
    """Of the basin that each start fell into."""
    return np.array([basin.loss for basin in found.basins])[found.labels]


# --- what is found ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [fl.LBFGS, fl.BFGS])
@pytest.mark.parametrize("hidden", [2, 3, 4])
def test_the_xor_network_ends_at_few_levels(hidden, make):
    """ΣE²/2 is 0, 1/8, 1/4, 1/3 or 3/8, whatever the start."""
    found = solved(hidden, make)
    ends = losses(found) / 2
    assert np.abs(ends[:, None] - LEVELS).min(axis=1).max() < 1e-4
    assert found.best.evaluate(X, Y)["loss"] == pytest.approx(0, abs=1e-4)
    assert len(found.basins) < 20


def test_wider_layers_succeed_from_more_starts():
    shares = {hidden: np.mean(losses(solved(hidden)) < 1e-3) for hidden in (1, 2, 3, 4, 8)}
    assert list(shares.values()) == sorted(shares.values())
    assert shares[1] == 0
    assert shares[2] < 0.5 < shares[4]
    assert shares[8] == 1


@pytest.mark.parametrize("hidden", [2, 3, 4])
def test_merging_finds_what_each_start_finds_alone(hidden):
    merged, single = solved(hidden), solved(hidden, merge=None)
    assert merged.merged > 0
    assert merged.epochs < single.epochs
    np.testing.assert_allclose(losses(merged), losses(single), atol=1e-3)
    np.testing.assert_array_equal(merged.labels == 0, single.labels == 0)


@pytest.mark.parametrize("every", [50, 500])
def test_merging_finds_what_many_more_epochs_find(every):
    """Descent on XOR with two hidden units rests on a plateau at first, where all networks predict nearly the same."""
    options = {"hidden": 2, "make": descent, "starts": 20, "batch_size": 4}
    with fl.threads(1):  # rounds are short, and a second thread may be elsewhere
        long = solved(**options, epochs=20_000, merge=None)
        found = solved(**options, epochs=5_000, check_every=every)
        single = solved(**options, epochs=5_000, merge=None)
    assert 0 < np.mean(losses(long) < 0.1) < 1
    np.testing.assert_allclose(losses(found), losses(long), atol=0.01)
    assert found.epochs <= 20 * 5_000
    assert max(basin.epochs for basin in found.basins) > 10_000
    assert np.abs(losses(single) - losses(long)).max() > 0.1


# --- the search itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [fl.LBFGS(), fl.Adam(0.05), fl.Chain([(fl.Adam(0.05), 30)])], ids=str)
def test_each_start_is_a_fit_of_its_own(optimizer):
    """Bit for bit, in rounds or not, together or one by one; the seeds are those after the model's."""
    model = xor(3, optimizer, "float32")
    found = fl.multi_start(model, X, Y, 6, epochs=35, merge=None, tolerance=1e-9)
    assert sorted(int(start) for basin in found.basins for start in basin.starts) == list(range(6))
    assert len(found.basins) == 6
    for basin in found.basins:
        alone = model.anew(int(basin.starts[0]))
        history = alone.fit(X, Y, epochs=basin.epochs)
        assert_same_bits(basin.model.get_weights(), alone.get_weights())
        assert basin.epochs == len(history.epoch)
        assert basin.loss == alone.evaluate(X, Y)["loss"]
    assert found.epochs <= 6 * 35


def test_the_model_stays_as_it_is():
    model = xor(3, fl.Adam(0.05))
    model.fit(X, Y, epochs=3)
    with unchanged(model):
        found = fl.multi_start(model, X, Y, 3, epochs=5)
        assert found.best is not model
        with refuses(ValueError, "starts is 0"):
            fl.multi_start(model, X, Y, 0)
    fresh = xor(3, fl.Adam(0.05))
    fl.multi_start(fresh, X, Y, 3, epochs=5)
    assert fresh.inputs is None


def test_own_layers_take_part():
    class Twice(fl.Layer):
        def forward(self, x, training):
            return 2 * x

        def backward(self, gradient):
            return 2 * gradient

    model = fl.Model([fl.Dense(3, "tanh"), Twice(), fl.Dense(1)], seed=4)
    model.compile(fl.Adam(0.05), "mse")
    found = fl.multi_start(model, X, Y, 4, epochs=20, merge=None, check_every=7)
    alone = model.anew(4 + int(found.basins[0].starts[0]))
    alone.fit(X, Y, epochs=20)
    assert_same_bits(found.best.get_weights(), alone.get_weights())


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_finds_the_same(threads):
    expected = solved(3, starts=12)
    with fl.threads(threads):
        found = solved.__wrapped__(3, starts=12)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert_same_bits(found.best.get_weights(), expected.best.get_weights())


def test_what_is_saved_goes_to_those_left():
    found = solved(8, descent, 10, epochs=300, batch_size=4, check_every=20, tolerance=0.5)
    assert found.merged == 9
    assert found.epochs == 10 * 300
    (basin,) = found.basins
    assert basin.epochs > 300
    assert basin.stop_reason == "epochs are spent"
    assert 0 < found.saved < 9 * 300
    own = solved(8, descent, 10, epochs=300, batch_size=4, merge=None)
    assert {basin.epochs for basin in own.basins} == {300}


def test_a_chain_stops_at_its_plateau():
    chain = fl.Chain([(fl.Adam(0.1), fl.Plateau(20, min_delta=0.5))])
    found = fl.multi_start(xor(8, chain), X, Y, 4, epochs=5000, merge=None)
    assert {basin.stop_reason for basin in found.basins} == {"the chain is at its end"}
    assert found.epochs < 4 * 5000


def test_annealing_is_never_merged_on_its_way():
    walk = fl.SimulatedAnnealing(proposals=200, cycles=20)
    found = fl.multi_start(xor(2, walk), X, Y, 4, check_every=1, tolerance=1e9)
    assert found.merged == 0
    assert len(found.basins) == 1


def test_starts_whose_loss_is_not_finite_are_lost():
    """Descent on the product of two weights, at a rate that some starts stand."""
    layers = [
        fl.Dense(1, use_bias=False, kernel_initializer=fl.initializers.Uniform(low=-4, high=4))
        for _ in range(2)
    ]
    x = np.ones((4, 1))

    def model(rate, layers=layers):
        made = fl.Model(layers, seed=0, dtype="float64")
        made.compile(fl.SGD(rate), "mse")
        return made

    with np.errstate(over="ignore"):
        found = fl.multi_start(model(0.15), x, x, 30, epochs=300)
        lost = np.flatnonzero(found.labels < 0)
        assert 0 < len(lost) < 30
        assert f"30 starts ({len(lost)} lost)" in repr(found)
        for i in (lost[0], int(found.basins[0].starts[0])):
            alone = model(0.15).anew(int(i))
            try:
                alone.fit(x, x, epochs=300)
            except fl.NonFiniteLoss:
                assert i in lost
            else:
                assert i not in lost
        with refuses(fl.NonFiniteLoss, "multi_start: "):
            fl.multi_start(model(9e9), x, x, 3, epochs=300)


def test_an_interruption_keeps_what_is_done():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt) as caught:
            fl.multi_start(xor(4, fl.Adam(0.01)), X, Y, 3, epochs=10_000_000, check_every=50)
    finally:
        signal.signal(signal.SIGINT, before)
    found = caught.value.found
    assert 0 < found.epochs < 30_000_000
    assert {basin.stop_reason for basin in found.basins} == {"interrupted"}
    assert found.best.predict(X).shape == (4, 1)


def test_the_probe_decides_what_is_alike():
    """The second weight acts on other rows than those of the training only."""
    x = np.array([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]])
    model = fl.Model([fl.Dense(1, use_bias=False)], seed=0)
    model.compile(fl.SGD(0.1), "mse")
    found = fl.multi_start(model, x, 3 * x[:, 0], 5, epochs=50)
    assert (len(found.basins), found.merged) == (1, 4)
    found = fl.multi_start(model, x, 3 * x[:, 0], 5, epochs=50, probe=[[0, 1], [1, 1], [2, 1]])
    assert (len(found.basins), found.merged) == (5, 0)


# --- the answer ---------------------------------------------------------------------------------------------------


def test_the_answer_is_a_table():
    found = fl.multi_start(xor(4, fl.LBFGS(), metrics=["mae"]), X, Y, 10)
    title, head, first, *_ = repr(found).splitlines()
    assert title.startswith(
        f"{len(found.basins)} basins, 10 starts, {found.epochs} epochs; {found.merged} merged"
    )
    assert head.split() == ["loss", "mae", "starts", "epochs", "stopped", "because"]
    best = found.basins[0]
    assert first.split()[2:4] == [str(len(best.starts)), str(best.epochs)]
    assert list(best.scores) == ["loss", "mae"]
    assert best.scores == found.best.evaluate(X, Y)
    assert (
        repr(best)
        == f"ModelBasin: loss {best.loss:.6g}, {len(best.starts)} start{'s' * (len(best.starts) > 1)}"
    )
    assert [basin.loss for basin in found.basins] == sorted(basin.loss for basin in found.basins)


def test_the_ensemble_is_the_mean_of_distinct_ones():
    found = solved(2)
    outputs = [basin.model.predict(X) for basin in found.basins]
    np.testing.assert_allclose(found.predict(X), np.mean(outputs, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(found.predict(X, basins=1), found.best.predict(X))
    np.testing.assert_allclose(found.predict(X, basins=2), (outputs[0] + outputs[1]) / 2, rtol=1e-12)
    with refuses(ValueError, "basins is 0"):
        found.predict(X, basins=0)
    with refuses(ValueError, "basins is 99"):
        found.predict(X, basins=99)


# --- the symmetries of weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_which_activations_are_mirrored(name):
    """f(z) + f(−z) is a number c for exactly those of the table."""
    z = np.linspace(0.1, 5, 40)[:, None]
    one = fl.Model([fl.Input(1), fl.Activation(name)], dtype="float64")
    both = one.predict(z) + one.predict(-z)
    mirrored = np.ptp(both) < 1e-12 and name != "softmax"  # of one number it is 1
    assert mirrored == (name in MIRRORED)
    if mirrored:
        assert both[0] == pytest.approx(MIRRORED[name])


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_order_and_sign_of_hidden_units_do_not_count(activation, use_bias, rng):
    """The same function in other weights: units in another order, and turned where the activation allows it."""
    layers = [fl.Dense(units, activation, use_bias=use_bias) for units in (5, 4)]
    model = fl.Model([fl.Input(3), *layers, fl.Dense(2, use_bias=use_bias)], seed=1, dtype="float64")
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    other = model.anew(seed=2)
    kernels = [layer.kernel for layer in model.layers[1:]]
    biases = [layer.bias if use_bias else np.zeros(layer.units) for layer in model.layers[1:]]
    turns = activation == "tanh" or (activation == "sigmoid" and use_bias)
    for i in (0, 1):
        units = kernels[i].shape[1]
        signs = rng.choice([-1, 1], units) if turns else np.ones(units)
        order = rng.permutation(units)
        if activation == "sigmoid":
            biases[i + 1] = biases[i + 1] + kernels[i + 1][signs < 0].sum(axis=0)
        kernels[i], biases[i] = (signs * kernels[i])[:, order], (signs * biases[i])[order]
        kernels[i + 1] = (signs[:, None] * kernels[i + 1])[order]
    other.set_weights(
        [w for k, b in zip(kernels, biases, strict=True) for w in ((k, b) if use_bias else (k,))]
    )
    x = rng.normal(size=(20, 3))
    np.testing.assert_allclose(other.predict(x), model.predict(x), atol=1e-12)
    np.testing.assert_allclose(canonical(other), canonical(model), atol=1e-12)
    other.layers[-1].kernel = other.layers[-1].kernel * 1.01
    assert np.abs(canonical(other) - canonical(model)).max() > 1e-3


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_merging_by_weights(activation, rng):
    """A curve with noise, so that its minima are single points but for order and sign."""
    x = np.linspace(-2, 2, 40)[:, None]
    y = np.tanh(2 * x - 1) - 0.5 * np.tanh(3 * x + 2) + 0.1 * rng.normal(size=x.shape)
    model = fl.Model([fl.Dense(2, activation), fl.Dense(1)], seed=0, dtype="float64")
    model.compile(fl.LBFGS(), "mse")
    merged, single = (fl.multi_start(model, x, y, 30, merge=rule) for rule in ("weights", None))
    assert merged.merged > 10
    assert merged.epochs < single.epochs
    assert len(merged.basins) < 10
    np.testing.assert_allclose(losses(merged), losses(single), atol=1e-3)


# --- bad arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, exception, match",
    [
        ({"model": 3}, TypeError, "model is 3"),
        ({"model": fl.Model([fl.Dense(1)])}, RuntimeError, "model is not compiled"),
        ({"X": X[:, 0]}, ValueError, r"multi_start: X has shape \(4,\)"),
        ({"y": Y[:2]}, ValueError, "multi_start: y"),
        ({"y": None}, TypeError, "multi_start: y is None"),
        ({"starts": 0}, ValueError, "starts is 0; expected an integer >= 1"),
        ({"starts": 2.0}, TypeError, "starts is 2.0"),
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"merge": "loss"}, ValueError, "merge is 'loss'; expected one of 'outputs', 'weights'"),
        ({"merge": True}, TypeError, "merge is True"),
        ({"tolerance": 0}, ValueError, "tolerance is 0"),
        ({"tolerance": np.nan}, ValueError, "tolerance is nan"),
        ({"check_every": 0}, ValueError, "check_every is 0"),
        ({"probe": X[:, :2]}, ValueError, r"multi_start\(probe\): X has shape \(4, 2\)"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"sample_weight": [1.0]}, ValueError, "multi_start: sample_weight"),
        ({"shuffle": 1}, TypeError, "shuffle is 1"),
    ],
)
def test_bad_arguments(arguments, exception, match):
    model = xor(2, fl.Adam())
    with refuses(exception, match):
        fl.multi_start(**{"model": model, "X": X, "y": Y, "starts": 2, "epochs": 2} | arguments)
    assert model.inputs is None


@pytest.mark.parametrize(
    "layers, match",
    [
        ([fl.Dense(3), fl.BatchNormalization(), fl.Dense(1)], r"layers\[1\] is BatchNormalization\(\)"),
        ([fl.Maxout(3), fl.Dense(1)], r"layers\[0\] is Maxout\(3\)"),
        ([fl.Dense(3), fl.PReLU(), fl.Dense(1)], r"layers\[1\] is PReLU\(\)"),
    ],
)
def test_weights_of_other_layers_are_not_compared(layers, match):
    model = fl.Model(layers, seed=0)
    model.compile("adam", "mse")
    with refuses(ValueError, match + ".*merge='outputs' takes all layers"):
        fl.multi_start(model, X, Y, 2, epochs=2, merge="weights")
    assert len(fl.multi_start(model, X, Y, 2, epochs=2).basins) == 2
