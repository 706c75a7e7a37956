"""Learned vectors for columns of integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import initializers
from fallline.checks import integer
from fallline.errors import message
from fallline.layers.layer import Layer

if TYPE_CHECKING:
    from fallline.typing import Array


class Embedding(Layer):
    """Columns of integers become learned vectors; the other columns pass through and come first.

    For row x: the numbers of the columns not named, in order, then table_j[x[columns[j]]] for each j. It
    reads what the rows hold, so it is the first layer of a model, or the first after Input. Integers up to
    2**24 are exact in float32 rows.

    Args:
        categories: how many integers each column knows, 0 to categories − 1: a number, or one for each of
            the columns.
        units: length of the vectors: a number, or one for each of the columns.
        columns: places of the columns of integers, from 0 or, negative, from the end. Default (0,).
        table_initializer: a name, an Initializer, or a function of shape and generator. Default "uniform":
            from -0.05 to 0.05.

    Shapes:
        x (n, inputs), table_j (categories[j], units[j]) -> (n, inputs − len(columns) + Σ units).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: an argument out of range, a column twice; with data, integers out of range.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> X = np.array([[0.5, 0, 2], [1.5, 3, 1]])  # a number and two columns of integers
        >>> model = fl.Model([fl.Embedding([4, 3], 2, columns=[1, 2]), fl.Dense(1)], seed=0)
        >>> model.predict(X).shape, model.layers[0].get_parameter("table_0").shape
        ((2, 1), (4, 2))

    References:
        Guo & Berkhahn 2016, Entity embeddings of categorical variables.
    """

    def __init__(
        self,
        categories: int | Sequence[int],
        units: int | Sequence[int],
        *,
        columns: int | Sequence[int] = (0,),
        table_initializer: Any = "uniform",
    ) -> None:
        self.columns = _integers("columns", columns, None, low=-(2**24))
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(message("Embedding", "columns", f"is {self.columns}", "each column once"))
        self.categories = _integers("categories", categories, len(self.columns), low=1)
        self.units = _integers("units", units, len(self.columns), low=1)
        self.table_initializer = initializers.check(table_initializer, "Embedding", "table_initializer")
        self._places: list[int] = []

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {
            "kind": "embedding",
            "columns": self._places,
            "categories": self.categories,
            "units": self.units,
        }

    def output_width(self, inputs: int) -> int:
        """Return the width, after checking that the columns exist."""
        places = [c + inputs if c < 0 else c for c in self.columns]
        if len(set(places)) < len(places) or not all(0 <= c < inputs for c in places):
            expected = f"different ones from 0 to {inputs - 1}, or from {-inputs} to -1"
            raise ValueError(message("Embedding", "columns", f"is {self.columns}", expected))
        self._places = places
        return inputs - len(places) + sum(self.units)

    def check_rows(self, rows: Array, operation: str) -> None:
        """Check that the columns hold integers that the tables know."""
        for column, categories in zip(self.columns, self.categories, strict=True):
            codes = rows[:, column]
            least, most = float(codes.min()), float(codes.max())
            if not (least >= 0 and most < categories) or (
                codes.dtype.kind == "f" and (codes != np.floor(codes)).any()
            ):
                got = f"has values from {least:g} to {most:g} in column {column}"
                expected = (
                    f"integers from 0 to {categories - 1}, as Embedding has {categories} categories there"
                )
                raise ValueError(message(operation, "X", got, expected))

    def initializer(self, parameter: str, activation: str) -> Any:  # noqa: ARG002
        """Return the initializer of the tables."""
        return initializers.made(self.table_initializer, activation)


def _integers(argument: str, value: Any, count: int | None, *, low: int) -> list[int]:
    """Return a list of `count` integers; one number stands for all."""
    values = list(value) if np.iterable(value) and not isinstance(value, str) else [value] * (count or 1)
    if not values or (count is not None and len(values) != count):
        expected = f"{count or 'at least one'}, one for each of columns"
        raise ValueError(message("Embedding", argument, f"has {len(values)} numbers", expected))
    return [integer("Embedding", f"{argument}[{i}]", v, low=low, high=2**24) for i, v in enumerate(values)]
