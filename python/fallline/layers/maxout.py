"""Units whose activation is learned piece by piece."""

from __future__ import annotations

from typing import Any

from fallline.checks import integer
from fallline.constraints import MaxNorm
from fallline.layers.dense import Dense
from fallline.regularizers import Regularizer


class Maxout(Dense):
    """max_j (x·kernel_j + bias_j) over linear pieces: a learned convex activation with pieces − 1 kinks at most.

    A gradient goes to the first of the largest pieces alone. Piece j of unit c is column j·units + c of the
    kernel.

    Args:
        units: numbers that come out of a row, >= 1.
        pieces: linear pieces of each unit, >= 1. Default 2.
        use_bias: add a bias to each piece. Default True.
        kernel_initializer: as for Dense. Default "auto".
        bias_initializer: the same, for the bias. Default "zeros".
        kernel_regularizer: a Regularizer or None. Default None.
        bias_regularizer: the same, for the bias. Default None.
        kernel_constraint: a MaxNorm, or None. Default None.

    Shapes:
        x (n, inputs), kernel (inputs, pieces·units), bias (pieces·units,) -> (n, units).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: an argument out of range.

    Example:
        >>> import fallline as fl
        >>> model = fl.Model([fl.Input(2), fl.Maxout(3, pieces=4)])
        >>> model.layers[1].kernel.shape, model.outputs
        ((2, 12), 3)

    References:
        Goodfellow et al. 2013, Maxout networks.
    """

    def __init__(
        self,
        units: int,
        pieces: int = 2,
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "auto",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Regularizer | str | None = None,
        bias_regularizer: Regularizer | str | None = None,
        kernel_constraint: MaxNorm | None = None,
    ) -> None:
        super().__init__(
            units,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
        )
        self.pieces = integer("Maxout", "pieces", pieces, low=1, high=2**24 // self.units)

    def stages(self) -> list[dict[str, Any]]:
        """Return a dense layer of all pieces and the choice of the largest."""
        dense = self.spec() | {"units": self.units * self.pieces}
        return [dense, {"kind": "largest_piece", "pieces": self.pieces}]
