"""What every loss promises, driven by the rows of `cases/losses.py`."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from cases.losses import LOSSES
from fallline import _core
from helpers import assert_same_bits
from twins import activations, losses
from twins.network import central_differences

every = pytest.mark.parametrize("case", LOSSES, ids=str)
CLASSES = {"mse": fl.MSE, "cross_entropy": fl.CrossEntropy, "binary_cross_entropy": fl.BinaryCrossEntropy}
OUTPUTS = 4


def network(case, dtype="float64", loss=None, outputs=OUTPUTS):
    layers = [fl.Input(5), fl.Dense(6, activation="tanh"), fl.Dense(outputs, activation=case.activation)]
    model = fl.Model(layers, seed=4, dtype=dtype)
    model.compile(fl.SGD(0.1), loss or case.name)
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


def test_every_loss_of_the_core_has_a_row():
    assert sorted(_core.losses()) == sorted({case.name for case in LOSSES}) == sorted(CLASSES)


@every
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_value_and_gradient_match_the_twin(case, weighted, reduction, rng):
    model = network(case, loss=CLASSES[case.name](reduction=reduction))
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
    mean = network(case, loss=CLASSES[case.name](reduction="mean")).loss_and_gradients(x, labels)
    total = network(case, loss=CLASSES[case.name](reduction="sum")).loss_and_gradients(x, labels)
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


@pytest.mark.parametrize("last", ["softmax", "linear"])
def test_integer_and_one_hot_labels_train_to_the_same_bits(last, rng):
    x, labels = rng.normal(size=(60, 5)), rng.integers(0, OUTPUTS, 60)
    case = next(c for c in LOSSES if (c.name, c.activation) == ("cross_entropy", last))
    models = [network(case, "float32") for _ in range(6)]
    one_hot = np.eye(OUTPUTS)[labels]
    kinds = [labels, labels.astype(np.uint8), labels.astype(np.int32), labels.tolist(), one_hot]
    for model, y in zip(models, [*kinds, one_hot.astype(np.float32)], strict=True):
        model.fit(x, y, batch_size=16, epochs=2)
    for model in models[1:]:
        assert_same_bits(model.get_weights(), models[0].get_weights())


def test_softmax_then_cross_entropy_equals_cross_entropy_from_logits(rng):
    x, labels = rng.normal(size=(30, 5)), rng.integers(0, OUTPUTS, 30)
    softmax, logits = (
        network(next(c for c in LOSSES if (c.name, c.activation) == ("cross_entropy", last)))
        for last in ("softmax", "linear")
    )
    logits.set_weights(softmax.get_weights())
    for model in (softmax, logits):
        model.fit(x, labels, batch_size=10, epochs=3, shuffle=False)
    for a, b in zip(softmax.get_weights(), logits.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "loss, last, label", [("cross_entropy", "softmax", 1), ("binary_cross_entropy", "sigmoid", 1.0)]
)
def test_hopeless_predictions_keep_a_finite_loss(loss, last, label):
    """Probabilities that round to 0 still give the loss and gradient of the logits."""
    model = fl.Model([fl.Input(1), fl.Dense(2, activation=last, use_bias=False)], seed=0, dtype="float32")
    model.compile(fl.SGD(0.0), loss)
    model.set_weights([np.array([[500.0, -500.0]], dtype=np.float32)])
    y = np.array([1]) if loss == "cross_entropy" else np.array([[0.0, 1.0]])
    value, (gradient,) = model.loss_and_gradients(np.ones((1, 1)), y)
    assert value == pytest.approx(1000.0 if loss == "cross_entropy" else 500.0)
    share = 1.0 if loss == "cross_entropy" else 0.5
    np.testing.assert_allclose(gradient, [[share, -share]])


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
