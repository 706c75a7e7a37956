"""The first column of docs/conventions.md: what differs from Keras and torch, in numbers computed by hand."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import fallline as fl
from codebase.tree import ROOT
from fallline import schedules
from helpers import refuses

PAGE = (ROOT / "docs/conventions.md").read_text()


def passing(outputs, loss, activation=None):
    """A model that puts out what goes in."""
    layer = fl.Dense(outputs, activation, kernel_initializer=lambda shape, _: np.eye(shape[0]))
    model = fl.Model([fl.Input(outputs), layer], seed=0, dtype="float64")
    model.compile("sgd", loss)
    return model


def one_step(optimizer, gradients, start=1.0):
    theta = [np.full(np.shape(g), start) for g in gradients]
    optimizer.step(theta, [np.asarray(g, dtype=float) for g in gradients])
    return [start - t for t in theta]


def default(kind, argument):
    return inspect.signature(kind).parameters[argument].default


def test_a_weighted_mean_divides_by_the_weights():
    x, weight = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 0.5, 2.0])
    mean = passing(1, "mse").evaluate(x, np.zeros(3), sample_weight=weight)["loss"]
    assert mean == pytest.approx((1 * 1 + 0.5 * 4 + 2 * 9) / 3.5)


def test_sum_is_over_rows_of_means():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert passing(2, fl.MSE("sum")).evaluate(x, np.zeros((2, 2)))["loss"] == pytest.approx(
        (1 + 4 + 9 + 16) / 2
    )


def test_l2_is_half_of_the_sum_of_squares():
    layer = fl.Dense(1, use_bias=False, kernel_initializer="ones", kernel_regularizer=fl.L2(0.5))
    model = fl.Model([fl.Input(4), layer], dtype="float64")
    model.compile("sgd", "mse")
    assert model.evaluate(np.zeros((1, 4)), np.zeros(1))["loss"] == pytest.approx(0.5 / 2 * 4)


def test_focal_losses_weigh_classes_alike():
    assert default(fl.FocalCrossEntropy, "alpha") is None
    assert default(fl.BinaryFocalCrossEntropy, "alpha") is None


def test_kl_divergence_takes_logits():
    z, y = np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])
    p = np.exp(z) / np.exp(z).sum()
    assert passing(2, "kl_divergence").evaluate(z, y)["loss"] == pytest.approx((y * np.log(y / p)).sum())


def test_what_has_no_mean_is_refused():
    model = passing(1, "mse")
    with refuses(ValueError, "sample_weight"):
        model.fit(np.ones((2, 1)), np.ones(2), sample_weight=np.zeros(2))
    with refuses(ValueError, "y has values"):
        model.fit(np.ones((2, 1)), np.array([1.0, np.inf]))


def test_clip_norm_is_of_the_whole_gradient():
    moved = one_step(fl.SGD(1.0, clip_norm=1.0), [[3.0], [4.0]])
    np.testing.assert_allclose(np.concatenate(moved), [0.6, 0.8], rtol=1e-12)
    moved = one_step(fl.SGD(1.0, clip_layer_norm=1.0), [[3.0], [4.0]])
    np.testing.assert_allclose(np.concatenate(moved), [1.0, 1.0], rtol=1e-12)


def test_epsilon_of_adam_stands_beside_the_corrected_root():
    g, rate, b = 1e-3, 0.1, 0.999
    ours, theirs = fl.Adam(rate, epsilon=1e-2), fl.Adam(rate, epsilon=1e-2, epsilon_hat=True)
    assert one_step(ours, [[g]])[0] == pytest.approx([rate * g / (g + 1e-2)], rel=1e-9)
    root = np.sqrt((1 - b) * g * g)
    expected = rate * np.sqrt(1 - b) * g / (root + 1e-2)
    assert one_step(theirs, [[g]])[0] == pytest.approx([expected], rel=1e-9)


@pytest.mark.parametrize(
    "kind, argument, value",
    [
        (fl.Adam, "epsilon", 1e-8),
        (fl.NAdam, "learning_rate", 0.002),
        (fl.NAdam, "momentum_decay", 0.004),
        (fl.AdaGrad, "learning_rate", 0.01),
        (fl.AdaGrad, "initial_accumulator_value", 0.0),
        (fl.AdaDelta, "learning_rate", 1.0),
        (fl.RMSProp, "learning_rate", 0.001),
        (fl.RMSProp, "rho", 0.9),
        (fl.Lion, "learning_rate", 1e-4),
        (fl.AdamW, "weight_decay", 0.01),
        (schedules.CosineRestarts, "t_mul", 1.0),
        (schedules.PolynomialDecay, "end", 0.0),
        (fl.BatchNormalization, "momentum", 0.99),
        (fl.BatchNormalization, "epsilon", 1e-3),
        (fl.LayerNormalization, "epsilon", 1e-3),
        (fl.EarlyStopping, "patience", 10),
        (fl.EarlyStopping, "restore_best_weights", True),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_defaults(kind, argument, value):
    assert default(kind, argument) == value


def test_nadam_of_keras_is_a_momentum_decay():
    """Its momentum at step t is beta_1 · (1 − 0.96^t / 2)."""
    g, b1, b2, rate = np.array([0.5, -2.0]), 0.9, 0.999, 0.001
    mu, after = (b1 * (1 - 0.5 * 0.96**t) for t in (1, 2))
    m, v = (1 - b1) * g, (1 - b2) * g * g
    hat = after * m / (1 - mu * after) + (1 - mu) * g / (1 - mu)
    expected = rate * hat / (np.sqrt(v / (1 - b2)) + 1e-7)
    moved = one_step(fl.NAdam(rate, epsilon=1e-7, momentum_decay=1.0), [g])
    np.testing.assert_allclose(moved[0], expected, rtol=1e-9)


def test_an_average_leaves_the_weights_and_is_corrected_for_its_start():
    x, y = np.ones((4, 2)), np.ones(4)
    models = [fl.Model([fl.Input(2), fl.Dense(1)], seed=0, dtype="float64") for _ in range(2)]
    for model, average in zip(models, (0.99, None), strict=True):
        model.compile(fl.SGD(0.1, average=average), "mse")
        model.fit(x, y, batch_size=4, epochs=1)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    with models[0].averaged():  # after a single update there is nothing else to average
        np.testing.assert_allclose(models[0].get_weights()[0], models[1].get_weights()[0], rtol=1e-12)


def test_where_rates_change():
    assert [schedules.Piecewise([2], [1.0, 0.5])(step) for step in range(4)] == [1.0, 1.0, 0.5, 0.5]
    assert schedules.CosineDecay(0.5, 10, end=0.1)(10) == pytest.approx(0.1)
    assert schedules.OneCycle(1.0, 10, pct_start=0.3)(np.arange(10)).argmax() == 0.3 * 10 - 1
    assert schedules.ExponentialDecay(0.4, 0.5, every=100)(100) == pytest.approx(0.2)


def test_initial_kernels():
    kernel = fl.Model([fl.Input(300), fl.Dense(200, "relu")], seed=0).get_weights()[0]
    assert kernel.var() == pytest.approx(2 / 300, rel=0.03)
    assert np.abs(kernel).max() > 3 * np.sqrt(2 / 300), "not cut off"


def test_slopes():
    x = np.array([[-1.0, 1.0]])
    for layer, slope in ((fl.Activation("leaky_relu"), 0.01), (fl.LeakyReLU(), 0.01), (fl.PReLU(), 0.25)):
        model = fl.Model([fl.Input(2), layer], dtype="float64")
        np.testing.assert_allclose(model.predict(x), [[-slope, 1.0]], rtol=1e-12)
    assert fl.Model([fl.Input(2), fl.PReLU()]).get_weights()[0].shape == (2,)
    assert fl.Model([fl.Input(2), fl.PReLU(shared=True)]).get_weights()[0].size == 1


def test_batch_normalization_keeps_its_momentum():
    model = fl.Model([fl.Input(1), fl.BatchNormalization(momentum=0.75), fl.Dense(1)], dtype="float64")
    model.compile(fl.SGD(0.0), "mse")
    model.train_on_batch(np.array([[3.0], [5.0]]), np.zeros(2))
    assert model.predict(np.array([[1.0]])).shape == (1, 1)
    mean = [
        w for w in model.get_state()["arrays"].values() if w.size == 1 and np.isclose(w, 0.25 * 4.0).all()
    ]
    assert mean, "a quarter of the batch's mean"


def test_epochs_are_counted_over_the_life_of_the_model(tmp_path):
    model = passing(1, "mse")
    for _ in range(2):
        model.fit(
            np.ones((2, 1)), np.ones(2), callbacks=[fl.ModelCheckpoint(tmp_path / "{epoch}.safetensors")]
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.safetensors", "1.safetensors"]


def test_a_macro_average_leaves_out_absent_classes():
    labels = np.array([0, 0, 1])
    assert fl.metrics.F1("macro")(labels, np.eye(3)[labels]) == 1.0


def test_a_metric_sees_all_rows_at_once():
    seen = []
    model = passing(1, "mse")
    model.compile("sgd", "mse", metrics=[lambda y_true, y_pred: seen.append(len(y_true)) or 0.0])
    model.evaluate(np.ones((50, 1)), np.ones(50), batch_size=8)
    assert seen == [50]


def test_what_the_page_names_exists():
    """In the columns of fallline; neighbours have names of their own."""
    rows = [line.split(" | ")[:2] for line in PAGE.splitlines() if line.startswith("| ")]
    names = {name for row in rows for cell in row for name in re.findall(r"`(?:fl\.)?([A-Z]\w+)", cell)}
    assert len(names) > 20
    assert [n for n in names if not any(hasattr(m, n) for m in (fl, fl.metrics, schedules))] == []


def test_objects_are_not_shared():
    rule, layer = fl.SGD(0.1), fl.Dense(1)
    models = [fl.Model([layer], seed=0) for _ in range(2)]
    for model in models:
        model.compile(rule, "mse")
    assert [model.optimizer is rule for model in models] == [True, False]
    with refuses(ValueError, "once more"):
        fl.Model([layer, layer])
