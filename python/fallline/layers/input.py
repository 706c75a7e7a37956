"""The width of the data."""

from __future__ import annotations

from fallline.checks import integer
from fallline.layers.layer import Layer


class Input(Layer):
    """Rows of n numbers come in; the model's weights are made at once. Only as first layer.

    Args:
        n: numbers in a row, >= 1.

    Shapes:
        x (rows, n) -> (rows, n).

    Raises:
        ValueError: n < 1.

    Example:
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.Dense(3)]).inputs
        2
    """

    def __init__(self, n: int) -> None:
        self.n = integer("Input", "n", n, low=1)
