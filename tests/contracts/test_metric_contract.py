"""What every metric promises, driven by the rows of `cases/metrics.py`."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle

import numpy as np
import pytest

import fallline as fl
from cases.metrics import METRICS, PROBLEMS, VARIANTS, label
from fallline import metrics
from fallline.declaration import decode, encode, known_names
from helpers import assert_same_model, refuses, unchanged

every = pytest.mark.parametrize("case", METRICS, ids=label)
variants = pytest.mark.parametrize("case, options, problem", VARIANTS, ids=label)
NAN = float("nan")


def test_every_metric_has_a_row():
    public = {v for v in vars(metrics).values() if inspect.isclass(v) and issubclass(v, metrics.Metric)}
    assert public - {metrics.Metric, metrics.FunctionMetric} == {case.make for case in METRICS}
    shipped = {v.name: v for v in known_names(fl.Metric).values() if v.__module__.startswith("fallline.")}
    assert shipped == {case.name: case.make for case in METRICS}
    functions = {"confusion_matrix"}
    assert sorted(metrics.__all__) == sorted({c.__name__ for c in public} | functions)


@every
def test_every_argument_has_a_bad_row(case):
    arguments = (
        set() if case.make.__init__ is object.__init__ else set(inspect.signature(case.make).parameters)
    )
    assert arguments == {name for bad, _, _ in case.bad for name in bad}


@pytest.mark.parametrize(
    "case, options, exception, match", [(c, *row) for c in METRICS for row in c.bad], ids=label
)
def test_bad_arguments_are_refused(case, options, exception, match):
    with refuses(exception, match):
        case.make(**options)


@every
def test_value_computed_by_hand(case):
    y, p, value = case.number
    assert case.make()(np.array(y), np.array(p, dtype=float)) == pytest.approx(value, rel=1e-14)


def weighted(rng, n):
    return [np.ones(n), rng.integers(1, 4, n).astype(np.float64), rng.uniform(0.1, 2.0, n)]


@variants
def test_values_match_the_twin_and_scikit_learn(case, options, problem, rng):
    y, p = PROBLEMS[problem](rng, 60)
    metric = case.make(**options)
    try:
        import sklearn.metrics as peer
    except ImportError:
        peer = None  # the twin is there always
    for weights in weighted(rng, 60):
        value = metric(y, p, weights)
        assert type(value) is float
        expected = case.twin(y.tolist(), p.tolist(), weights.tolist(), **options)
        assert value == pytest.approx(expected, rel=1e-12, abs=1e-14)
        if peer is not None:
            assert value == pytest.approx(case.sklearn(peer, y, p, weights, **options), rel=1e-9, abs=1e-12)
    assert metric(y, p) == pytest.approx(metric(y, p, np.ones(60)), rel=1e-13)


@variants
def test_no_weight_is_no_row(case, options, problem, rng):
    y, p = PROBLEMS[problem](rng, 60)
    metric, weights = case.make(**options), rng.uniform(0.1, 2.0, 60)
    weights[::3] = 0.0
    kept = weights > 0
    assert metric(y, p, weights) == pytest.approx(metric(y[kept], p[kept], weights[kept]), rel=1e-12)
    assert metric(y, p, 7 * weights) == pytest.approx(metric(y, p, weights), rel=1e-12)


@variants
def test_float32_and_the_order_of_rows_change_nothing(case, options, problem, rng):
    y, p = PROBLEMS[problem](rng, 60)
    metric, order = case.make(**options), rng.permutation(60)
    value = metric(y, p)
    assert metric(y[order], p[order]) == pytest.approx(value, rel=1e-12)
    narrow = metric(y if y.ndim == 1 else y.astype(np.float32), p.astype(np.float32))
    assert narrow == pytest.approx(value, rel=1e-5)


def fixed(p, loss="mse", measured=(), activation=None):
    """A model that puts out the rows of p, of the activation, for the rows of the unit matrix."""
    n, k = p.shape
    model = fl.Model([fl.Input(n), fl.Dense(k, activation, use_bias=False)], seed=0, dtype="float64")
    model.set_weights([p])
    model.compile(fl.SGD(0.0), loss, metrics=measured)
    return model, np.eye(n)


@variants
def test_fit_and_evaluate_measure_all_rows_of_an_epoch(case, options, problem, rng):
    """Whatever the batches, and with weights."""
    y, p = PROBLEMS[problem](rng, 45)
    labels = y if y.ndim == 2 else np.eye(p.shape[1])[y]
    model, x = fixed(p, measured=[case.make(**options)])
    for weights in (None, rng.uniform(0.1, 2.0, 45)):
        value = pytest.approx(case.make(**options)(y, p, weights), rel=1e-12, abs=1e-14)
        assert model.evaluate(x, labels, sample_weight=weights)[case.name] == value
        assert model.evaluate(x, labels, sample_weight=weights, batch_size=7)[case.name] == value
        held_out = (x, labels) if weights is None else (x, labels, weights)
        history = model.fit(
            x, labels, batch_size=8, epochs=2, sample_weight=weights, validation_data=held_out
        ).history
        assert history[case.name] == [value] * 2
        assert history[f"val_{case.name}"] == [value] * 2


@every
@pytest.mark.parametrize("how", ["file", "pickle", "deepcopy"])
def test_a_metric_travels(case, how):
    for options in case.variants:
        metric = case.make(**options)
        if how == "file":
            other = decode(json.loads(json.dumps(encode(metric))))
        else:
            other = pickle.loads(pickle.dumps(metric)) if how == "pickle" else copy.deepcopy(metric)
        assert type(other) is case.make
        assert repr(other.get_config()) == repr(metric.get_config())
        assert repr(other) == repr(metric)


@pytest.mark.parametrize("how", ["file", "pickle"])
def test_a_model_keeps_its_metrics(how, tmp_path, rng):
    y, p = PROBLEMS["seven"](rng, 40)
    shipped = {case.name: case.make(**case.variants[-1]) for case in METRICS}
    model, x = fixed(p, "cross_entropy", shipped.values())
    if how == "file":
        model.save(tmp_path / "m.safetensors")
        other = fl.load_model(tmp_path / "m.safetensors")
    else:
        other = pickle.loads(pickle.dumps(model))
    assert repr(other.metrics) == repr(model.metrics)
    assert other.evaluate(x, y) == model.evaluate(x, y)
    assert_same_model(other, model)


BINARY = ["accuracy", "precision", "recall", "f1", "auc"]


def test_names_follow_one_logit(rng):
    """What the loss takes for p > 0.5 is a logit > 0."""
    y, z = rng.integers(0, 2, 50), np.round(4 * rng.normal(size=(50, 1))) / 4 + 0.1
    p = 1 / (1 + np.exp(-z))
    model, x = fixed(z, "binary_cross_entropy", BINARY)
    scores = model.evaluate(x, y)
    assert {name: scores[name] for name in BINARY} == pytest.approx(
        {name: known_names(fl.Metric)[name]()(y, p) for name in BINARY}, rel=1e-13
    )
    cut = metrics.Precision()(y, z)
    assert cut != scores["precision"], "an object cuts where it says"
    model.compile("sgd", "binary_cross_entropy", [metrics.Precision()])
    assert model.evaluate(x, y)["precision"] == cut


@pytest.mark.parametrize("activation", [None, "tanh"])
def test_names_follow_the_sign_of_a_margin(activation, rng):
    """Hinge loss, whose labels may be −1 and 1, and which asks for no activation."""
    y, z = rng.choice([-1.0, 1.0], 50), rng.normal(size=(50, 1))
    model, x = fixed(z, "hinge", BINARY, activation)
    scores, guesses = model.evaluate(x, y), (z > 0).astype(float)
    for name in BINARY[:-1]:
        assert scores[name] == pytest.approx(known_names(fl.Metric)[name]()(y > 0, guesses), rel=1e-13)
    assert scores["auc"] == pytest.approx(metrics.AUC()(y > 0, z), rel=1e-13)


LOSSES = [v for v in known_names(fl.Loss).values() if v.__module__.startswith("fallline.")]


@pytest.mark.parametrize(
    "loss, activation",
    [(loss, last) for loss in LOSSES for last in loss.activations or (None,)],
    ids=lambda v: getattr(v, "name", v),
)
def test_names_go_with_every_loss(loss, activation, rng):
    x, names = rng.normal(size=(30, 3)), {case.name for case in METRICS}
    for outputs in (6,) if loss.takes_classes else (1, 6):
        y = rng.integers(0, 2, (30, outputs)).astype(float)
        model = fl.Model([fl.Input(3), fl.Dense(outputs, activation)], seed=0)
        model.compile("sgd", loss(), sorted(names - {"top_k"} if outputs == 1 else names))
        assert all(map(math.isfinite, model.evaluate(x, y).values()))


def test_names_follow_the_logits_of_classes(rng):
    y, z = rng.integers(0, 5, 50), rng.normal(size=(50, 5)) + 3 * rng.normal(size=(50, 1))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    names = ["accuracy", "precision", "recall", "f1", "auc"]
    model, x = fixed(z, "cross_entropy", names)
    scores = model.evaluate(x, y)
    for name in names:
        assert scores[name] == pytest.approx(known_names(fl.Metric)[name]()(y, p), rel=1e-12)
    assert scores["auc"] != pytest.approx(metrics.AUC()(y, z), rel=1e-3)


def test_names_follow_the_logits_of_independent_outputs(rng):
    """A sigmoid changes no order, and a softmax would: each output is a question of its own."""
    y, z = rng.integers(0, 2, (50, 3)).astype(float), rng.normal(size=(50, 3)) + rng.normal(size=(50, 1))
    model, x = fixed(z, "binary_cross_entropy", ["auc"])
    columns = [metrics.AUC()(y[:, i], z[:, i : i + 1]) for i in range(3)]
    assert model.evaluate(x, y)["auc"] == pytest.approx(np.mean(columns), rel=1e-13)


def test_the_first_of_equal_outputs_is_the_class(rng):
    y, p = rng.integers(0, 4, 200), rng.integers(0, 2, (200, 4)).astype(float)
    assert metrics.TopK(1)(y, p) == metrics.Accuracy()(y, p)
    assert metrics.TopK(2)(np.array([0, 1, 2, 3]), np.zeros((4, 4))) == 0.5


ONE = np.array([[0.2], [0.3], [0.1]])
THREE = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1]])

# (metric, labels, outputs, value): nothing to divide by, classes that do not occur
DEGENERATE = {
    "auc without positives": (metrics.AUC(), [0, 0, 0], ONE, NAN),
    "auc without negatives": (metrics.AUC(), [1, 1, 1], ONE, NAN),
    "auc of one class of three": (metrics.AUC(), [1, 1, 1], THREE, NAN),
    "auc of two classes of three": (metrics.AUC(), [0, 0, 1], THREE, 1.0),
    "auc of equal outputs": (metrics.AUC(), [0, 1, 0], np.ones((3, 1)), 0.5),
    "precision of nothing": (metrics.Precision(), [0, 1, 0], ONE, 0.0),
    "precision of nothing, chosen": (metrics.Precision(zero_division=1.0), [0, 1, 0], ONE, 1.0),
    "precision of nothing, nan": (metrics.Precision(zero_division=NAN), [0, 1, 0], ONE, NAN),
    "recall of nothing": (metrics.Recall(), [0, 0, 0], ONE, 0.0),
    "recall of nothing, chosen": (metrics.Recall(zero_division=1.0), [0, 0, 0], ONE, 1.0),
    "f1 of nothing": (metrics.F1(), [0, 0, 0], ONE, 0.0),
    "f1 of nothing, chosen": (metrics.F1(zero_division=NAN), [0, 0, 0], ONE, NAN),
    "classes that are nowhere are left out": (metrics.Recall(), [0, 0, 1], THREE, 1.0),
    "classes only predicted count": (metrics.Recall(), [0, 0, 0], THREE, (2 / 3 + 0) / 2),
    "unless they are to be left out": (metrics.Recall("macro", zero_division=NAN), [0, 0, 0], THREE, 2 / 3),
    "r2 of a constant": (metrics.R2(), [[0.1], [0.1], [0.1]], ONE, 0.0),
    "r2 of a constant that is met": (metrics.R2(), [[0.1], [0.1]], np.full((2, 1), 0.1), 1.0),
    "r2 of one row": (metrics.R2(), [[0.1]], np.array([[0.2]]), 0.0),
    "r2 worse than the mean": (metrics.R2(), [[0.0], [1.0]], np.array([[1.0], [0.0]]), -3.0),
}


@pytest.mark.parametrize("row", DEGENERATE)
def test_where_there_is_nothing_to_divide_by(row):
    metric, y, p, value = DEGENERATE[row]
    assert metric(np.array(y), p) == pytest.approx(value, nan_ok=True)


def test_a_fit_goes_on_without_a_value(rng):
    x, names = rng.normal(size=(30, 3)), [*BINARY, "r2", "rmse", "mae", "mse"]
    model = fl.Model([fl.Input(3), fl.Dense(1, activation="sigmoid")], seed=0)
    model.compile("adam", "binary_cross_entropy", names)
    history = model.fit(x, np.zeros(30), epochs=2, verbose=2).history
    assert math.isnan(history["auc"][-1])
    assert all(math.isfinite(history[name][-1]) for name in names if name != "auc")


@every
def test_weights_that_are_all_zero_are_no_crash(case, rng):
    """fit() may find them after an epoch that an earlier call began."""
    y, p = PROBLEMS[case.problems[0]](rng, 10)
    value = case.make()(y, p, np.zeros(10))
    assert math.isnan(value) or value == 0.0


@pytest.mark.parametrize(
    "metric, outputs, match",
    [
        ("top_k", 4, "top_k.*4 outputs"),
        (metrics.TopK(4), 4, "k=4"),
        ("top_k", 1, "1 output;"),
        (metrics.Precision("binary"), 3, "macro"),
        (metrics.F1("binary"), 7, "7 outputs"),
    ],
    ids=str,
)
def test_metrics_that_do_not_go_with_the_outputs_are_refused_before_training(metric, outputs, match, rng):
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, outputs))
    built = fl.Model([fl.Input(3), fl.Dense(outputs)], seed=0)
    with unchanged(built), refuses(ValueError, match):
        built.compile("sgd", "mse", [metric])
    later = fl.Model([fl.Dense(outputs)], seed=0)
    later.compile("sgd", "mse", [metric])
    with refuses(ValueError, match):
        later.fit(x, y)
    assert later.inputs is None


def test_a_metric_may_be_a_function(rng):
    y, p = PROBLEMS["numbers"](rng, 6)

    def largest(y_true, y_pred):
        return np.abs(y_true - y_pred).max()

    def heaviest(y_true, y_pred, sample_weight=None):
        return sample_weight.max()

    model, x = fixed(p, measured=[largest])
    assert model.evaluate(x, y)["largest"] == pytest.approx(np.abs(y - p).max())
    model.compile("sgd", "mse", metrics=[largest, heaviest])
    assert model.evaluate(x, y, sample_weight=np.arange(6.0))["heaviest"] == 5.0


# Ten rows, three of them of class 1, and the probabilities of three models
TRUE = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
MODELS = {
    # probabilities, then cross-entropy, accuracy, precision, recall by hand
    "never sure": ([0.45] * 3 + [0.1] * 7, 0.313305, 0.7, 0.0, 0.0),
    "often right, once far off": ([0.9, 0.9, 0.001] + [0.1] * 6 + [0.9], 1.005323, 0.8, 2 / 3, 2 / 3),
    "always yes": ([0.6] * 10, 0.794651, 0.3, 0.3, 1.0),
}


def test_metrics_and_cost_choose_different_models():
    """The smallest cost, the largest accuracy and the largest recall belong to three models."""
    names, scores = ["accuracy", "precision", "recall"], {}
    for name, (probabilities, *expected) in MODELS.items():
        p = np.array(probabilities)[:, None]
        model, x = fixed(np.log(p / (1 - p)), "binary_cross_entropy", names)
        scores[name] = model.evaluate(x, TRUE)
        assert [scores[name][key] for key in ("loss", *names)] == pytest.approx(expected, abs=1e-6)
    assert min(scores, key=lambda name: scores[name]["loss"]) == "never sure"
    assert max(scores, key=lambda name: scores[name]["accuracy"]) == "often right, once far off"
    assert max(scores, key=lambda name: scores[name]["recall"]) == "always yes"


def by_loops(true, predicted, classes, weights):
    table = np.zeros((classes, classes))
    for y, g, w in zip(true, predicted, weights, strict=True):
        table[y, g] += w
    return table


def test_confusion_matrix(rng):
    y, p = rng.integers(0, 4, 90), rng.normal(size=(90, 4))
    weights = rng.uniform(size=90)
    plain = by_loops(y, p.argmax(axis=1), 4, np.ones(90))
    for labels in (y, y.tolist(), y.astype(float), y[:, None], np.eye(4)[y]):
        for guesses in (p, p.tolist(), p.argmax(axis=1), p.argmax(axis=1).astype(float)):
            table = fl.confusion_matrix(labels, guesses)
            assert table.dtype.kind == "i"
            np.testing.assert_array_equal(table, plain)
    summed = by_loops(y, p.argmax(axis=1), 4, weights)
    np.testing.assert_allclose(fl.confusion_matrix(y, p, sample_weight=weights), summed, rtol=1e-13)
    sklearn = pytest.importorskip("sklearn.metrics")
    np.testing.assert_array_equal(plain, sklearn.confusion_matrix(y, p.argmax(axis=1)))


def test_confusion_matrix_of_a_single_output(rng):
    y, p = rng.integers(0, 2, 40), rng.uniform(size=(40, 1))
    for threshold in (0.5, 0.8):
        expected = by_loops(y, (p[:, 0] > threshold).astype(int), 2, np.ones(40))
        np.testing.assert_array_equal(fl.confusion_matrix(y, p, threshold=threshold), expected)
    np.testing.assert_array_equal(fl.confusion_matrix(np.zeros(3), np.zeros((3, 1))), [[3, 0], [0, 0]])


def test_confusion_matrix_keeps_classes_that_do_not_occur():
    assert fl.confusion_matrix([0, 0], np.eye(5)[:2]).shape == (5, 5)
    assert fl.confusion_matrix([0, 3], [0, 1]).shape == (4, 4)


@pytest.mark.parametrize(
    "arguments, exception, match",
    [
        (([0, 1], [0, 1, 1]), ValueError, "y_pred has 3 rows; expected 2"),
        (([0, 1], [0.2, 0.7]), ValueError, r"y_pred.*\(n, 1\)"),
        (([0, -1], [0, 1]), ValueError, "y_true"),
        (([0.5, 1], [0, 1]), ValueError, "y_true"),
        ((["a", "b"], [0, 1]), TypeError, "y_true"),
        (([0, 1], np.zeros((2, 2, 2))), ValueError, r"\(2, 2, 2\)"),
        (([0, 1], [0, 1], [1.0]), ValueError, r"sample_weight has shape \(1,\); expected \(2,\)"),
        (([0, 1], [0, 1], None, "half"), TypeError, "threshold"),
    ],
    ids=str,
)
def test_confusion_matrix_refuses(arguments, exception, match):
    options = dict(zip(("sample_weight", "threshold"), arguments[2:], strict=False))
    with refuses(exception, match):
        fl.confusion_matrix(*arguments[:2], **options)
