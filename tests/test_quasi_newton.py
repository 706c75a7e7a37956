"""L-BFGS and BFGS: beside scipy, in fit(), when they stop, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from fallline import _core
from helpers import assert_same_bits, assert_same_model, refuses, unchanged

BOTH = pytest.mark.parametrize("make", [fl.LBFGS, fl.BFGS])
TO_THE_END = {"gtol": 1e-8, "ftol": 0.0}


def rosenbrock(x, gradient=None):
    a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    if gradient is not None:
        gradient[:] = 0
        gradient[:-1] = -400 * a * x[:-1] - 2 * b
        gradient[1:] += 200 * a
    return (100 * a**2 + b**2).sum()


def descend(optimizer, function, start, iterations=1000):
    """The core's method where it ended; the values after its iterations."""
    minimizer = optimizer.start(0)
    minimizer.begin(function, np.asarray(start, dtype=float))
    return minimizer, minimizer.run(function, iterations, np.inf)


@pytest.fixture
def data(rng):
    """Rows, and classes that are never told apart for certain, so that there is a best network."""
    x = rng.normal(size=(120, 5))
    return x, ((x[:, 0] + x[:, 1] > 0) ^ (rng.random(120) < 0.2)).astype(int)


def network(optimizer, dtype="float64", layers=None, **options):
    hidden = [fl.Dense(6, "tanh")] if layers is None else layers
    model = fl.Model([fl.Input(5), *hidden, fl.Dense(2, "softmax")], seed=3, dtype=dtype)
    model.compile(optimizer, "cross_entropy", **options)
    return model


def regression(optimizer, dtype="float64"):
    """Softmax regression with a penalty: a convex function."""
    penalty = fl.L2(0.01)
    model = fl.Model([fl.Input(5), fl.Dense(2, "softmax", kernel_regularizer=penalty)], seed=3, dtype=dtype)
    model.compile(optimizer, "cross_entropy")
    return model


@pytest.fixture
def bowl(rng):
    """(x − 1)ᵀA(x − 1) / 2 in six dimensions, and A."""
    root = rng.normal(size=(6, 6))
    curvature = root @ root.T + np.eye(6)

    def function(x, gradient=None):
        slope = curvature @ (x - 1)
        if gradient is not None:
            gradient[:] = slope
        return slope @ (x - 1) / 2

    return function, curvature


EXACT = {
    "c1": 1e-7,
    "c2": 1e-6,
    "gtol": 0.0,
    "ftol": 0.0,
}  # line searches that interpolate, which on a parabola is exact


@BOTH
def test_a_quadratic_ends_after_as_many_exact_steps_as_variables(make, bowl):
    function, curvature = bowl
    minimizer, _ = descend(make(**EXACT), function, np.zeros(6), iterations=6)
    np.testing.assert_allclose(minimizer.x, 1, atol=1e-12)
    assert np.abs(curvature @ (minimizer.x - 1)).max() < 1e-11 * np.abs(curvature @ np.ones(6)).max()
    if make is fl.BFGS:
        inverse = minimizer.get_state()["inverse_hessian"].reshape(6, 6)
        np.testing.assert_allclose(inverse, np.linalg.inv(curvature), atol=1e-11)


@BOTH
def test_exact_steps_on_a_quadratic_are_those_of_conjugate_gradients(make, bowl):
    function, curvature = bowl
    x, g = np.zeros(6), -curvature @ np.ones(6)
    d = -g
    for steps in range(1, 6):
        x = x + (g @ g) / (d @ curvature @ d) * d
        after = curvature @ (x - 1)
        d, g = (after @ after) / (g @ g) * d - after, after
        minimizer, _ = descend(make(**EXACT), function, np.zeros(6), iterations=steps)
        np.testing.assert_allclose(minimizer.x, x, atol=1e-10)


@pytest.mark.parametrize("n", [2, 10])
@pytest.mark.parametrize("make, method", [(fl.BFGS, "BFGS"), (fl.LBFGS, "L-BFGS-B")])
def test_rosenbrock_takes_about_the_iterations_of_scipy(make, method, n):
    from scipy.optimize import minimize

    start = np.tile([-1.2, 1.0], n // 2)
    peer = minimize(
        lambda x: (rosenbrock(x, g := np.empty(n)), g),
        start,
        jac=True,
        method=method,
        options={"gtol": 1e-8} | ({"ftol": 0} if method == "L-BFGS-B" else {}),
    )
    ours, values = descend(make(**TO_THE_END), rosenbrock, start)
    assert ours.reason == "the gradient is below gtol"
    # The lower one, or the local minimum that there is in ten dimensions, where scipy's BFGS ends.
    assert ours.value < 1e-15 or (n == 10 and ours.value == pytest.approx(3.98658, abs=1e-5))
    if (ours.value > 1) == (peer.fun > 1):
        assert len(values) <= 1.3 * peer.nit
        assert ours.evaluations <= 1.3 * peer.nfev
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("history, iterations, evaluations", [(5, 96, 115), (10, 81, 93), (100, 74, 90)])
def test_a_longer_history_takes_fewer_iterations(history, iterations, evaluations):
    """Published counts of torch's L-BFGS, on Rosenbrock's function in ten dimensions."""
    minimizer, values = descend(fl.LBFGS(history=history, **TO_THE_END), rosenbrock, np.tile([-1.2, 1.0], 5))
    assert len(values) <= 1.1 * iterations
    assert minimizer.evaluations <= 1.1 * evaluations
    assert minimizer.value < 1e-15


@BOTH
def test_a_convex_loss_comes_to_its_minimum(make, data):
    from scipy.optimize import minimize

    x, y = data
    signs = np.eye(2)[y]

    def loss(v):
        kernel, bias = v[:10].reshape(5, 2), v[10:]
        z = x @ kernel + bias
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        d = (p - signs) / len(x)
        gradient = np.concatenate([(x.T @ d + 0.01 * kernel).ravel(), d.sum(axis=0)])
        return -np.log((p * signs).sum(axis=1)).mean() + 0.005 * (kernel**2).sum(), gradient

    best = minimize(loss, np.zeros(12), jac=True, method="BFGS", options={"gtol": 1e-9}).fun
    model = regression(make(**TO_THE_END))
    history = model.fit(x, y)
    assert history.stop_reason == "the gradient is below gtol"
    assert history.history["loss"][-1] == pytest.approx(best, rel=1e-12)
    assert max(np.abs(g).max() for g in model.loss_and_gradients(x, y)[1]) <= 1e-8


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_goes_down_and_says_why_it_ends(make, dtype, data):
    x, y = data
    model = regression(make(gtol=0, ftol=0), dtype)
    before = model.evaluate(x, y)["loss"]
    history = model.fit(x, y)
    losses = history.history["loss"]
    assert losses[0] < before
    assert (np.diff(losses) <= 0).all()
    assert max(np.abs(g).max() for g in model.loss_and_gradients(x, y)[1]) < (
        1e-4 if dtype == "float32" else 1e-7
    )
    assert losses[-1] == pytest.approx(
        model.evaluate(x, y)["loss"], rel=1e-6 if dtype == "float32" else 1e-13
    )
    assert history.stop_reason in (
        "the line search finds no lower value",
        "the value changes by less than ftol",
    )


@BOTH
def test_tolerances_end_a_fit(make, data):
    loose = network(make(gtol=1e-2, ftol=0)).fit(*data)
    assert loose.stop_reason == "the gradient is below gtol"
    model = network(make(gtol=0, ftol=1e-3))
    history = model.fit(*data)
    losses = history.history["loss"]
    assert history.stop_reason == "the value changes by less than ftol"
    assert losses[-2] - losses[-1] <= 1e-3 < losses[-3] - losses[-2]
    assert len(network(make(max_iterations=7)).fit(*data).epoch) == 7
    assert len(network(make(max_iterations=7)).fit(*data, epochs=9).epoch) == 9


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fit_goes_on_bit_for_bit(make, dtype, data, tmp_path):
    whole, parts = network(make(), dtype), network(make(), dtype)
    whole.fit(*data, epochs=20)
    parts.fit(*data, epochs=9)
    parts.save(tmp_path / "model.safetensors")
    parts = fl.load_model(tmp_path / "model.safetensors")
    parts.fit(*data, epochs=11)
    assert_same_model(whole, parts)


def test_any_number_of_threads_gives_the_same_bits(rng):
    x, y = rng.normal(size=(64, 300)).astype(np.float32), rng.integers(0, 4, 64)
    weights = []
    for threads in (1, 2, 3):
        model = fl.Model([fl.Input(300), fl.Dense(200, "relu"), fl.Dense(4, "softmax")], seed=0)
        model.compile(fl.LBFGS(), "cross_entropy")
        with fl.threads(threads):
            model.fit(x, y, epochs=15)
        weights.append(model.get_weights())
    for other in weights[1:]:
        assert_same_bits(other, weights[0])


@BOTH
def test_what_is_frozen_stays(make, data):
    model = network(make(), layers=[fl.Dense(6, "tanh"), fl.Dense(6, "tanh")])
    model.layers[2].trainable = False
    model.compile(make(), "cross_entropy")
    before = model.get_weights()
    model.fit(*data, epochs=10)
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [True, True, False, False, True, True]


@BOTH
def test_weights_of_rows_count(make, data):
    """As often as the row itself would."""
    x, y = data
    often = np.arange(len(x)) % 3
    weighted, repeated = regression(make(**TO_THE_END)), regression(make(**TO_THE_END))
    weighted.fit(x, y, sample_weight=often)
    repeated.fit(np.repeat(x, often, axis=0), np.repeat(y, often))
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), rtol=1e-6)


@BOTH
def test_kinks_are_no_error(make, rng):
    x = rng.normal(size=(80, 3))
    layers = [fl.Dense(8, "relu"), fl.Maxout(6), fl.Dense(8, "leaky_relu"), fl.Dense(1)]
    model = fl.Model([fl.Input(3), *layers], seed=1, dtype="float64")
    model.compile(make(), "mae")
    losses = model.fit(x, np.abs(x).sum(axis=1, keepdims=True), epochs=300).history["loss"]
    assert losses[-1] < 0.15 < losses[0]


@BOTH
@pytest.mark.parametrize(
    "layer, why",
    [
        (fl.Dropout(0.2), "draws a new mask"),
        (fl.DropConnect(4, rate=0.2), "draws a new mask"),
        (fl.BatchNormalization(), "averages over batches"),
        (fl.Dense(4, kernel_constraint=fl.MaxNorm(1.0)), "MaxNorm"),
        (fl.Dense(4, kernel_regularizer=fl.L1(0.1, proximal=True)), "proximal"),
    ],
)
def test_losses_that_change_are_refused(make, layer, why, data):
    model = network(make(), layers=[fl.Dense(6, "tanh"), layer])
    with unchanged(model), refuses(ValueError, why):
        model.fit(*data)


@BOTH
def test_batches_are_refused(make, data):
    model = network(make())
    x, y = data
    with unchanged(model), refuses(ValueError, "batch_size is 32"):
        model.fit(x, y, batch_size=32)
    with unchanged(model), refuses(ValueError, "each batch is another function"):
        model.fit(iter([(x, y)]))
    with unchanged(model), pytest.raises((TypeError, ValueError), match=f"{make.__name__}"):
        model.train_on_batch(x, y)
    model.fit(x, y, batch_size=len(x), epochs=1)


def test_a_matrix_too_large_is_refused(data):
    model = network(fl.BFGS(max_params=49))
    assert sum(w.size for w in model.get_weights()) == 50
    with unchanged(model), refuses(ValueError, "50 variables.* LBFGS"):
        model.fit(*data)
    network(fl.BFGS(max_params=50)).fit(*data, epochs=1)


@BOTH
def test_a_loss_that_is_not_finite_is_refused(make, data):
    x, y = data
    model = network(make())
    with unchanged(model), pytest.raises(fl.NonFiniteLoss, match="finite"):
        model.fit(np.where(x > 1, np.inf, x), y)


BAD = [
    *(({name: -1.0}, ValueError) for name in ("gtol", "ftol", "c1", "c2")),
    *(({name: 0}, ValueError) for name in ("max_iterations", "max_evaluations")),
    *(({name: 2.5}, TypeError) for name in ("max_iterations", "max_evaluations")),
    ({"gtol": np.nan}, ValueError),
    ({"ftol": "tight"}, TypeError),
    ({"c1": 0.5, "c2": 0.4}, ValueError),
    ({"c2": 1.0}, ValueError),
]


@pytest.mark.parametrize(
    "make, options, exception",
    [
        *((make, *row) for make in (fl.LBFGS, fl.BFGS) for row in BAD),
        (fl.LBFGS, {"history": 0}, ValueError),
        (fl.LBFGS, {"history": 1.5}, TypeError),
        (fl.BFGS, {"max_params": 0}, ValueError),
        (fl.BFGS, {"max_params": "all"}, TypeError),
    ],
)
def test_bad_options(make, options, exception):
    with refuses(exception, f"{make.__name__}: {next(iter(options))}"):
        make(**options)


@BOTH
def test_states_of_others_are_refused(make, data):
    minimizer, _ = descend(make(), rosenbrock, [-1.2, 1.0], 5)
    state = minimizer.get_state()
    for bad in ({}, {"velocity": [1.0]}, {name: np.append(v, 1.0) for name, v in state.items()}):
        with pytest.raises(
            ValueError, match=f"{make.__name__}.set_state: .*; expected|{make.__name__}.set_state"
        ):
            minimizer.set_state(bad)
        for name, values in minimizer.get_state().items():
            np.testing.assert_array_equal(values, state[name])


@BOTH
def test_a_function_that_raises_leaves_the_method_as_it_was(make):
    minimizer, _ = descend(make(), rosenbrock, [-1.2, 1.0], 5)
    x, value = minimizer.x, minimizer.value

    def fails(x, gradient=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimizer.run(fails, 1, np.inf)
    np.testing.assert_array_equal(minimizer.x, x)
    assert minimizer.value == value
    minimizer.run(rosenbrock, 100, np.inf)
    assert minimizer.value < 1e-8
    assert isinstance(minimizer, _core.Minimizer)
