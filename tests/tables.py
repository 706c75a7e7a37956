"""Tables of several libraries, and a model to learn from them."""

from __future__ import annotations

import pandas as pd
import pytest

import fallline as fl

N, NAMES = 96, ["a", "b", "c", "d"]


def rows(rng):
    """(X, y) whose columns count for very different things."""
    X = rng.normal(size=(N, 4)) * [1, 2, 3, 4]
    return X, X @ [1.0, -2.0, 3.0, -4.0]


def network(outputs=1, seed=0, optimizer="adam", **options):
    model = fl.Model([fl.Dense(5, "tanh"), fl.Dense(outputs)], seed=seed, dtype="float64")
    model.compile(optimizer, "mse", **options)
    return model


def of_pandas(columns):
    return pd.DataFrame(columns)


def of_polars(columns):
    return pytest.importorskip("polars").DataFrame(columns)


def of_arrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


LIBRARIES = [of_pandas, of_polars, of_arrow]


def table(X, names=NAMES, make=of_pandas):
    return make({name: X[:, NAMES.index(name)] for name in names})
