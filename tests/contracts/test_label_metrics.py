"""Several outputs that are labels of their own: every metric counts labels, as scikit-learn does."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

import fallline as fl
from cases.targets import CLASSES, REGRESSIONS
from fallline import metrics
from fallline.metrics import F1, Accuracy, HammingLoss, Precision, Recall, SubsetAccuracy
from helpers import refuses, unchanged

sk = pytest.importorskip("sklearn.metrics")
N, K = 150, 5
NAMES = ["accuracy", "precision", "recall", "f1", "subset_accuracy", "hamming_loss"]


def peers(y, guess, weight=None):
    """What scikit-learn says of labels and guesses (n, k) of zeros and ones."""
    y, guess = y.astype(int), guess.astype(int)
    shares = {"average": "macro", "zero_division": 0, "sample_weight": weight}
    return {
        "accuracy": np.average((y == guess).mean(axis=1), weights=weight),
        "precision": sk.precision_score(y, guess, **shares),
        "recall": sk.recall_score(y, guess, **shares),
        "f1": sk.f1_score(y, guess, **shares),
        "subset_accuracy": sk.accuracy_score(y, guess, sample_weight=weight),
        "hamming_loss": sk.hamming_loss(y, guess, sample_weight=weight),
    }


@pytest.fixture
def rows(rng):
    x = rng.normal(size=(N, 4))
    return x, (x @ rng.normal(size=(4, K)) + 0.3 > 0).astype(float)


def network(last="sigmoid", loss="binary_cross_entropy", measured=(), dtype="float64", outputs=K):
    model = fl.Model([fl.Dense(outputs, last)], seed=0, dtype=dtype)
    model.compile(fl.SGD(0.0), loss, metrics=measured)
    model.build(4)
    return model


OF_LABELS = {
    "sigmoid": ("sigmoid", "binary_cross_entropy", 0.5),
    "logits": (None, "binary_cross_entropy", 0.0),
    "focal logits": (None, "binary_focal_cross_entropy", 0.0),
    "sigmoid and squares": ("sigmoid", "mse", 0.5),
    "margins": ("tanh", "hinge", 0.0),
    "numbers": (None, "mse", 0.5),
}


@pytest.mark.parametrize("kind", OF_LABELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_metrics_count_labels(kind, dtype, rows, rng):
    """By name and as objects; of arrays, streams and held-out rows; before the weights, and with them."""
    (x, y), (last, loss, cut), own = rows, OF_LABELS[kind], rng.uniform(0.2, 2, N)
    made = [Accuracy, Precision, Recall, F1, SubsetAccuracy, HammingLoss]
    for measured in (NAMES, [metric(threshold=cut) for metric in made]):
        model = network(last, loss, measured, dtype)
        for weight in (None, own):
            labels = 2 * y - 1 if loss == "hinge" else y
            expected = pytest.approx(peers(y, model.predict(x) > cut, weight), rel=1e-6)
            data = (x, labels) if weight is None else (x, labels, weight)
            batches = [tuple(a[i : i + 40] for a in data) for i in range(0, N, 40)]
            found = [
                model.evaluate(x, labels, sample_weight=weight),
                model.evaluate(batches),
                last_line(model.fit(x, labels, sample_weight=weight, validation_data=data)),
                last_line(model.fit(x, labels, sample_weight=weight, validation_data=batches), "val_"),
                last_line(model.fit(batches)),
            ]
            for scores in found:
                assert {name: scores[name] for name in NAMES} == expected


def last_line(history, prefix=""):
    return {k.removeprefix(prefix): v[-1] for k, v in history.history.items() if k.startswith(prefix)}


def test_rows_that_have_one_label_each_are_labels_after_a_sigmoid(rows):
    """What is measured follows from the model, not from the rows that happen to be there."""
    x, _ = rows
    y = np.eye(K)[np.arange(N) % K]
    model = network(measured=["accuracy", "f1"])
    guess = model.predict(x) > 0.5
    expected = peers(y, guess)
    assert model.evaluate(x, y) | {"loss": 0} == pytest.approx(
        {"loss": 0, "accuracy": expected["accuracy"], "f1": expected["f1"]}
    )
    model.compile("sgd", "mse", [Accuracy(labels=False)])
    right = model.predict(x).argmax(axis=1) == y.argmax(axis=1)
    assert model.evaluate(x, y)["accuracy"] == pytest.approx(right.mean())


def test_classes_stay_classes(rows, rng):
    """After a softmax, for integer classes, and of one output, which is yes or no."""
    x, c = rows[0], rng.integers(0, K, N)
    for last, loss in (
        ("softmax", "cross_entropy"),
        (None, "cross_entropy"),
        ("softmax", "mse"),
        (None, "mse"),
    ):
        model = network(last, loss, ["accuracy", "f1"])
        guess = model.predict(x).argmax(axis=1)
        for y in (c, np.eye(K)[c]) if "cross" in loss else (np.eye(K)[c],):
            scores = model.evaluate(x, y)
            assert scores["accuracy"] == pytest.approx((guess == c).mean())
            assert scores["f1"] == pytest.approx(sk.f1_score(c, guess, average="macro"))
    own = fl.FunctionLoss(lambda y, p: (((p - np.eye(K)[y]) ** 2).mean(axis=1), p), classes=True)
    model = network("sigmoid", own, ["accuracy"])
    assert model.evaluate(x, c)["accuracy"] == pytest.approx((model.predict(x).argmax(axis=1) == c).mean())
    single = network(measured=["f1", "accuracy"], outputs=1)
    guess = single.predict(x)[:, 0] > 0.5
    assert single.evaluate(x, c > 1)["f1"] == pytest.approx(sk.f1_score(c > 1, guess))


SHARES = {Precision: "precision_score", Recall: "recall_score", F1: "f1_score"}


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
@pytest.mark.parametrize("share", SHARES, ids=lambda share: share.name)
@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_averages_over_labels(share, average, threshold, rows, rng):
    (x, y), own = rows, rng.uniform(0.2, 2, N)
    p, function = network().predict(x), getattr(sk, SHARES[share])
    metric = share(average=average, threshold=threshold)
    for weight in (None, own):
        expected = function(y, p > threshold, average=average, sample_weight=weight)
        for labels in (y, 2 * y - 1, y.astype(np.uint8), y > 0.5):
            np.testing.assert_allclose(metric(labels, p, weight), expected, rtol=1e-12)
    scores = network(measured=[metric]).evaluate(x, y)
    names = [share.name] if average else [f"{share.name}_{i}" for i in range(K)]
    expected = np.ravel(function(y, p > threshold, average=average)).tolist()
    assert scores == pytest.approx({"loss": scores["loss"]} | dict(zip(names, expected, strict=True)))
    assert {type(value) for value in scores.values()} == {float}


def test_each_class_has_its_share_too(rows, rng):
    x, c = rows[0], rng.integers(0, K, N)
    model = network("softmax", "cross_entropy", [F1(average=None)])
    guess = model.predict(x).argmax(axis=1)
    expected = sk.f1_score(c, guess, average=None)
    assert list(model.evaluate(x, c).values())[1:] == pytest.approx(expected.tolist())
    single = network(measured=[Recall(average=None)], outputs=1)
    found = single.evaluate(x, c > 1)
    expected = sk.recall_score(c > 1, single.predict(x)[:, 0] > 0.5, average=None)
    assert [found["recall_0"], found["recall_1"]] == pytest.approx(expected.tolist())
    assert F1(average=None, zero_division=math.nan)(np.zeros(3), np.zeros((3, 1))).tolist() == pytest.approx(
        [1.0, math.nan], nan_ok=True
    )


def test_a_label_can_be_watched(rows, tmp_path):
    """Values of single labels are numbers in every log, and known to grow."""
    x, y = rows
    model = fl.Model([fl.Dense(K, "sigmoid")], seed=0)
    model.compile(fl.Adam(0.05), "binary_cross_entropy", [F1(average=None)])
    stopping = fl.EarlyStopping("val_f1_2", patience=1)
    path = tmp_path / "log.csv"
    history = model.fit(
        x, y, epochs=40, validation_split=0.3, callbacks=[stopping, fl.CSVLogger(path)]
    ).history
    assert stopping.best == max(history["val_f1_2"]) > min(history["val_f1_2"])
    logged = list(csv.DictReader(path.read_text().splitlines()))
    assert [float(line["f1_4"]) for line in logged] == pytest.approx(history["f1_4"])
    assert "more epochs" in fl.diagnose(model.fit(x, y), 2.0, monitor="f1_0").suggestions[0]
    with refuses(ValueError, "monitor"):
        model.fit(x, y, validation_split=0.3, callbacks=[fl.EarlyStopping("val_f1_5")])


def test_two_labels_are_not_two_classes(rows):
    (x, y), model = rows, network(outputs=2)
    guess = model.predict(x) > 0.5
    model.compile("sgd", "binary_cross_entropy", ["f1"])
    assert model.evaluate(x, y[:, :2])["f1"] == pytest.approx(peers(y[:, :2], guess)["f1"])
    with unchanged(model), refuses(ValueError, "'binary' in 'f1' of 2 labels"):
        model.compile("sgd", "binary_cross_entropy", [F1(average="binary")])
    later = fl.Model([fl.Dense(2, "sigmoid")], seed=0)
    later.compile("sgd", "binary_cross_entropy", [F1(average="binary")])
    with refuses(ValueError, "'binary' in 'f1' of 2 labels"):
        later.fit(x, y[:, :2])


def test_top_k_takes_any_label_of_a_row():
    p = np.array([[0.1, 0.5, 0.4], [0.1, 0.5, 0.4], [0.6, 0.3, 0.1], [0.6, 0.3, 0.1]])
    y = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert metrics.TopK(1)(y, p) == 0.25
    assert metrics.TopK(2)(y, p) == 0.5


def test_a_model_keeps_what_its_metrics_count(rows, tmp_path):
    x, y = rows
    made = [F1(average="micro"), Accuracy(labels=False), SubsetAccuracy(threshold=0.4), Recall(average=None)]
    model = network(measured=made)
    model.save(tmp_path / "m.safetensors")
    other = fl.load_model(tmp_path / "m.safetensors")
    assert repr(other.metrics) == repr(model.metrics) == repr(tuple(made))
    assert other.evaluate(x, y) == model.evaluate(x, y)


def test_confusion_of_labels(rows, rng):
    (x, y), own = rows, rng.uniform(0.2, 2, N)
    p = network().predict(x)
    expected = sk.multilabel_confusion_matrix(y, p > 0.4)
    found = fl.confusion_matrix(y, p, threshold=0.4)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.kind == "i"
    np.testing.assert_array_equal(fl.confusion_matrix(2 * y - 1, (p > 0.4) + 0), expected)
    np.testing.assert_allclose(
        fl.confusion_matrix(y, p, sample_weight=own, threshold=0.4),
        sk.multilabel_confusion_matrix(y, p > 0.4, sample_weight=own),
    )
    one_hot = np.eye(K)[np.arange(N) % K]
    assert fl.confusion_matrix(one_hot, p).shape == (K, K)
    assert fl.confusion_matrix(y, p, labels=False).shape == (K, K)
    np.testing.assert_array_equal(
        fl.confusion_matrix(one_hot, p, labels=True), sk.multilabel_confusion_matrix(one_hot, p > 0.5)
    )
    for guesses in (p[:, :3], p.argmax(axis=1)):
        with refuses(ValueError, r"y_pred has shape .*expected \(150, 5\), as the labels"):
            fl.confusion_matrix(y, guesses)
    with refuses(TypeError, "labels"):
        fl.confusion_matrix(y, p, labels="yes")


OF_CLASSES = ["accuracy", "precision", "recall", "f1", "auc", "subset_accuracy", "hamming_loss"]


@pytest.mark.parametrize("problem", REGRESSIONS)
@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_regression_has_no_metrics_of_classes(problem, name, rows, rng):
    x, (outputs, last, loss, labels) = rows[0], REGRESSIONS[problem]
    c = np.arange(N) % 2
    y, classes = labels(c, rng.normal(size=N)), np.eye(2)[c] if outputs > 1 else c
    model = network(last, loss, [name, "r2"], outputs=outputs)
    batches = [(x[:50], classes[:50]), (x[50:], y[50:])]
    for call in (
        lambda: model.fit(x, y),
        lambda: model.fit([(x, y)]),
        lambda: model.fit(x, classes, validation_data=(x, y)),
        lambda: model.fit(x, classes, validation_data=[(x, y)]),
        lambda: model.evaluate(x, y),
        lambda: model.evaluate(batches),
    ):
        with unchanged(model), refuses(ValueError, f"metrics are .*{name}.*of classes, beside loss"):
            call()
    with refuses(ValueError, r"Model.fit\(X\[1\]\): metrics are"):
        model.fit(batches)


@pytest.mark.parametrize("problem", CLASSES)
def test_classes_are_measured_whatever_the_loss(problem, rows, rng):
    x, (outputs, last, loss, labels) = rows[0], CLASSES[problem]
    c = np.arange(N) % 2
    model = network(last, loss, ["accuracy", "auc"], outputs=outputs)
    p = model.predict(x)
    guess = p.argmax(axis=1) if outputs > 1 else p[:, 0] > (0 if loss in ("hinge", "poisson") else 0.5)
    history = model.fit(x, labels(c, rng.normal(size=N))).history
    assert history["accuracy"] == pytest.approx([(guess == c).mean()])
