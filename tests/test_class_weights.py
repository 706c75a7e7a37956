"""Weights of classes: the same in arrays, streams and parts, and for rows that train alone."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from cases.targets import CLASSES, REGRESSIONS
from helpers import assert_same_bits, assert_same_model, refuses, unchanged

N, BATCH = 200, 32
WEIGHTS = {0: 1.0, 1: 10.0}


def network(outputs=2, last="softmax", loss="cross_entropy", optimizer=None, dtype="float32", metrics=()):
    model = fl.Model([fl.Input(4), fl.Dense(6, "tanh"), fl.Dense(outputs, last)], seed=0, dtype=dtype)
    model.compile(optimizer or fl.Adam(0.02), loss, metrics)
    return model


@pytest.fixture
def rows(rng):
    x = rng.normal(size=(N, 4))
    return x, (x[:, 0] > 1).astype(int)


def cut(*arrays):
    return [tuple(a[i : i + BATCH] for a in arrays) for i in range(0, len(arrays[0]), BATCH)]


OPTIMIZERS = {
    "Adam": fl.Adam,
    "LBFGS": fl.LBFGS,
    "chain": lambda: fl.Chain([(fl.SGD(0.1), 2), (fl.LBFGS(), 2)]),
}


@pytest.mark.parametrize("weights", [WEIGHTS, "balanced"], ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_held_out_have_no_class_weights(weights, optimizer, dtype, rows, rng):
    (x, y), own, kept = rows, rng.uniform(0.5, 2, N), 150
    for sample_weight in (None, own):
        models = [network(optimizer=OPTIMIZERS[optimizer](), dtype=dtype, metrics=["accuracy"]) for _ in "ab"]
        first, second, held_out = None, None, (x[kept:], y[kept:])
        if sample_weight is not None:
            first, second, held_out = own, own[:kept], (*held_out, own[kept:])
        options = {"epochs": 3, "class_weight": weights}
        split = models[0].fit(x, y, sample_weight=first, validation_split=0.25, **options)
        given = models[1].fit(x[:kept], y[:kept], sample_weight=second, validation_data=held_out, **options)
        assert split.history == given.history
        assert_same_model(*models)


def test_balanced_counts_the_rows_that_train(rng):
    """Of 60 rows 20 are of class 1, and of those held out all."""
    x, y = rng.normal(size=(80, 4)), np.repeat([0, 1], [40, 40])
    models = [network(), network()]
    models[0].fit(x, y, class_weight="balanced", validation_split=0.25)
    models[1].fit(x[:60], y[:60], class_weight={0: 60 / 80, 1: 60 / 40})
    assert_same_model(*models)


@pytest.mark.parametrize("weights", [{0: 1, 1: 2, 2: 5}, {2: 0.5}, {1: 3.0, 2: 0}], ids=str)
def test_a_class_that_does_not_occur_may_have_a_weight(weights, rows):
    """As in Keras and scikit-learn; a batch of a stream need not show all classes either."""
    x, y = rows
    forms = [y, y[:, None], y.astype(float), np.eye(3)[y]]
    models = [network(outputs=3) for _ in forms]
    for model, labels in zip(models, forms, strict=True):
        model.fit(x, labels, class_weight=weights)
        assert_same_bits(model.get_weights(), models[0].get_weights())


@pytest.mark.parametrize("key", [3, -1, 0.5, "0", None])
@pytest.mark.parametrize("one_hot", [False, True])
def test_a_class_that_no_output_stands_for_has_no_weight(key, one_hot, rows):
    x, y = rows
    model, labels = network(outputs=3), np.eye(3)[y] if one_hot else y
    for call in (
        model.fit,
        model.partial_fit,
        model.train_on_batch,
        lambda *data, **how: model.fit([data], **how),
    ):
        with unchanged(model), refuses(ValueError, "class_weight names the class .*classes 0 to 2"):
            call(x, labels, class_weight={0: 1.0, key: 2.0})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", [WEIGHTS, {1: 0.3}, {0: 0.0}], ids=str)
def test_streams_and_parts_are_weighted_as_arrays(weights, dtype, rows, rng):
    (x, y), own = rows, rng.uniform(0.5, 2, N)
    y = np.sort(y)  # so that some batches are of one class
    for sample_weight in (None, own):
        columns = (x, y) if sample_weight is None else (x, y, own)
        how = {"dtype": dtype, "metrics": ["accuracy"]}
        arrays, stream, generator, parts, single = (network(**how) for _ in range(5))
        options = {"epochs": 2, "class_weight": weights}
        straight = arrays.fit(
            x, y, sample_weight=sample_weight, batch_size=BATCH, shuffle=False, **options
        ).history
        assert stream.fit(cut(*columns), **options).history == straight
        steps = len(cut(*columns))
        assert generator.fit(iter(cut(*columns) * 2), steps_per_epoch=steps, **options).history == straight
        losses = []
        for _ in range(2):
            half = BATCH * 3
            for part in (slice(None, half), slice(half, None)):
                losses.append(
                    parts.partial_fit(*(c[part] for c in columns), batch_size=BATCH, class_weight=weights)
                )
            for batch in cut(*columns):
                single.train_on_batch(*batch, class_weight=weights)
        assert np.isfinite(losses).all()
        for model in (stream, generator, parts, single):
            assert_same_bits(model.get_weights(), arrays.get_weights())


@pytest.mark.parametrize("method", ["fit", "partial_fit", "train_on_batch"])
def test_rows_to_come_cannot_be_balanced(method, rows):
    model = network()
    given = (cut(*rows),) if method == "fit" else rows
    with unchanged(model), refuses(ValueError, "class_weight is 'balanced'; expected a dict"):
        getattr(model, method)(*given, class_weight="balanced")
    with unchanged(model), refuses(TypeError, "class_weight is 'equal'; expected a dict"):
        getattr(model, method)(*given, class_weight="equal")


def test_some_row_must_have_a_weight(rows):
    x, y = rows
    model = network()
    only = np.where(y == 1, 1.0, 0.0)
    for how in ({"class_weight": {0: 0, 1: 0}}, {"class_weight": {1: 0}, "sample_weight": only}):
        with unchanged(model), refuses(ValueError, "class_weight leaves no row a weight"):
            model.fit(x, y, **how)


def calls(model, x, y):
    """Every way to train with class weights."""
    return (
        lambda: model.fit(x, y, class_weight=WEIGHTS),
        lambda: model.fit(x, y, class_weight="balanced", validation_split=0.2),
        lambda: model.fit([(x, y)], class_weight=WEIGHTS),
        lambda: model.partial_fit(x, y, class_weight=WEIGHTS),
        lambda: model.train_on_batch(x, y, class_weight=WEIGHTS),
    )


@pytest.mark.parametrize("problem", REGRESSIONS)
def test_a_regression_has_no_class_weights(problem, rows, rng):
    (x, c), (outputs, last, loss, labels) = rows, REGRESSIONS[problem]
    model = network(outputs, last, loss)
    for call in calls(model, x, labels(c, rng.normal(size=N))):
        with unchanged(model), refuses(ValueError, "class_weight is given beside loss .* no single class"):
            call()


@pytest.mark.parametrize("problem", CLASSES)
def test_classes_have_weights_whatever_the_loss(problem, rows, rng):
    (x, c), (outputs, last, loss, labels) = rows, CLASSES[problem]
    y = labels(c, rng.normal(size=N))
    models = [network(outputs, last, loss) for _ in "ab"]
    models[0].fit(x, y, class_weight=WEIGHTS)
    models[1].fit(x, y, sample_weight=np.where(c == 1, 10.0, 1.0))
    assert_same_model(*models)
    for call in calls(models[0], x, y):
        call()
