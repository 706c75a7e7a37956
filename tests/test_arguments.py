"""Bad arguments of a model: the right exception, the error grammar, and nothing changed."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses, unchanged

N, INPUTS, CLASSES = 20, 5, 3


def network(loss="cross_entropy", last="softmax"):
    model = fl.Model(
        [fl.Input(INPUTS), fl.Dense(4, activation="relu"), fl.Dense(CLASSES, activation=last)], seed=1
    )
    model.compile(fl.Adam(), loss, metrics=["accuracy"] if loss == "cross_entropy" else [])
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(N, INPUTS)).astype(np.float32), rng.integers(0, CLASSES, N)


def spoiled(array, value, at=(3, 2)):
    array = np.array(array, dtype=np.float64)
    array[at if array.ndim > 1 else at[0]] = value
    return array


# name: how to spoil (x, y), exception, regex; refused by all methods that take labels
DATA = {
    "x of rank 1": (lambda x, y: (x[0], y), ValueError, r"X has shape \(5,\)"),
    "x of rank 3": (lambda x, y: (x[None], y), ValueError, r"\(1, 20, 5\)"),
    "x a number": (lambda x, y: (3.0, y), ValueError, r"X has shape \(\)"),
    "x too wide": (lambda x, y: (np.c_[x, x], y), ValueError, r"\(20, 10\).*\(\*, 5\)"),
    "x empty": (lambda x, y: (x[:0], y[:0]), ValueError, r"\(0, 5\)"),
    "x of text": (lambda x, y: (x.astype(str), y), TypeError, "X has dtype"),
    "x of objects": (lambda x, y: (x.astype(object), y), TypeError, "X has dtype object"),
    "x complex": (lambda x, y: (x.astype(complex), y), TypeError, "X has dtype complex128"),
    "x None": (lambda x, y: (None, y), TypeError, "X is None"),
    "ragged x": (lambda x, y: ([[1.0, 2.0], [3.0]], y[:2]), ValueError, "X"),
    "fewer labels": (lambda x, y: (x, y[:-1]), ValueError, r"19.*20|20.*19"),
    "label too large": (lambda x, y: (x, y + 1), ValueError, r"y .*3"),
    "label negative": (lambda x, y: (x, y - 1), ValueError, r"y .*-1"),
    "labels with fractions": (lambda x, y: (x, y + 0.5), ValueError, "y"),
    "labels of text": (lambda x, y: (x, y.astype(str)), TypeError, "y has dtype"),
    "too few classes": (lambda x, y: (x, np.eye(2)[y % 2]), ValueError, r"\(20, 2\).*\(20, 3\)"),
    "too many classes": (lambda x, y: (x, np.eye(4)[y]), ValueError, r"\(20, 4\).*\(20, 3\)"),
    "y of rank 3": (lambda x, y: (x, y[:, None, None]), ValueError, r"\(20, 1, 1\)"),
    "y not a number": (lambda x, y: (x, spoiled(np.eye(3)[y], np.nan)), ValueError, "y"),
    "y None": (lambda x, y: (x, None), TypeError, "y is None"),
}


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "loss_and_gradients"])
@pytest.mark.parametrize("row", DATA)
def test_bad_data(row, method, data):
    spoil, exception, match = DATA[row]
    model = network()
    model.fit(*data)
    with unchanged(model), refuses(exception, match):
        getattr(model, method)(*spoil(*data))


@pytest.mark.parametrize("row", [name for name in DATA if "x" in name.split() and "None" not in name])
def test_bad_rows_to_predict(row, data):
    spoil, exception, match = DATA[row]
    model = network()
    with unchanged(model), refuses(exception, match):
        model.predict(spoil(*data)[0])


OPTIONS = [
    ({"batch_size": 0}, ValueError, "batch_size is 0"),
    ({"batch_size": -1}, ValueError, "batch_size is -1"),
    ({"batch_size": 2.5}, TypeError, "batch_size is 2.5"),
    ({"batch_size": "all"}, TypeError, "batch_size"),
    ({"epochs": -1}, ValueError, "epochs"),
    ({"epochs": 1.5}, TypeError, "epochs"),
    ({"validation_split": 1.0}, ValueError, "validation_split"),
    ({"validation_split": -0.1}, ValueError, "validation_split"),
    ({"validation_split": "some"}, TypeError, "validation_split"),
    ({"validation_data": 3}, TypeError, "validation_data"),
    ({"validation_data": (np.ones((4, 2)), np.zeros(4, int))}, ValueError, r"\(4, 2\)"),
    ({"validation_data": (np.ones((4, 5)), np.full(4, 3))}, ValueError, "3"),
    ({"sample_weight": np.ones(7)}, ValueError, r"sample_weight has shape \(7,\)"),
    ({"sample_weight": -np.ones(N)}, ValueError, "sample_weight"),
    ({"sample_weight": np.full(N, np.nan)}, ValueError, "sample_weight"),
    ({"sample_weight": np.zeros(N)}, ValueError, "sample_weight"),
    ({"sample_weight": "balanced"}, TypeError, "sample_weight"),
    ({"class_weight": {9: 1.0}}, ValueError, "class_weight"),
    ({"class_weight": {0: -1.0}}, ValueError, "class_weight"),
    ({"class_weight": "equal"}, TypeError, "class_weight"),
    ({"shuffle": "yes"}, TypeError, "shuffle"),
    ({"callbacks": [3]}, TypeError, "callbacks"),
    ({"verbose": "loud"}, ValueError, "verbose"),
]


@pytest.mark.parametrize(
    "options, exception, match", OPTIONS, ids=lambda v: str(v)[:40] if isinstance(v, dict) else ""
)
def test_bad_options_of_fit(options, exception, match, data):
    model = network()
    model.fit(*data)
    with unchanged(model), refuses(exception, match):
        model.fit(*data, **options)


@pytest.mark.parametrize("method", ["predict", "evaluate"])
@pytest.mark.parametrize("size, exception", [(0, ValueError), (-3, ValueError), (1.5, TypeError)])
def test_bad_batch_sizes(method, size, exception, data):
    model = network()
    arguments = data if method == "evaluate" else data[:1]
    with refuses(exception, "batch_size"):
        getattr(model, method)(*arguments, batch_size=size)


@pytest.mark.parametrize(
    "options, exception, match",
    [
        ({"layers": []}, ValueError, "layers"),
        ({"layers": fl.Dense(3)}, TypeError, "layers"),
        ({"layers": [fl.Dense(3), "relu"]}, TypeError, "layers"),
        ({"layers": [fl.Dense]}, TypeError, "layers"),
        ({"layers": [fl.Dense(3), fl.Input(3)]}, ValueError, "Input"),
        ({"layers": [fl.Input(3)]}, ValueError, "layers"),
        ({"dtype": "float16"}, ValueError, "float32"),
        ({"dtype": 32}, TypeError, "dtype"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
        ({"name": 3}, TypeError, "name"),
    ],
    ids=str,
)
def test_bad_models(options, exception, match):
    with refuses(exception, match):
        fl.Model(**{"layers": [fl.Input(2), fl.Dense(3)], **options})


@pytest.mark.parametrize(
    "options, exception, match",
    [
        ({"optimizer": "adm"}, ValueError, "did you mean 'adam'"),
        ({"optimizer": fl.Adam}, TypeError, r"Adam\(\)"),
        ({"optimizer": None}, TypeError, "optimizer"),
        ({"loss": "cross_entrpy"}, ValueError, "did you mean 'cross_entropy'"),
        ({"loss": 3}, TypeError, "loss"),
        ({"loss": "binary_cross_entropy"}, ValueError, "sigmoid"),
        ({"metrics": ["acuracy"]}, ValueError, "did you mean 'accuracy'"),
        ({"metrics": [3]}, TypeError, "metrics"),
        ({"metrics": 3}, TypeError, "metrics"),
        ({"metrics": ["accuracy", "accuracy"]}, ValueError, "accuracy"),
    ],
    ids=str,
)
def test_bad_compilations_leave_the_old_one(options, exception, match, data):
    model = network()
    model.fit(*data)
    with unchanged(model), refuses(exception, match):
        model.compile(**{"optimizer": "sgd", "loss": "cross_entropy", **options})


def test_a_model_not_compiled_says_so(data):
    model = fl.Model([fl.Input(INPUTS), fl.Dense(CLASSES)], seed=0)
    before = model.get_weights()
    for call in (model.fit, model.evaluate, model.train_on_batch, model.loss_and_gradients):
        with refuses(RuntimeError, r"compile"):
            call(*data)
    assert_same_bits(model.get_weights(), before)
    assert model.predict(data[0]).shape == (N, CLASSES)


def test_a_model_not_built_says_so(data):
    model = fl.Model([fl.Dense(CLASSES)], seed=0)
    for call in (model.get_weights, lambda: model.set_weights([]), lambda: model.layers[0].kernel):
        with refuses(RuntimeError, r"build"):
            call()
    model.compile("sgd", "mse")
    with refuses(ValueError, "batch_size"):
        model.fit(data[0], np.eye(CLASSES)[data[1]], batch_size=0)
    assert model.predict(data[0]).shape == (N, CLASSES)  # the first data builds it


@pytest.mark.parametrize(
    "change, exception, match",
    [
        (lambda w: w[:-1], ValueError, "3.*4"),
        (lambda w: [*w[:2], w[2].T, w[3]], ValueError, r"\(3, 4\).*\(4, 3\)"),
        (lambda w: [w[0].astype(str), *w[1:]], TypeError, "dtype"),
        (lambda w: 3, TypeError, "weights"),
    ],
)
def test_bad_weights(change, exception, match):
    model = network()
    weights = change([w + 1 for w in model.get_weights()])
    with unchanged(model), refuses(exception, match):
        model.set_weights(weights)


@pytest.mark.parametrize(
    "n, exception", [(0, ValueError), (-1, ValueError), (2.5, TypeError), ("3", TypeError)]
)
def test_bad_input_widths(n, exception):
    model = fl.Model([fl.Dense(3)], seed=0)
    with refuses(exception, "inputs|n "):
        model.build(n)


def test_building_twice_with_another_width_is_refused():
    model = network()
    model.build(INPUTS)
    with unchanged(model), refuses(ValueError, f"{INPUTS + 1}.*{INPUTS}"):
        model.build(INPUTS + 1)


@pytest.mark.parametrize("loss, last", [("cross_entropy", "relu"), ("binary_cross_entropy", "tanh")])
def test_a_loss_needs_its_activation(loss, last):
    with refuses(ValueError, last):
        network(loss, last)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_binary_targets_must_be_probabilities(value, data):
    model = network("binary_cross_entropy", "sigmoid")
    y = spoiled(np.eye(CLASSES)[data[1]], value)
    with unchanged(model), refuses(ValueError, "y"):
        model.fit(data[0], y)


def test_regression_targets_have_the_width_of_the_output(data):
    model = network("mse", "linear")
    with unchanged(model), refuses(ValueError, r"\(20, 2\).*\(20, 3\)"):
        model.fit(data[0], np.zeros((N, 2)))
    one = fl.Model([fl.Input(INPUTS), fl.Dense(1)], seed=0)
    one.compile("sgd", "mse")
    flat = one.loss_and_gradients(data[0], data[1].astype(float))
    column = one.loss_and_gradients(data[0], data[1][:, None].astype(float))
    assert flat[0] == column[0]
    assert_same_bits(flat[1], column[1])
