"""What tables and columns of pandas, polars and pyarrow hold becomes numbers, or is named."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import fallline as fl
from fallline import frames
from helpers import assert_same_bits, refuses, unchanged
from tables import LIBRARIES, NAMES, N, network, of_arrow, of_polars, rows, table


@pytest.fixture
def data(rng):
    return rows(rng)


@pytest.mark.parametrize("make", LIBRARIES)
def test_columns_of_several_kinds_are_numbers(make, rng):
    columns = {
        "flag": rng.integers(0, 2, N).astype(bool),
        "count": rng.integers(0, 9, N),
        "small": rng.integers(0, 9, N).astype(np.uint8),
        "half": rng.normal(size=N).astype(np.float32),
        "whole": rng.normal(size=N),
    }
    X = np.column_stack(list(columns.values())).astype(np.float64)
    y = X[:, 4] - X[:, 0]
    model, twin = network(), network()
    model.fit(make(columns), y, epochs=2)
    twin.fit(X, y, epochs=2)
    assert_same_bits(model.get_weights(), twin.get_weights())
    assert_same_bits([model.predict(make(columns))], [twin.predict(X)])


def numbers_of_pandas():
    yield "nullable integers", lambda x: x.astype("Int64"), float
    yield "nullable floats", lambda x: x.astype("Float64"), float
    yield "nullable booleans", lambda x: (x > 0).astype("boolean"), float
    yield "categories of numbers", lambda x: x.astype("category"), float
    yield (
        "Python's numbers",
        lambda x: pd.Series([bool(i) if i == 1 else int(i) for i in x], dtype=object),
        float,
    )
    yield "decimals", lambda x: pd.Series([Decimal(int(i)) for i in x], dtype=object), float
    yield "sparse", lambda x: x.astype(pd.SparseDtype("float64", 0.0)), float


@pytest.mark.parametrize("convert", [pytest.param(c, id=name) for name, c, _ in numbers_of_pandas()])
def test_columns_of_pandas_own_types_are_numbers(convert, rng):
    plain = pd.DataFrame(rng.integers(-3, 4, (N, 2)).astype(float), columns=["a", "b"])
    own = plain.assign(a=convert(plain["a"]))
    X = np.column_stack([np.array([float(v) for v in own["a"]]), plain["b"]])
    y = X @ [1.0, 2.0]
    model, twin = network(), network()
    model.fit(own, pd.Series(y, dtype="Float64"), sample_weight=pd.Series(np.arange(N), dtype="Int64"))
    twin.fit(X, y, sample_weight=np.arange(N))
    assert_same_bits(model.get_weights(), twin.get_weights())


def test_arrow_columns_of_pandas_are_numbers(data):
    pytest.importorskip("pyarrow")
    X, y = data
    frame = table(X.round()).astype({"a": "int64[pyarrow]", "b": "double[pyarrow]", "c": "float[pyarrow]"})
    assert np.asarray(frame).dtype == object  # what pandas makes of it
    model, twin = network(), network()
    model.fit(frame, y)
    twin.fit(X.round(), y)
    assert_same_bits(model.get_weights(), twin.get_weights())


MISSING = {
    "nullable integers": lambda: pd.array([1, None] * 48, "Int64"),
    "nullable floats": lambda: pd.array([1.0, None] * 48, "Float64"),
    "nullable booleans": lambda: pd.array([True, None] * 48, "boolean"),
    "text": lambda: ["one", "two"] * 48,
    "dates": lambda: pd.to_datetime(["2026-01-01"] * 96),
    "categories": lambda: pd.Categorical(["x", "y"] * 48),
    "None": lambda: pd.Series([1.0, None] * 48, dtype=object),
    "complex numbers": lambda: np.ones(N, complex),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_column_that_is_no_numbers_is_named(name, data):
    X, y = data
    model = network()
    model.fit(X, y)
    frame = table(X).assign(c=MISSING[name]())
    with unchanged(model), refuses(TypeError, r"Model.fit: X has .* in the column 'c'"):
        model.fit(frame, y)
    with unchanged(model), refuses(TypeError, r"y has"):
        model.fit(X, frame["c"])
    with refuses(TypeError, "'c'"):
        model.predict(frame[["c", "a", "b", "d"]])


@pytest.mark.parametrize("make", [of_polars, of_arrow])
@pytest.mark.parametrize("values", [[1, None], [1.5, None], [True, None], ["x", "y"]], ids=str)
def test_a_column_of_another_library_that_is_no_numbers_is_named(make, values, data):
    X, y = data
    frame = make({"a": X[:, 0], "b": values * 48})
    with refuses(TypeError, r"X has .* in the column 'b'"):
        network().fit(frame, y)
    with refuses(TypeError, r"y has"):
        network().fit(X, frame["b"])


def test_missing_floats_of_numpy_are_nan_as_in_arrays(data):
    X, y = data
    model = network()
    model.fit(X, y)
    X[3, 1] = np.nan
    assert_same_bits([model.predict(table(X))], [model.predict(X)])
    assert np.isnan(model.predict(table(X))[3]).all()


def test_a_table_of_one_type_is_not_copied(data):
    frame = table(data[0])
    block = np.asarray(frame)
    array = frames.as_array(frame, "test", "X", tuple(NAMES))
    assert np.shares_memory(array, block)


# name: how a model learns from (X, y), and what it is then


def test_a_lazy_table_is_refused(data):
    lazy = of_polars({"a": data[0][:, 0]}).lazy()
    with refuses(TypeError, "X has dtype object"):
        network().fit(lazy, data[1])


def test_a_confusion_matrix_takes_columns():
    true, found = (
        pd.Series([0, 1, 1, 0], dtype="Int64"),
        pd.Series([False, True, False, False], dtype="boolean"),
    )
    np.testing.assert_array_equal(fl.confusion_matrix(true, found), [[2, 0], [1, 1]])
    with refuses(TypeError, "y_true has 1 of 2 values missing"):
        fl.confusion_matrix(true.where(true == 0, pd.NA).iloc[:2], found[:2])
    with refuses(ValueError, "masked"):
        fl.confusion_matrix(np.ma.masked_equal([0, 1], 1), [0, 1])
