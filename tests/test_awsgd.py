"""AW-SGD: unbiased gradients, a distribution that descends on their variance, norms of single rows."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fallline as fl
from fallline.samplers import AWSGD, WithReplacement
from helpers import assert_same_bits, assert_same_model, refuses, unchanged

# Shares of four groups among 100 rows, and squared norms of the gradients of their rows.
COUNTS, NORMS = np.array([60, 30, 8, 2]), np.array([0.04, 0.5, 4.0, 9.0])
SHARES, OF_ROW = COUNTS / 100, np.repeat(np.arange(4), COUNTS)
BEST = SHARES * np.sqrt(NORMS) / (SHARES @ np.sqrt(NORMS))


def variance(pi):
    """What depends on the sampling of the mean squared norm: Σ f² G / π."""
    return np.sum(SHARES**2 * NORMS / pi)


def still(seed=0, rate=0.0):
    """A model that stands still at 0, where the gradient of a row of target t is −2t: |2t|² = G."""
    layer = fl.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = fl.Model([fl.Input(1), layer], seed=seed, dtype="float64")
    model.compile(fl.SGD(rate), "mse")
    return model


def fit(sampler, epochs, batch_size=32, seed=0, callbacks=()):
    model, targets = still(seed), np.sqrt(NORMS[OF_ROW]) / 2
    model.fit(
        np.ones((100, 1)),
        targets,
        batch_size=batch_size,
        epochs=epochs,
        sampler=sampler,
        callbacks=callbacks,
    )
    return sampler


def test_the_best_distribution():
    np.testing.assert_allclose(BEST, [0.2173, 0.3842, 0.2898, 0.1087], atol=5e-5)
    assert variance(BEST) == pytest.approx(0.3048, abs=5e-5)
    assert variance(SHARES) == pytest.approx(0.6740, abs=5e-5)
    assert variance(np.full(4, 0.25)) == pytest.approx(0.3544, abs=5e-5)


@pytest.mark.parametrize("seed", range(3))
def test_it_learns_the_best_distribution(seed):
    sampler = fit(AWSGD(OF_ROW), epochs=1, seed=seed)
    assert variance(sampler.probabilities) < variance(SHARES)
    fit(sampler, epochs=159, seed=seed)  # 4 batches each, the last of 4 rows: 640 in all
    assert variance(sampler.probabilities) < 1.05 * variance(BEST)
    np.testing.assert_allclose(sampler.probabilities, BEST, atol=0.06)
    assert sampler.second_moment == pytest.approx(variance(sampler.probabilities), rel=0.25)


def test_it_begins_as_plain_sampling():
    sampler = fit(AWSGD(OF_ROW, learning_rate=0.0), epochs=50)
    np.testing.assert_allclose(sampler.probabilities, SHARES, rtol=1e-15)
    assert sampler.second_moment == pytest.approx(variance(SHARES), rel=0.5)


class OneBatch(fl.Callback):
    def on_batch_end(self, batch, logs):
        self.model.stop_training = True


def logarithms(sampler):
    """What is learned, τ = log f + θ, up to a constant: from π = (1 − mix) softmax(τ) + mix f."""
    tau = np.log((sampler.probabilities - sampler.mix * SHARES) / (1 - sampler.mix))
    return tau - tau.mean()


@pytest.mark.parametrize("mix", [0.0, 0.1, 0.5])
def test_it_descends_on_the_variance(mix):
    """In expectation over the row drawn, τ changes by −dV/dτ: f_j² G_j / π_j − π_j V in component j if mix is 0."""
    options = {"mix": mix, "clip": None, "normalize": False}
    rate = 1e-3
    taught = fit(AWSGD(OF_ROW, learning_rate=rate, **options), epochs=300, batch_size=10)
    assert np.abs(taught.probabilities - SHARES).max() > 0.02
    pi, tau = taught.probabilities, logarithms(taught)
    change, seed = {}, 0
    while len(change) < 4:
        sampler = fit(copy.deepcopy(taught), 1, batch_size=1, seed=seed, callbacks=[OneBatch()])
        group = np.flatnonzero(logarithms(sampler) - tau > 1e-9)[0]  # the one that was drawn rises
        change[int(group)] = (logarithms(sampler) - tau) / rate
        seed += 1
    mean = sum(pi[group] * each for group, each in change.items())

    def moved(shift):
        s = np.exp(tau + shift)
        return variance((1 - mix) * s / s.sum() + mix * SHARES)

    slopes = [(moved(h) - moved(-h)) / 2e-5 for h in 1e-5 * np.eye(4)]
    np.testing.assert_allclose(mean, -np.array(slopes), atol=1e-7)
    if mix == 0:
        np.testing.assert_allclose(mean, SHARES**2 * NORMS / pi - pi * variance(pi), atol=1e-10)


@pytest.mark.parametrize("over", ["groups", "examples"])
def test_gradients_are_unbiased_by_enumeration(over, rng):
    """Σ over rows of probability · factor · gradient is the mean gradient, wherever the sampler is."""
    n = 12
    groups = np.arange(n) % 3
    sampler = AWSGD(groups if over == "groups" else over, learning_rate=1.0)
    # Row i has weight i alone, which falls by the rate times the factor whenever the row is drawn.
    start = 1e3
    layer = fl.Dense(1, use_bias=False, kernel_initializer=fl.Constant(start))
    model = fl.Model([fl.Input(n), layer], seed=0, dtype="float64")
    model.compile(fl.SGD(0.0), fl.MAE("sum"))
    x = np.diag(rng.uniform(0.1, 3, n))
    model.fit(x, np.zeros(n), batch_size=4, epochs=20, sampler=sampler)
    pi = sampler.probabilities if over == "examples" else sampler.probabilities[groups] / 4
    assert pi.max() > 1.5 * pi.min()
    assert pi.sum() == pytest.approx(1, rel=1e-14)
    found = np.zeros(n)
    for seed in range(40):
        probe = fl.Model(model.layers, seed=seed, dtype="float64")
        probe.compile(fl.SGD(1.0), fl.MAE("sum"))
        probe.set_weights(model.get_weights())
        probe.fit(x, np.zeros(n), batch_size=1, sampler=copy.deepcopy(sampler), callbacks=[OneBatch()])
        fall = (start - probe.get_weights()[0].ravel()) / np.diag(x)
        found = np.maximum(found, fall)
    drawn = found > 0
    assert drawn.sum() > n / 2
    np.testing.assert_allclose((pi * found)[drawn], 1 / n, rtol=1e-9)


@pytest.mark.parametrize("over", ["groups", "examples"])
@pytest.mark.parametrize("optimizer", [fl.SGD(0.1), fl.Adam(0.01)], ids=repr)
def test_without_learning_it_is_plain_sampling_bit_for_bit(over, optimizer, rng):
    """With the same draws: those of groups that lie one after the other are those of all rows."""
    x, y = rng.normal(size=(200, 5)), np.sort(rng.integers(0, 3, 200))
    models = []
    for sampler in (WithReplacement(), AWSGD(y if over == "groups" else over, learning_rate=0.0)):
        model = fl.Model([fl.Dense(9, "tanh"), fl.Dropout(0.3), fl.Dense(3, "softmax")], seed=4)
        model.compile(optimizer, "cross_entropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=16, epochs=5, sampler=sampler)
        models.append((model, history.history))
    assert_same_model(models[0][0], models[1][0])
    assert models[0][1] == models[1][1]


LAYERS = {
    "dense": lambda: [fl.Dense(19, "tanh"), fl.Dense(5, "relu", use_bias=False), fl.Dense(3, "softmax")],
    "slopes": lambda: [fl.Dense(6), fl.PReLU(), fl.Dense(35), fl.PReLU(shared=True), fl.Dense(3)],
    "normalised": lambda: [
        fl.LayerNormalization(),
        fl.Dense(17),
        fl.LayerNormalization(scale=False),
        fl.Dense(3),
    ],
    "scaled": lambda: [fl.Dense(9, "elu"), fl.LayerNormalization(center=False), fl.Dense(3, "softmax")],
    "embedded": lambda: [fl.Embedding([4, 4], [3, 18], columns=[1, 3]), fl.Dense(4, "sigmoid"), fl.Dense(3)],
    "pieces": lambda: [fl.Maxout(7, pieces=2), fl.Residual([fl.Dense(7, "gelu")]), fl.Dense(3, "softmax")],
    "own slope": lambda: [fl.Rescale(0.5, 1.0), fl.Dense(7), fl.LeakyReLU(0.2), fl.Dense(3, "softmax")],
    "penalised": lambda: [fl.Dense(8, "tanh", kernel_regularizer=fl.L2(0.1)), fl.Dense(3, "softmax")],
    "frozen": lambda: [fl.Dense(6, "tanh"), fl.BatchNormalization(), fl.Dense(5), fl.Dense(3, "softmax")],
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 2e-7), ("float32", 3e-5)])  # kept in float32
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_norms_are_those_of_the_gradients_of_single_rows(name, dtype, tolerance, reduction, rng):
    n = 30
    x, y = rng.normal(size=(n, 6)), rng.integers(0, 3, n)
    x[:, [1, 3]] = rng.integers(0, 4, (n, 2))
    weight = rng.uniform(0.1, 3, n)
    model = fl.Model([fl.Input(6), *LAYERS[name]()], seed=1, dtype=dtype)
    if name == "frozen":
        model.layers[2].group = model.layers[3].group = fl.ParameterGroup(trainable=False)
    model.compile(fl.SGD(0.0), fl.CrossEntropy(reduction=reduction))
    sampler = AWSGD("examples", learning_rate=0.0)
    model.fit(x, y, sample_weight=weight, batch_size=7, epochs=12, sampler=sampler)
    norms = sampler._learner.norms
    trained = [i for i, layer in enumerate(model.layers) if not (name == "frozen" and i in (2, 3))]
    names = [layer for layer, _, _ in model._network.parameters]
    squares = []
    for i in range(n):
        _, gradients = model.loss_and_gradients(x[i : i + 1], y[i : i + 1])
        plain = [g for layer, g in zip(names, gradients, strict=True) if layer in trained]
        if name == "penalised":
            plain[0] = plain[0] - 0.1 * model.get_weights()[0]  # not of the row
        squares.append(sum(np.sum(g.astype(float) ** 2) for g in plain))
    share = weight / (weight.mean() if reduction == "mean" else 1)
    expected = np.sqrt(squares) * share
    assert (norms >= 0).all()
    np.testing.assert_allclose(norms, expected, rtol=tolerance)
    assert list(sampler.hardest(n)) == sorted(range(n), key=lambda i: -norms[i])


@pytest.mark.parametrize("batch_size", [1, 7, 32, 100])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_second_moment_of_rows_that_are_all_alike(batch_size, reduction):
    model = still()
    model.compile(fl.SGD(0.0), fl.MSE(reduction))
    sampler = AWSGD(OF_ROW, learning_rate=0.0)
    model.fit(np.ones((100, 1)), np.full(100, 1.5), batch_size=batch_size, epochs=2, sampler=sampler)
    assert sampler.second_moment == pytest.approx(9.0, rel=1e-12)


def test_norms_of_batches_that_are_taken_in_pieces(rng):
    n = 9000
    x, y = rng.normal(size=(n, 2)), rng.integers(0, 2, n)
    learned = []
    for batch_size in (n, 900):
        model = fl.Model([fl.Input(2), fl.Dense(2, "softmax")], seed=0, dtype="float64")
        model.compile(fl.SGD(0.0), "cross_entropy")
        sampler = AWSGD("examples", learning_rate=0.0)
        model.fit(x, y, batch_size=batch_size, sampler=sampler)
        learned.append(sampler)
    assert_same_bits([learned[0].hardest(n)], [learned[1].hardest(n)])
    assert learned[0].second_moment == pytest.approx(learned[1].second_moment, rel=1e-12)


def test_rows_never_drawn_come_last(rng):
    model, sampler = still(), AWSGD("examples")
    model.fit(np.ones((50, 1)), rng.uniform(1, 2, 50), sampler=sampler)
    norms = sampler._learner.norms
    assert (norms < 0).any()
    order = sampler.hardest(50)
    assert (np.diff(norms[order]) <= 0).all()
    assert sorted(order) == list(range(50))
    assert len(sampler.hardest(0)) == 0


@pytest.mark.parametrize("rows, batch_size", [(3000, 5), (3000, 64), (100, 64)])
def test_over_examples_the_common_part_may_wait(rows, batch_size, rng):
    """Cut anywhere, on any number of threads, it is applied at the same moments."""
    x, y = rng.normal(size=(rows, 4)), rng.integers(0, 3, rows)

    def learn(parts, threads=1):
        model = fl.Model([fl.Dense(8, "relu"), fl.Dense(3, "softmax")], seed=0)
        model.compile(fl.SGD(0.1), "cross_entropy")
        sampler = AWSGD("examples", learning_rate=1.0)
        with fl.threads(threads):
            for epochs in parts:
                model.fit(x, y, batch_size=batch_size, epochs=epochs, sampler=sampler)
                sampler = copy.deepcopy(sampler)
        return model, sampler

    straight, sampler = learn([3])
    for other, again in (learn([1, 2]), learn([3], threads=3)):
        assert_same_model(other, straight)
        assert_same_bits([again.probabilities], [sampler.probabilities])
    assert sampler.probabilities.sum() == pytest.approx(1, rel=1e-12)
    assert sampler.probabilities.min() >= 0.1 / rows


def test_over_examples_large_gradients_are_drawn_more_often(rng):
    targets = np.where(np.arange(400) % 20 == 0, 5.0, 0.5)
    sampler = AWSGD("examples")
    model = still()
    model.fit(np.ones((400, 1)), targets, batch_size=16, epochs=100, sampler=sampler)
    pi, norms = sampler.probabilities, 2 * targets
    learned, plain = np.sum(norms**2 / 400**2 / pi), np.mean(norms**2)
    assert np.mean(norms) ** 2 <= learned < 0.5 * plain
    assert set(sampler.hardest(20)) == set(np.flatnonzero(targets == 5.0))


def test_guard_rails_hold():
    """A rate that is far too large: the mixing floor bounds factors by 1 / mix. Without rails, numbers stay finite."""
    wild = fit(AWSGD(OF_ROW, learning_rate=1e4), epochs=50)
    assert (wild.probabilities >= 0.1 * SHARES * (1 - 1e-12)).all()
    assert wild.second_moment < 9.0 / 0.1**2
    faithful = fit(AWSGD(OF_ROW, learning_rate=1e4, mix=0.0, clip=None, normalize=False), epochs=50)
    assert faithful.probabilities.sum() == pytest.approx(1)
    assert np.isfinite(faithful.probabilities).all()


def test_rows_without_gradients_teach_nothing():
    model, sampler = still(), AWSGD("examples")
    model.fit(np.ones((9, 1)), np.zeros(9), batch_size=2, epochs=3, sampler=sampler)
    np.testing.assert_array_equal(sampler.probabilities, np.full(9, 1 / 9))
    assert sampler.second_moment == 0


class Own(fl.Layer):
    def forward(self, x, training):
        return x

    def backward(self, gradient):
        return gradient


@pytest.mark.parametrize(
    "layer, reason",
    [
        (fl.BatchNormalization(), "normalises over the rows of the batch"),
        (fl.DropConnect(4, rate=0.5), "multiplies its kernel by a mask"),
        (fl.Residual([fl.Dense(4), fl.BatchNormalization()]), "normalises over the rows"),
        (Own(), "sums its gradients over all rows itself"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_layers_that_couple_rows_are_refused(layer, reason, blobs):
    model = fl.Model([fl.Input(8), fl.Dense(4), layer, fl.Dense(4, "softmax")], seed=0)
    model.compile("sgd", "cross_entropy")
    sampler = AWSGD()
    with unchanged(model), refuses(ValueError, rf"sampler is AWSGD, beside layers\[2\].*{reason}"):
        model.fit(*blobs, sampler=sampler)
    with refuses(RuntimeError, "has seen no rows"):
        sampler.hardest(3)
    model.fit(*blobs, sampler="balanced")


def test_a_sampler_belongs_to_its_rows(blobs):
    x, y = blobs
    model = fl.Model([fl.Dense(4, "softmax")], seed=0)
    model.compile("sgd", "cross_entropy")
    sampler = AWSGD()
    model.fit(x, y, sampler=sampler)
    before = sampler.probabilities
    with unchanged(model), refuses(ValueError, "has learned 200 rows in 4 groups; expected 100 in 4"):
        model.fit(x[:100], y[:100], sampler=sampler)
    assert_same_bits([sampler.probabilities], [before])
    with refuses(ValueError, r"AWSGD\.hardest: k is 201"):
        sampler.hardest(201)
    with refuses(TypeError, r"AWSGD\.hardest: k"):
        sampler.hardest(2.5)


@pytest.mark.parametrize("what", ["probabilities", "second_moment", "hardest"])
def test_before_the_first_fit_there_is_nothing_to_tell(what):
    with refuses(RuntimeError, rf"AWSGD\.{what}: sampler has seen no rows"):
        sampler = AWSGD()
        sampler.hardest(1) if what == "hardest" else getattr(sampler, what)


def test_a_loss_that_is_not_finite_leaves_what_was_learned():
    sampler = fit(AWSGD("examples"), epochs=3)
    before = sampler.probabilities
    model = still()
    with pytest.raises(fl.NonFiniteLoss):
        model.fit(np.full((100, 1), np.nan), np.ones(100), sampler=sampler)
    assert_same_bits([sampler.probabilities], [before])


def test_callbacks_may_read_it_between_epochs():
    sampler, seen = AWSGD(OF_ROW), []
    fit(sampler, 4, callbacks=[fl.LambdaCallback(on_epoch_end=lambda *_: seen.append(sampler.second_moment))])
    assert len(seen) == len(set(seen)) == 4
