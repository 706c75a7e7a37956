"""Initializers and regularizers: one row each, values, bad arguments, completeness."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import fallline as fl
from fallline import initializers, regularizers
from helpers import refuses

SHAPE = (300, 200)

# (class, options, mean, standard deviation, largest absolute value or None)
INITIALIZERS = [
    (initializers.Zeros, {}, 0, 0, 0),
    (initializers.Ones, {}, 1, 0, 1),
    (initializers.Constant, {"value": -0.5}, -0.5, 0, 0.5),
    (initializers.Uniform, {"low": -1.0, "high": 3.0}, 1, 4 / np.sqrt(12), 3),
    (initializers.Normal, {"mean": 2.0, "std": 0.5}, 2, 0.5, None),
    (initializers.GlorotNormal, {}, 0, np.sqrt(2 / 500), None),
    (initializers.GlorotUniform, {}, 0, np.sqrt(2 / 500), np.sqrt(6 / 500)),
    (initializers.HeNormal, {}, 0, np.sqrt(2 / 300), None),
    (initializers.HeUniform, {}, 0, np.sqrt(2 / 300), np.sqrt(6 / 300)),
    (initializers.LecunNormal, {}, 0, np.sqrt(1 / 300), None),
    (initializers.LecunUniform, {}, 0, np.sqrt(1 / 300), np.sqrt(3 / 300)),
]

# (class, options, penalty of the weights, its gradient)
REGULARIZERS = [
    (fl.L1, {"lam": 0.3}, lambda w: 0.3 * np.abs(w).sum(), lambda w: 0.3 * np.sign(w)),
    (fl.L2, {"lam": 0.3}, lambda w: 0.15 * (w**2).sum(), lambda w: 0.3 * w),
    (
        fl.L1L2,
        {"l1": 0.2, "l2": 0.4},
        lambda w: 0.2 * np.abs(w).sum() + 0.2 * (w**2).sum(),
        lambda w: 0.2 * np.sign(w) + 0.4 * w,
    ),
]

BAD = [
    (initializers.Constant, {"value": "a"}, TypeError, "value"),
    (initializers.Constant, {"value": np.nan}, ValueError, "value"),
    (initializers.Uniform, {"low": 1.0, "high": 1.0}, ValueError, "high"),
    (initializers.Uniform, {"low": "a"}, TypeError, "low"),
    (initializers.Normal, {"std": -1.0}, ValueError, "std"),
    (initializers.Normal, {"mean": np.inf}, ValueError, "mean"),
    (fl.L1, {"lam": -0.1}, ValueError, "lam"),
    (fl.L1, {"lam": "a"}, TypeError, "lam"),
    (fl.L2, {"lam": -0.1}, ValueError, "lam"),
    (fl.L2, {"lam": np.nan}, ValueError, "lam"),
    (fl.L1L2, {"l1": -0.1}, ValueError, "l1"),
    (fl.L1L2, {"l2": -0.1}, ValueError, "l2"),
    (fl.MSE, {"reduction": "average"}, ValueError, "mean"),
    (fl.MSE, {"reduction": 3}, TypeError, "reduction"),
    (fl.CrossEntropy, {"reduction": "sums"}, ValueError, "sum"),
    (fl.BinaryCrossEntropy, {"reduction": None}, TypeError, "reduction"),
]


def declared(module, base):
    return {
        v
        for n, v in vars(module).items()
        if inspect.isclass(v) and issubclass(v, base) and v is not base and not n.startswith("_")
    }


def test_everything_has_a_row():
    assert declared(initializers, initializers.Initializer) == {row[0] for row in INITIALIZERS}
    assert declared(regularizers, fl.Regularizer) == {row[0] for row in REGULARIZERS}


@pytest.mark.parametrize(
    "make, options, mean, std, bound", INITIALIZERS, ids=lambda v: getattr(v, "__name__", "")
)
def test_initializers(make, options, mean, std, bound):
    """Mean and deviation within 4 standard errors, by the object and by its name."""
    layer = fl.Dense(SHAPE[1], kernel_initializer=make(**options))
    kernel = fl.Model([fl.Input(SHAPE[0]), layer], seed=1, dtype="float64").get_weights()[0]
    assert abs(kernel.mean() - mean) <= 4 * std / np.sqrt(kernel.size)
    assert abs(kernel.std() - std) <= 4 * std / np.sqrt(kernel.size)
    if bound is not None:
        assert np.abs(kernel).max() <= bound
        assert np.abs(kernel).max() >= 0.999 * bound
    if not options:
        by_name = fl.Dense(SHAPE[1], kernel_initializer=make.name)
        again = fl.Model([fl.Input(SHAPE[0]), by_name], seed=1, dtype="float64").get_weights()[0]
        np.testing.assert_array_equal(again, kernel)


@pytest.mark.parametrize(
    "activation, variance",
    [
        ("relu", 2 / 300),
        ("gelu", 2 / 300),
        ("swish", 2 / 300),
        ("selu", 1 / 300),
        ("tanh", 2 / 500),
        (None, 2 / 500),
        ("softmax", 2 / 500),
    ],
)
def test_automatic_initial_weights_look_at_the_activation(activation, variance):
    for layers in ([fl.Dense(200, activation)], [fl.Dense(200), fl.Activation(activation or "linear")]):
        kernel, bias = fl.Model([fl.Input(300), *layers], seed=2).get_weights()
        assert kernel.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / kernel.size))
        assert (np.abs(kernel).max() <= np.sqrt(3 * variance)) == (variance == 2 / 500)  # uniform, not normal
        np.testing.assert_array_equal(bias, 0)


@pytest.mark.parametrize("layer", [fl.LeakyReLU(0.3), fl.ELU(2.0)], ids=repr)
def test_automatic_initial_weights_look_at_layers_with_a_parameter(layer):
    kernel = fl.Model([fl.Input(300), fl.Dense(200), layer], seed=2).get_weights()[0]
    assert kernel.var() == pytest.approx(2 / 300, rel=4 * np.sqrt(2 / kernel.size))


def test_two_layers_of_one_shape_start_differently():
    kernels = fl.Model([fl.Input(30), fl.Dense(30), fl.Dense(30)], seed=0).get_weights()[::2]
    assert (kernels[0] != kernels[1]).all()


def test_an_initializer_may_be_a_function():
    def ramp(shape, generator):
        return np.arange(shape[0] * shape[1], dtype=float).reshape(shape)

    kernel, _ = fl.Model([fl.Input(3), fl.Dense(2, kernel_initializer=ramp)], seed=0).get_weights()
    np.testing.assert_array_equal(kernel, [[0, 1], [2, 3], [4, 5]])
    with refuses(ValueError, r"\(2, 3\).*\(3, 2\)"):
        fl.Model(
            [fl.Input(3), fl.Dense(2, kernel_initializer=lambda shape, generator: np.ones((2, 3)))], seed=0
        )


@pytest.mark.parametrize(
    "make, options, penalty, gradient", REGULARIZERS, ids=lambda v: getattr(v, "__name__", "")
)
@pytest.mark.parametrize("which", ["kernel", "bias"])
def test_regularizers(make, options, penalty, gradient, which, rng):
    plain = fl.Model([fl.Input(4), fl.Dense(3)], seed=0, dtype="float64")
    penalised = fl.Model(
        [fl.Input(4), fl.Dense(3, **{f"{which}_regularizer": make(**options)})], seed=0, dtype="float64"
    )
    weights = [rng.normal(size=(4, 3)), rng.normal(size=3)]
    weights[0][1, 1] = weights[1][0] = 0.0
    x, y = rng.normal(size=(10, 4)), rng.normal(size=(10, 3))
    for model in (plain, penalised):
        model.compile("sgd", "mse")
        model.set_weights(weights)
    (loss, without), (more, with_it) = (m.loss_and_gradients(x, y) for m in (plain, penalised))
    place = 0 if which == "kernel" else 1
    assert more - loss == pytest.approx(penalty(weights[place]), rel=1e-12)
    np.testing.assert_allclose(
        with_it[place] - without[place], gradient(weights[place]), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_array_equal(with_it[1 - place], without[1 - place])
    assert penalised.evaluate(x, y)["loss"] == pytest.approx(more, rel=1e-14)


@pytest.mark.parametrize("make, options, exception, match", BAD, ids=lambda v: getattr(v, "__name__", ""))
def test_bad_arguments_are_refused(make, options, exception, match):
    with refuses(exception, match):
        make(**options)


def test_declarations_print_as_they_are_written():
    for text in ("Dense(3, activation='relu')", "Adam(beta_1=0.5)", "L2(lam=0.1)", "Dropout(0.5)"):
        assert repr(eval(f"fl.{text}")) == text
    layer = fl.Dense(3, "tanh")
    assert "tanh" in repr(layer)
    with pytest.raises(AttributeError, match="units"):
        layer.units = 4


def test_a_subclass_does_not_take_over_a_name():
    class Quick(fl.Adam):
        def __init__(self, learning_rate=0.1):
            super().__init__(learning_rate)

    model = fl.Model([fl.Dense(1)])
    model.compile("adam", "mse")
    assert type(model.optimizer) is fl.Adam
    model.compile(Quick(), "mse")
    assert type(model.optimizer) is Quick
