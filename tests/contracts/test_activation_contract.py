"""What every activation promises, driven by the rows of `cases/activations.py`."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from cases.activations import ACTIVATIONS
from fallline import _core
from helpers import assert_same_bits, refuses
from twins.network import central_differences

ELEMENTWISE = [case for case in ACTIVATIONS if case.elementwise]
every = pytest.mark.parametrize("case", ACTIVATIONS, ids=lambda case: case.name)
elementwise = pytest.mark.parametrize("case", ELEMENTWISE, ids=lambda case: case.name)
DTYPES = [(np.float64, 1e-14), (np.float32, 1e-6)]


def by_rows(y_true, y_pred):
    """A loss whose gradient is 1 everywhere."""
    return np.zeros(len(y_pred)), np.ones_like(y_pred)


def slopes(layer, z):
    """The derivative at each z, as a model's backward pass has it."""
    n = len(z)
    layers = [fl.Input(n), fl.Dense(1, use_bias=False), layer]
    model = fl.Model(layers, seed=0, dtype=z.dtype)
    model.compile("sgd", fl.FunctionLoss(by_rows, reduction="sum"))
    model.set_weights([z[:, None]])
    return model.loss_and_gradients(np.eye(n), np.zeros(n))[1][0][:, 0]


def away_from(kinks, z, margin=1e-3):
    for kink, _ in kinks:
        z = np.where(np.abs(z - kink) < margin, kink + margin, z)
    return z


def test_every_activation_of_the_core_has_a_row():
    names = sorted(case.name for case in ACTIVATIONS)
    assert sorted(_core.activations()) == sorted(fl.activations.ACTIVATIONS) == names
    assert set(names) <= set(dir(fl.ops))


@every
def test_it_is_documented(case):
    info = fl.activations.ACTIVATIONS[case.name]
    assert info.formula
    assert info.derivative
    assert info.reference or case.name in ("linear", "sigmoid", "tanh", "exponential")
    assert info.kernel == case.kernel


@every
def test_named_function_matches_the_twin(case, rng):
    z = rng.normal(scale=4, size=(17, 9))
    function = getattr(fl.ops, case.name)
    np.testing.assert_allclose(function(z), case.value(z), rtol=4e-15, atol=case.tail)
    np.testing.assert_allclose(function(z.astype(np.float32)), case.value(z), rtol=2e-5, atol=1e-7)


@every
def test_far_values_stay_finite(case):
    z = np.array([[-1000.0, -50.0, 0.0], [1000.0, 50.0, -1000.0]])
    with np.errstate(over="ignore"):
        expected = case.value(z)
    for dtype, rtol in DTYPES:
        with np.errstate(over="raise", invalid="raise"):
            got = getattr(fl.ops, case.name)(z.astype(dtype))
        if case.name == "exponential":
            expected = np.where(expected > np.finfo(dtype).max, np.inf, expected)
        else:
            assert np.isfinite(got).all()
        np.testing.assert_allclose(got, expected, rtol=rtol * 50, atol=1e-35)


@elementwise
def test_infinity_and_not_a_number(case):
    for dtype, rtol in DTYPES:
        z = np.array([-np.inf, np.inf, np.nan], dtype=dtype)
        got = getattr(fl.ops, case.name)(z)
        np.testing.assert_allclose(got[:2], case.at_ends, rtol=rtol)
        assert np.isnan(got[2])


@every
def test_not_a_number_goes_through(case):
    z = np.array([[np.nan, 1.0, 2.0, 3.0, -1.0]])
    assert np.isnan(getattr(fl.ops, case.name)(z)[0, 0])


@pytest.mark.parametrize("case", [c for c in ACTIVATIONS if not c.from_input], ids=lambda case: case.name)
def test_dense_backward_matches_twin_and_differences(case, rng):
    x, kernel, bias = rng.normal(size=(6, 5)), rng.normal(size=(5, 4)), rng.normal(size=4)
    gradient = rng.normal(size=(6, 4))
    z = away_from(case.kinks, x @ kernel + bias)
    output = fl.ops.dense_forward(x, kernel, bias, case.name)
    np.testing.assert_allclose(output, case.value(x @ kernel + bias), rtol=1e-13, atol=1e-14)

    dx, dkernel, dbias = fl.ops.dense_backward(gradient, x, output, kernel, case.name)
    delta = case.backward(gradient, output)
    np.testing.assert_allclose(dx, delta @ kernel.T, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dkernel, x.T @ delta, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dbias, delta.sum(axis=0), rtol=1e-12, atol=1e-13)

    h = 1e-6
    numerical = np.zeros_like(z)
    for j in range(z.shape[1]):
        step = h * np.eye(z.shape[1])[j]
        numerical[:, j] = ((case.value(z + step) - case.value(z - step)) * gradient).sum(axis=1) / (2 * h)
    np.testing.assert_allclose(case.backward(gradient, case.value(z)), numerical, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", [c for c in ACTIVATIONS if c.from_input], ids=lambda case: case.name)
def test_dense_backward_refuses_what_the_output_does_not_tell(case):
    one = np.ones((1, 1))
    with refuses(ValueError, case.name):
        fl.ops.dense_backward(one, one, one, one, case.name)


@elementwise
def test_slopes_match_twin_and_differences(case, rng):
    z = away_from(case.kinks, np.concatenate([rng.normal(scale=3, size=60), rng.uniform(-12, 12, 40)]))
    got, h = slopes(fl.Activation(case.name), z), 1e-6
    np.testing.assert_allclose(got, case.slope(z), rtol=1e-13, atol=1e-14)
    numerical = (case.value(z + h) - case.value(z - h)) / (2 * h)
    np.testing.assert_allclose(got, numerical, rtol=1e-6, atol=1e-8)
    narrow = slopes(fl.Activation(case.name), z.astype(np.float32))
    np.testing.assert_allclose(narrow, case.slope(z.astype(np.float32).astype(float)), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("case", [c for c in ELEMENTWISE if c.torch], ids=lambda case: case.name)
def test_value_and_slope_match_torch(case):
    torch = pytest.importorskip("torch")
    z = away_from(case.kinks, np.linspace(-20, 20, 401))
    wide = torch.tensor(z, requires_grad=True)
    value = case.torch(torch, torch.nn.functional, wide)
    value.sum().backward()
    expected, slope = value.detach().numpy(), wide.grad.numpy()
    np.testing.assert_allclose(getattr(fl.ops, case.name)(z), expected, rtol=1e-13, atol=2e-15)
    np.testing.assert_allclose(slopes(fl.Activation(case.name), z), slope, rtol=case.torch_rtol, atol=1e-14)


@elementwise
def test_slopes_at_kinks_and_far_out(case):
    for kink, slope in case.kinks:
        for dtype, rtol in DTYPES:
            assert slopes(fl.Activation(case.name), np.array([kink], dtype)) == pytest.approx(slope, rel=rtol)
    if case.name != "exponential":
        far = np.array([-1000.0, 1000.0])
        np.testing.assert_allclose(
            slopes(fl.Activation(case.name), far), case.slope(far), rtol=1e-13, atol=1e-30
        )


@every
def test_dense_and_layer_agree(case, rng):
    """Dense(activation=name) and Dense followed by Activation(name) are the same function, last or in between."""
    x, y = rng.normal(size=(20, 6)), rng.normal(size=(20, 5))
    for after in ([], [fl.Dense(5)]):
        models = [
            fl.Model([fl.Input(6), *layers, *after], seed=3, dtype="float64")
            for layers in ([fl.Dense(5, activation=case.name)], [fl.Dense(5), fl.Activation(case.name)])
        ]
        models[1].set_weights(models[0].get_weights())
        gradients = []
        for model in models:
            model.compile("sgd", "mse")
            gradients.append(model.loss_and_gradients(x, y)[1])
        assert_same_bits(*gradients)
        assert_same_bits(*([model.predict(x)] for model in models))


@every
def test_gradients_of_a_network_match_central_differences(case, rng):
    layers = [fl.Input(4), fl.Dense(6, activation=case.name), fl.Dense(5, activation=case.name), fl.Dense(3)]
    model = fl.Model(layers, seed=5, dtype="float64")
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 3))
    weights = [0.4 * w + 0.1 for w in model.get_weights()]

    def loss():
        model.set_weights(weights)
        return model.evaluate(x, y)["loss"]

    numerical = central_differences(loss, weights)
    model.set_weights(weights)
    for g, n in zip(model.loss_and_gradients(x, y)[1], numerical, strict=True):
        np.testing.assert_allclose(g, n, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "make, slope_below, value_below",
    [
        (fl.LeakyReLU, lambda p, z: np.full_like(z, p), lambda p, z: p * z),
        (fl.ELU, lambda p, z: p * np.exp(z), lambda p, z: p * np.expm1(z)),
    ],
    ids=["LeakyReLU", "ELU"],
)
@pytest.mark.parametrize("parameter", [0.0, 0.01, 0.3, 1.0, 2.5])
def test_layers_with_a_parameter(make, slope_below, value_below, parameter, rng):
    z = np.concatenate([-rng.uniform(0, 5, 20), [0.0], rng.uniform(0, 5, 20)])
    model = fl.Model([fl.Input(41), make(parameter)], dtype="float64")
    above = z > 0
    value = np.where(above, z, value_below(parameter, z))
    np.testing.assert_allclose(model.predict(z[None])[0], value, rtol=1e-14, atol=1e-15)
    slope = np.where(above, 1.0, slope_below(parameter, z))
    np.testing.assert_allclose(slopes(make(parameter), z), slope, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("layer, name", [(fl.LeakyReLU(), "leaky_relu"), (fl.ELU(), "elu")])
def test_layers_without_argument_are_the_activations(layer, name, rng):
    x = rng.normal(size=(5, 6)).astype(np.float32)
    models = [
        fl.Model([fl.Input(6), fl.Dense(7), each, fl.Dense(2)], seed=1)
        for each in (layer, fl.Activation(name))
    ]
    assert_same_bits(*([model.predict(x)] for model in models))


def test_self_normalising_network_keeps_mean_and_variance(rng):
    """Klambauer et al. 2017: through 30 layers of selu with LeCun-normal weights."""
    layers = [fl.Dense(256, activation="selu") for _ in range(30)]
    out = fl.Model([fl.Input(256), *layers], seed=0).predict(rng.normal(size=(1000, 256)))
    assert abs(out.mean()) < 0.1
    assert out.std() == pytest.approx(1, abs=0.15)


def test_sigmoid_slope_is_at_most_a_quarter(rng):
    z = rng.normal(scale=3, size=(1, 1000))
    eye = np.ones((1, 1))
    for value, slope in ((np.zeros((1, 1)), 0.25), (np.full((1, 1), 2.0), None)):
        output = fl.ops.sigmoid(value)
        dx, _, _ = fl.ops.dense_backward(eye, value, output, eye, "sigmoid")
        assert dx[0, 0] == slope if slope is not None else dx[0, 0] < 0.25
    np.testing.assert_allclose(fl.ops.tanh(z), 2 * fl.ops.sigmoid(2 * z) - 1, atol=1e-15)


def test_published_values():
    """Of gelu, silu and mish at 1 and -1, from tables of the normal distribution and of tanh."""
    z = np.array([1.0, -1.0])
    np.testing.assert_allclose(fl.ops.gelu(z), [0.8413447460685429, -0.15865525393145707], rtol=1e-15)
    np.testing.assert_allclose(fl.ops.silu(z), [0.7310585786300049, -0.2689414213699951], rtol=1e-15)
    np.testing.assert_allclose(fl.ops.mish(z), [0.8650983882673103, -0.30340146137410895], rtol=1e-14)


def test_swish_is_silu():
    assert repr(fl.Dense(3, activation="swish")) == "Dense(3, activation='silu')"
    assert repr(fl.Activation("swish")) == "Activation('silu')"


def test_unknown_names_come_with_a_suggestion():
    with refuses(ValueError, "tanh"):
        fl.Dense(3, activation="tahn")
    with refuses(TypeError, "activation"):
        fl.Dense(3, activation=["relu"])
