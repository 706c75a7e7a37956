"""NumPy's scalars where Python's are taken, arrays whose byte order is spelt out, masks, and X with one axis."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

import fallline as fl
from fallline.declaration import Declaration
from helpers import assert_same_bits, assert_same_model, refuses, unchanged

N = 40
NATIVE, FOREIGN = ("<", ">") if sys.byteorder == "little" else (">", "<")


@pytest.fixture
def data(rng):
    X = rng.normal(size=(N, 3))
    return X, (X[:, 0] > 0).astype(np.int64)


def network(dtype="float64"):
    model = fl.Model([fl.Dense(4, "tanh"), fl.Dense(2, "softmax")], seed=0, dtype=dtype)
    model.compile("adam", "cross_entropy", metrics=["accuracy"])
    return model


def line(dtype="float64"):
    """A model of one number from one."""
    model = fl.Model([fl.Dense(1)], seed=0, dtype=dtype)
    model.compile("adam", "mse")
    return model


# --- scalars ---

SCALARS = {bool: np.bool_, int: np.int64, float: np.float32}
GIVEN = {
    "units": 3, "rate": 0.25, "pieces": 2, "n": 4, "value": 0.5, "scale": 0.5, "initial": 0.125, "steps": 9,
    "factor": 0.5, "peak": 0.125, "lam": 0.125, "limit": 2.0, "categories": 4, "initial_learning_rate": 0.125,
}  # fmt: skip


def declarations():
    """Every class that the package exports, with those of its arguments that are plain numbers."""
    spaces = (fl, fl.schedules, fl.samplers, fl.initializers, fl.constraints)
    classes = {c for space in spaces for c in vars(space).values() if inspect.isclass(c)}
    for kind in sorted(
        (c for c in classes if issubclass(c, Declaration | fl.Callback)), key=lambda c: c.__name__
    ):
        arguments = {}
        for name, parameter in inspect.signature(kind).parameters.items():
            value = GIVEN.get(name) if parameter.default is parameter.empty else parameter.default
            if type(value) in SCALARS:
                arguments[name] = value
        if arguments:
            yield kind, arguments


@pytest.mark.parametrize(
    "kind, arguments", [pytest.param(*row, id=row[0].__name__) for row in declarations()]
)
def test_declarations_take_scalars_of_numpy(kind, arguments):
    try:
        plain = kind(**arguments)
    except TypeError:
        pytest.skip("needs an argument that is no number")
    for wrap in (lambda scalar: scalar, np.asarray):
        made = kind(**{name: wrap(SCALARS[type(value)](value)) for name, value in arguments.items()})
        for name in arguments:
            expected = getattr(plain, name)
            assert getattr(made, name) == pytest.approx(expected, rel=1e-7)
            assert type(getattr(made, name)) is type(expected)


def test_there_are_many_declarations():
    assert len(list(declarations())) > 50


@pytest.mark.parametrize(
    "wrong", [np.True_, np.float64(1.5), np.array([2]), np.timedelta64(2, "s")], ids=repr
)
def test_what_is_no_integer_is_refused_as_before(wrong):
    with refuses(TypeError, "units"):
        fl.Dense(wrong)


@pytest.mark.parametrize("wrong", [np.True_, np.str_("0.1"), np.complex128(1), np.array([0.1])], ids=repr)
def test_what_is_no_number_is_refused_as_before(wrong):
    with refuses(TypeError, "rate"):
        fl.Dropout(wrong)


@pytest.mark.parametrize("wrong", [1, 0.0, np.int64(1), np.array([True]), None], ids=repr)
def test_what_is_no_boolean_is_refused_as_before(wrong):
    with refuses(TypeError, "use_bias"):
        fl.Dense(2, use_bias=wrong)


def test_calls_take_scalars_of_numpy(data, capsys):
    X, y = data
    model, twin = network(), network()
    model.fit(
        X,
        y,
        batch_size=np.int32(8),
        epochs=np.uint8(2),
        validation_split=np.float32(0.25),
        class_weight={np.int64(0): np.float32(1.0), np.int64(1): np.int64(3)},
        shuffle=np.False_,
        max_seconds=np.float32(1e6),
        verbose=np.int64(2),
    )
    assert "epoch 2/2" in capsys.readouterr().out
    options = {"validation_split": 0.25, "class_weight": {0: 1.0, 1: 3}, "shuffle": False, "max_seconds": 1e6}
    twin.fit(X, y, batch_size=8, epochs=2, verbose=np.False_, **options)
    assert_same_model(model, twin)
    fl.fit_many(
        [model], X, y, epochs=np.int64(1), batch_size=np.int64(8), shuffle=np.False_, verbose=np.int8(0)
    )
    twin.fit(X, y, batch_size=8, shuffle=False)
    assert_same_bits(model.get_weights(), twin.get_weights())
    model.partial_fit(X, y, batch_size=np.int16(8))
    assert_same_bits([model.predict(X, batch_size=np.int64(7))], [model.predict(X)])
    assert fl.multi_start(line(), X[:, :1], y, np.int64(2), epochs=np.int64(1), shuffle=np.True_).best
    with fl.threads(np.int64(1)):
        assert fl.get_num_threads() == 1


def test_numbers_from_functions_may_be_scalars_of_numpy(data):
    X, y = data

    class Logs(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["half"], logs["is_first"] = np.float32(0.5), np.bool_(epoch == 0)
            self.model.stop_training = np.bool_(epoch == 1)

    rates = fl.LearningRateScheduler(lambda epoch, rate: np.float32(0.25))
    history = network().fit(X, y, epochs=5, callbacks=[Logs(), rates]).history
    assert history["half"] == [0.5, 0.5]
    assert history["is_first"] == [1.0, 0.0]
    assert history["learning_rate"] == [0.25, 0.25]


def test_metadata_may_hold_scalars_of_numpy(tmp_path):
    model = fl.Model([fl.Input(1), fl.Dense(1)])
    model.metadata = {"score": np.float32(0.5), "rows": np.int64(3), "good": np.True_, "all": [np.uint8(1)]}
    model.save(tmp_path / "m.safetensors")
    assert fl.load_model(tmp_path / "m.safetensors").metadata == {
        "score": 0.5, "rows": 3, "good": True, "all": [1],
    }  # fmt: skip


# --- byte order ---


def spelt(array, order=NATIVE):
    """The same numbers in a byte order that the dtype spells out, as files of HDF5 and FITS come."""
    swapped = array if order == NATIVE else array.byteswap()
    return swapped.view(array.dtype.newbyteorder(order))


@pytest.mark.parametrize("order", [NATIVE, FOREIGN])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_a_byte_order_may_be_spelt_out(dtype, order, data):
    X, y = data
    X = (10 * X).astype(dtype)
    given, labels, weight = spelt(X, order), spelt(y, order), spelt(np.arange(1.0, N + 1), order)
    assert given.dtype.byteorder == order
    model, twin = network("float32"), network("float32")
    model.fit(given, labels, epochs=2, sample_weight=weight, validation_data=(given, labels))
    twin.fit(X, y, epochs=2, sample_weight=np.arange(1.0, N + 1))
    for each, rows, classes in ((model, given, labels), (twin, X, y)):
        each.train_on_batch(rows, classes)
        each.partial_fit(rows, classes, batch_size=7)
        each.fit([(rows, classes), (rows[:9], classes[:9])])
        fl.fit_many([each], rows, classes, verbose=0)
    assert_same_model(model, twin)
    assert_same_bits([model.predict(given)], [model.predict(X)])
    assert model.evaluate(given, labels) == model.evaluate(X, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_byte_order_may_be_spelt_out_for_targets_weights_and_plain_arrays(dtype, rng):
    X, y = rng.normal(size=(N, 3)).astype(dtype), rng.normal(size=(N, 1)).astype(dtype)
    model, twin = line(dtype), line(dtype)
    model.train_on_batch(spelt(X), spelt(y))
    twin.train_on_batch(X, y)
    assert_same_bits(model.get_weights(), twin.get_weights())
    model.set_weights([spelt(w) for w in twin.get_weights()])
    a, b = X, np.ascontiguousarray(X.T)
    assert_same_bits([fl.ops.matmul(spelt(a), spelt(b))], [fl.ops.matmul(a, b)])
    assert_same_bits([fl.ops.relu(spelt(a))], [fl.ops.relu(a)])
    params, plain = [spelt(a.copy())], [a.copy()]
    fl.Adam().step(params, [spelt(a)])
    fl.Adam().step(plain, [a])
    np.testing.assert_array_equal(params[0], plain[0])


# --- masks ---


def test_masked_elements_are_refused_wherever_they_are_given(data):
    X, y = data
    model = network()
    model.fit(X, y)
    masks = np.ma.masked_greater
    rows, labels, weight = masks(X, 1.0), masks(y, 0), masks(np.arange(N, dtype=float), 30)
    for argument, call in {
        "X": lambda: model.fit(rows, y),
        "y": lambda: model.fit(X, labels),
        "sample_weight": lambda: model.fit(X, y, sample_weight=weight),
        "X ": lambda: model.fit(X, y, validation_data=(rows, y)),
        "y ": lambda: model.fit([(X, y), (X, labels)]),
        "X  ": lambda: model.predict(rows),
        "X   ": lambda: model.predict(list(rows)),
        "y  ": lambda: model.evaluate(X, labels),
        "X    ": lambda: model.partial_fit(rows, y),
        "y   ": lambda: model.train_on_batch(X, labels),
        "y    ": lambda: model.loss_and_gradients(X, labels),
        "y     ": lambda: fl.fit_many([model], X, labels, verbose=0),
        "weights": lambda: model.set_weights([masks(w, 0.0) for w in model.get_weights()]),
    }.items():
        with refuses(ValueError, rf"{argument.strip()}.* has \d+ masked elements"):
            call()
    with refuses(ValueError, "masked"):
        line().fit(np.ones((2, 1)), [1.0, np.ma.masked])


def test_masked_elements_are_refused_in_what_functions_give_and_in_steps():
    theta, masked = np.ones(2), np.ma.masked_array([1.0, 2.0], [False, True])
    optimizer = fl.SGD(0.1)
    with refuses(ValueError, r"SGD.step: grads has 1 masked elements"):
        optimizer.step([theta, np.ones(1)], [masked, np.ones(1)])
    with refuses(ValueError, r"SGD.step: params has 1 masked elements"):
        optimizer.step([masked], [theta])
    assert theta.tolist() == [1, 1]
    assert optimizer.state_dict()["step"] == 0
    with refuses(ValueError, r"minimize: fun\(x\)\[1\] has 1 masked elements"):
        fl.minimize(lambda x: (float(x @ x), np.ma.masked_array(2 * x, masked.mask)), theta)

    def squares(y_true, y_pred):
        error = y_pred - y_true
        return (error**2)[:, 0], np.ma.masked_greater(2 * error, -100.0)

    model = line()
    model.build(1)
    model.compile("sgd", squares)
    with unchanged(model), refuses(ValueError, r"gradients of 'squares' has 2 masked elements"):
        model.fit(np.ones((2, 1)), np.ones(2))


class Variable:
    """As files of netCDF have them: an array when it is asked for one, with a mask."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None):
        return self.array


def test_a_mask_behind_an_array_is_seen(data):
    X, y = data
    with refuses(ValueError, "X has 2 masked elements"):
        network().fit(Variable(np.ma.masked_array(X, np.arange(X.size).reshape(X.shape) < 2)), y)
    with refuses(ValueError, "X has 1 masked elements"):
        network().fit([*X.tolist()[:-1], np.ma.masked_array(X[-1], [True, False, False])], y)


def test_a_refused_mask_has_changed_nothing(data):
    X, y = data
    model = network()
    model.fit(X, y)
    with unchanged(model), refuses(ValueError, "masked"):
        model.fit(np.ma.masked_less(X, 0), y)


def test_masked_arrays_without_masked_elements_are_arrays(data):
    X, y = data
    model, twin = network(), network()
    model.fit(np.ma.masked_array(X), np.ma.masked_greater(y, 5), sample_weight=np.ma.masked_array(np.ones(N)))
    twin.fit(X, y, sample_weight=np.ones(N))
    assert_same_model(model, twin)


# --- one axis ---


@pytest.mark.parametrize("convert", [np.array, list, np.float32])
def test_a_column_without_its_second_axis_is_told_how_to_become_one(convert, rng):
    x, y = convert(rng.normal(size=N).tolist()), rng.normal(size=N)
    for model in (line(), line()):
        for call in (
            lambda m=model: m.fit(x, y),
            lambda m=model: m.fit(x, list(y)),
            lambda m=model: m.partial_fit(x, y),
            lambda m=model: m.train_on_batch(x, y),
            lambda m=model: m.evaluate(x, y),
            lambda m=model: fl.fit_many([m], x, y, verbose=0),
            lambda m=model: m.fit(np.ones((4, 1)), np.ones(4), validation_data=(x, y)),
        ):
            with refuses(ValueError, r"X has shape \(40,\); expected .*one column is X\[:, None\]"):
                call()
        model.build(1)
        with refuses(ValueError, r"one column is X\[:, None\]"):
            model.predict(x)


def test_a_row_without_its_first_axis_is_told_how_to_become_one(data):
    model = network()
    model.fit(*data)
    for call in (lambda: model.predict(data[0][0]), lambda: model.evaluate(data[0][0], data[1][:1])):
        with refuses(ValueError, r"one row is X\[None\]"):
            call()
