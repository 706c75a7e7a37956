"""What every loss promises, driven by the rows of `cases/losses.py`."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fallline as fl
from cases.losses import ARGUMENTS, LOSSES, TORCH
from fallline import _core
from fallline.declaration import known_names
from helpers import assert_same_bits, refuses
from twins import activations, losses
from twins.network import central_differences

every = pytest.mark.parametrize("case", LOSSES, ids=str)
OUTPUTS = 4


def network(case, dtype="float64", reduction="mean", outputs=OUTPUTS):
    layers = [fl.Input(5), fl.Dense(6, activation="tanh"), fl.Dense(outputs, activation=case.activation)]
    model = fl.Model(layers, seed=4, dtype=dtype)
    model.compile(fl.SGD(0.1), case.loss(reduction))
    return model


def row_of_outputs(loss, outputs, activation=None, dtype="float64"):
    """A model that puts out these numbers, before its last activation, for the row [1]."""
    model = fl.Model(
        [fl.Input(1), fl.Dense(len(outputs), activation=activation, use_bias=False)], seed=0, dtype=dtype
    )
    model.compile(fl.SGD(0.0), loss)
    model.set_weights([np.array([outputs])])
    return model


def expected(case, model, x, labels, weight=None, reduction="mean"):
    """Loss and gradient with respect to the last layer's kernel and bias, by the twins."""
    kernel, bias = model.get_weights()[2:]
    hidden = np.tanh(x @ model.get_weights()[0] + model.get_weights()[1])
    output = activations.VALUE[case.activation](hidden @ kernel + bias)
    target = case.dense_targets(labels, output.shape[1])
    value, gradient = losses.reduced(case.twin, output, target, weight, reduction)
    delta = activations.BACKWARD[case.activation](gradient, output)
    return value, hidden.T @ delta, delta.sum(axis=0)


def test_every_loss_has_a_row():
    by_name = {
        name: kind for name, kind in known_names(fl.Loss).items() if kind.__module__.startswith("fallline")
    }
    assert sorted(_core.losses()) == sorted(by_name)
    assert {case.make for case in LOSSES} == {type(loss) for loss, _, _ in TORCH} == set(by_name.values())
    arguments = {(kind, argument) for kind in by_name.values() for argument in kind.arguments}
    assert arguments - {(kind, "reduction") for kind in by_name.values()} == {row[:2] for row in ARGUMENTS}


@pytest.mark.parametrize("make, argument, bad, wrong", ARGUMENTS, ids=lambda v: getattr(v, "__name__", ""))
def test_bad_arguments_are_refused(make, argument, bad, wrong):
    for value in bad:
        with refuses(ValueError, argument):
            make(**{argument: value})
    if wrong is not None:
        with refuses(TypeError, argument):
            make(**{argument: wrong})


@pytest.mark.parametrize("make", known_names(fl.Loss).values(), ids=lambda make: make.__name__)
def test_reduction_is_mean_or_sum(make):
    with refuses(ValueError, "'mean', 'sum'"):
        make(reduction="average")
    with refuses(TypeError, "reduction"):
        make(reduction=2)


@pytest.mark.parametrize("make", known_names(fl.Loss).values(), ids=lambda make: make.__name__)
def test_targets_out_of_range_are_refused(make, rng):
    """And a name stands for the defaults."""
    model = row_of_outputs(make.name, [0.5, 0.5])
    assert repr(model.loss) == f"{make.__name__}()"
    bad = [np.nan, np.inf] if make.target_range is None else [np.nan, np.inf, make.target_range[0] - 0.1]
    for value in bad:
        with refuses(ValueError, "y has values"):
            model.evaluate([[1.0]], [[0.5, value]])


@every
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_value_and_gradient_match_the_twin(case, weighted, reduction, rng):
    model = network(case, reduction=reduction)
    x, labels = rng.normal(size=(13, 5)), case.targets(rng, 13, OUTPUTS)
    weight = rng.uniform(0.5, 2.0, 13) if weighted else None
    value, dkernel, dbias = expected(case, model, x, labels, weight, reduction)
    assert model.evaluate(x, labels, sample_weight=weight)["loss"] == pytest.approx(value, rel=1e-10)
    if not weighted:
        loss, gradients = model.loss_and_gradients(x, labels)
        assert loss == pytest.approx(value, rel=1e-10)
        np.testing.assert_allclose(gradients[2], dkernel, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(gradients[3], dbias, rtol=1e-10, atol=1e-13)
    before = model.get_weights()
    loss = model.train_on_batch(x, labels, weight)
    assert loss == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(model.get_weights()[2], before[2] - 0.1 * dkernel, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(model.get_weights()[3], before[3] - 0.1 * dbias, rtol=1e-10, atol=1e-13)


@every
def test_gradients_match_central_differences(case, rng):
    model = network(case)
    weights = [w + 0.2 for w in model.get_weights()]
    x, labels = rng.normal(size=(6, 5)), case.targets(rng, 6, OUTPUTS)

    def loss():
        model.set_weights(weights)
        return model.evaluate(x, labels)["loss"]

    numerical = central_differences(loss, weights)
    model.set_weights(weights)
    _, gradients = model.loss_and_gradients(x, labels)
    for g, n in zip(gradients, numerical, strict=True):
        np.testing.assert_allclose(g, n, rtol=1e-6, atol=1e-8)


@every
def test_float32_follows_float64(case, rng):
    wide, narrow = network(case), network(case, "float32")
    wide.set_weights([w.astype(np.float64) for w in narrow.get_weights()])
    x, labels = rng.normal(size=(40, 5)).astype(np.float32), case.targets(rng, 40, OUTPUTS)
    loss32, gradients32 = narrow.loss_and_gradients(x, labels)
    loss64, gradients64 = wide.loss_and_gradients(x, labels)
    assert loss32 == pytest.approx(loss64, rel=1e-5)
    for g32, g64 in zip(gradients32, gradients64, strict=True):
        np.testing.assert_allclose(g32, g64, rtol=1e-4, atol=1e-6)


@every
def test_mean_and_sum_differ_by_the_number_of_rows(case, rng):
    x, labels = rng.normal(size=(8, 5)), case.targets(rng, 8, OUTPUTS)
    mean = network(case, reduction="mean").loss_and_gradients(x, labels)
    total = network(case, reduction="sum").loss_and_gradients(x, labels)
    assert total[0] == pytest.approx(8 * mean[0], rel=1e-14)
    for m, s in zip(mean[1], total[1], strict=True):
        np.testing.assert_allclose(s, 8 * m, rtol=1e-12, atol=1e-15)


@every
def test_evaluate_does_not_depend_on_the_batch_size(case, rng):
    model = network(case)
    x, labels = rng.normal(size=(50, 5)), case.targets(rng, 50, OUTPUTS)
    whole = model.evaluate(x, labels)["loss"]
    for size in (1, 7, 50, 1000):
        assert model.evaluate(x, labels, batch_size=size)["loss"] == pytest.approx(whole, rel=1e-13)


OF_CLASSES = [case for case in LOSSES if case.targets.__name__ == "classes"]


@pytest.mark.parametrize("case", OF_CLASSES, ids=str)
def test_integer_and_one_hot_labels_train_to_the_same_bits(case, rng):
    x, labels = rng.normal(size=(60, 5)), rng.integers(0, OUTPUTS, 60)
    models = [network(case, "float32") for _ in range(6)]
    one_hot = np.eye(OUTPUTS)[labels]
    kinds = [labels, labels.astype(np.uint8), labels.astype(np.int32), labels.tolist(), one_hot]
    for model, y in zip(models, [*kinds, one_hot.astype(np.float32)], strict=True):
        model.fit(x, y, batch_size=16, epochs=2)
    for model in models[1:]:
        assert_same_bits(model.get_weights(), models[0].get_weights())


@pytest.mark.parametrize("case", [case for case in OF_CLASSES if case.activation == "softmax"], ids=str)
def test_softmax_then_the_loss_equals_the_loss_from_logits(case, rng):
    x, labels = rng.normal(size=(30, 5)), rng.integers(0, OUTPUTS, 30)
    softmax, logits = network(case), network(dataclasses.replace(case, activation="linear"))
    logits.set_weights(softmax.get_weights())
    for model in (softmax, logits):
        model.fit(x, labels, batch_size=10, epochs=3, shuffle=False)
    for a, b in zip(softmax.get_weights(), logits.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss, targets, by_torch", TORCH, ids=lambda v: getattr(v, "name", ""))
def test_value_and_gradient_match_torch(loss, targets, by_torch, rng):
    torch = pytest.importorskip("torch")
    labels, kernel = targets(rng, 9, OUTPUTS), rng.normal(size=(9, OUTPUTS))
    model = fl.Model([fl.Input(9), fl.Dense(OUTPUTS, use_bias=False)], dtype="float64")
    model.compile("sgd", loss)
    model.set_weights([kernel])
    value, (gradient,) = model.loss_and_gradients(np.eye(9), labels)
    z = torch.tensor(kernel, requires_grad=True)
    expected = by_torch(torch, torch.nn.functional, z, torch.tensor(labels)).mean()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-11, atol=1e-15)


SQUARE = [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]


@pytest.mark.parametrize(
    "loss, y_true, y_pred, value",
    [
        ("huber", *SQUARE, 0.155),
        ("log_cosh", [[0, 1], [0, 0]], [[1, 1], [0, 0]], 0.108),
        ("hinge", *SQUARE, 1.3),
        ("hinge", [[-1, 1], [-1, -1]], SQUARE[1], 1.3),
        ("binary_focal_cross_entropy", [[0, 1], [0, 0]], [[-18.6, 0.51], [2.94, -12.8]], 0.691),
        (fl.BinaryFocalCrossEntropy(alpha=0.25), [[0, 1], [0, 0]], [[-18.6, 0.51], [2.94, -12.8]], 0.51),
        ("kl_divergence", [[0, 1], [1, 0]], np.log(SQUARE[1]), 0.916),
    ],
)
def test_published_examples(loss, y_true, y_pred, value):
    """Of the documentation of Keras, to the digits given there; from logits where it has probabilities."""
    model = fl.Model([fl.Input(2), fl.Dense(2, use_bias=False)], dtype="float64")
    model.compile("sgd", loss)
    model.set_weights([y_pred])
    assert model.evaluate(np.eye(2), y_true)["loss"] == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize(
    "loss, y, gradient",
    [
        (fl.MAE(), [1.0, 2.0, 3.0, 4.0], [0.0, -0.25, -0.25, -0.25]),
        (fl.Quantile(0.9), [1.0, 0.0, 2.0, 1.0], [0.0, 0.025, -0.225, 0.0]),
        (fl.Huber(0.5), [1.0, 1.5, 1.25, 3.0], [0.0, -0.125, -0.0625, -0.125]),
        (fl.Hinge(), [1.0, -1.0, 0.0, 1.0], [0.0, 0.25, 0.25, 0.0]),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_slopes_at_kinks(loss, y, gradient):
    """Predictions of 1: the slope is 0 where the loss has a corner."""
    _, (got,) = row_of_outputs(loss, [1.0] * 4).loss_and_gradients([[1.0]], [y])
    np.testing.assert_allclose(got, [gradient], rtol=1e-14)


HOPELESS = [  # loss, its last activation, y_true of logits 500, -500; value; gradient by the logits
    ("cross_entropy", "softmax", [1], 1000.0, [1.0, -1.0]),
    (fl.CrossEntropy(label_smoothing=0.2), "softmax", [1], 900.0, [0.9, -0.9]),
    ("kl_divergence", "softmax", [1], 1000.0, [1.0, -1.0]),
    *((fl.FocalCrossEntropy(gamma=g), "softmax", [1], 1000.0, [1.0, -1.0]) for g in (0.0, 0.5, 2.0, 5.0)),
    *((fl.FocalCrossEntropy(gamma=g), "softmax", [0], 0.0, [0.0, 0.0]) for g in (0.0, 0.5, 2.0, 5.0)),
    ("binary_cross_entropy", "sigmoid", [[0.0, 1.0]], 500.0, [0.5, -0.5]),
    *(
        (fl.BinaryFocalCrossEntropy(gamma=g), "sigmoid", [[0.0, 1.0]], 500.0, [0.5, -0.5])
        for g in (0.0, 0.5, 2.0)
    ),
    *(
        (fl.BinaryFocalCrossEntropy(gamma=g), "sigmoid", [[1.0, 0.0]], 0.0, [0.0, 0.0])
        for g in (0.0, 0.5, 2.0)
    ),
    ("log_cosh", None, [[0.0, 0.0]], 500 - np.log(2), [0.5, -0.5]),
    ("huber", None, [[0.0, 0.0]], 499.5, [0.5, -0.5]),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss, last, y, expected, gradient", HOPELESS)
def test_hopeless_predictions_keep_a_finite_loss(loss, last, y, expected, gradient, dtype):
    """Probabilities that round to 0 still give the loss and gradient of the logits."""
    for activation in {last, None}:
        model = row_of_outputs(loss, [500.0, -500.0], activation, dtype)
        value, (got,) = model.loss_and_gradients(np.ones((1, 1)), np.array(y))
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-30)
        np.testing.assert_allclose(got, [gradient], rtol=1e-6, atol=1e-30)


def test_focal_loss_without_focus_is_cross_entropy(rng):
    x, logits = np.eye(9), rng.normal(scale=4, size=(9, 3))
    labels = rng.integers(0, 3, 9)
    for focal, plain, y in (
        (fl.FocalCrossEntropy(gamma=0.0), "cross_entropy", labels),
        (fl.BinaryFocalCrossEntropy(gamma=0.0), "binary_cross_entropy", np.eye(3)[labels]),
    ):
        results = []
        for loss in (focal, plain):
            model = fl.Model([fl.Input(9), fl.Dense(3, use_bias=False)], dtype="float64")
            model.compile("sgd", loss)
            model.set_weights([logits])
            results.append(model.loss_and_gradients(x, y))
        assert results[0][0] == pytest.approx(results[1][0], rel=1e-14)
        np.testing.assert_allclose(results[0][1][0], results[1][1][0], rtol=1e-13, atol=1e-16)


def test_divergence_from_itself_is_zero(rng):
    logits = rng.normal(size=5)
    share = np.exp(logits) / np.exp(logits).sum()
    value, (gradient,) = row_of_outputs("kl_divergence", logits).loss_and_gradients([[1.0]], [share])
    assert value == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)


def test_the_best_constant_is_the_quantile(rng):
    """Of 1001 draws, nine tenths below: the prediction ends between the draws on both sides."""
    y = rng.normal(size=1001)
    model = fl.Model([fl.Input(1), fl.Dense(1)], seed=0, dtype="float64")
    model.compile(fl.SGD(lambda step: 2.0 / (1 + step)), fl.Quantile(0.9))
    model.fit(np.zeros((1001, 1)), y, batch_size=1001, epochs=3000)
    assert model.predict([[0.0]])[0, 0] == pytest.approx(np.quantile(y, 0.9), abs=0.02)


def test_accuracy_of_hinge_looks_at_the_sign(rng):
    x = rng.normal(size=(200, 3))
    y = np.where(x[:, 0] > 0.2, 1.0, -1.0)
    for last in (None, "tanh"):
        model = fl.Model([fl.Input(3), fl.Dense(1, activation=last)], seed=0)
        model.compile(fl.Adam(0.05), "hinge", metrics=["accuracy"])
        model.fit(x, y, epochs=20)
        share = (np.sign(model.predict(x)[:, 0]) == y).mean()
        assert model.evaluate(x, y)["accuracy"] == pytest.approx(share)
        assert share > 0.9


def test_balanced_classes_weigh_alike(rng):
    """rows / (classes * rows of the class), of the classes that occur; scikit-learn's definition."""
    labels = np.repeat([0, 2, 3], [60, 30, 10])
    x = rng.normal(size=(100, 5))
    weights = {0: 100 / 180, 2: 100 / 90, 3: 100 / 30}
    case = OF_CLASSES[0]
    models = [network(case) for _ in range(4)]
    sample_weight = np.array([weights[label] for label in labels])
    own = rng.uniform(0.5, 2.0, 100)
    models[0].fit(x, labels, class_weight="balanced", sample_weight=own)
    models[1].fit(x, labels, class_weight=weights, sample_weight=own)
    models[2].fit(x, np.eye(OUTPUTS)[labels], class_weight="balanced", sample_weight=own)
    models[3].fit(x, labels, sample_weight=own * sample_weight)
    for model in models[1:]:
        assert_same_bits(model.get_weights(), models[0].get_weights())
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    np.testing.assert_allclose(
        compute("balanced", classes=np.array([0, 2, 3]), y=labels), list(weights.values())
    )


def test_balanced_weights_of_one_output(rng):
    x, y = rng.normal(size=(20, 3)), np.repeat([0.0, 1.0], [15, 5])
    models = []
    for weights in ("balanced", {0: 20 / 30, 1: 20 / 10}):
        model = fl.Model([fl.Input(3), fl.Dense(1, activation="sigmoid")], seed=0)
        model.compile("sgd", "binary_cross_entropy")
        model.fit(x, y, class_weight=weights)
        models.append(model)
    assert_same_bits(models[0].get_weights(), models[1].get_weights())


@every
def test_weight_zero_removes_a_row_and_doubling_all_changes_nothing(case, rng):
    x, labels = rng.normal(size=(9, 5)), case.targets(rng, 9, OUTPUTS)
    weight = rng.uniform(0.5, 2.0, 9)
    weight[4] = 0.0
    kept = np.arange(9) != 4
    model = network(case)
    full = model.evaluate(x, labels, sample_weight=weight)["loss"]
    assert model.evaluate(x[kept], labels[kept], sample_weight=weight[kept])["loss"] == pytest.approx(full)
    assert model.evaluate(x, labels, sample_weight=2 * weight)["loss"] == pytest.approx(full)
