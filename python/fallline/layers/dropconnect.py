"""A fully connected layer that drops weights."""

from __future__ import annotations

from typing import Any

from fallline.checks import number
from fallline.constraints import MaxNorm
from fallline.layers.dense import Dense
from fallline.regularizers import Regularizer


class DropConnect(Dense):
    """activation(x·(kernel·m) / (1 − rate) + bias) in training, with m ~ Bernoulli(1 − rate) for each weight.

    In prediction it is Dense. Masks follow from the model's seed, the step and the place of the weight alone.

    Args:
        units: numbers that come out of a row, >= 1.
        rate: probability to drop a weight, in [0, 1). Default 0.5.
        activation: a name, e.g. "relu", or None: linear. Default None.
        use_bias: add a bias, which is never dropped. Default True.
        kernel_initializer: as for Dense. Default "auto".
        bias_initializer: the same, for the bias. Default "zeros".
        kernel_regularizer: a Regularizer or None. Default None.
        bias_regularizer: the same, for the bias. Default None.
        kernel_constraint: a MaxNorm, or None. Default None.

    Shapes:
        x (n, inputs), kernel (inputs, units), bias (units,) -> (n, units).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: an argument out of range.

    Example:
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.DropConnect(3, rate=0.2)]).layers[1].kernel.shape
        (2, 3)

    References:
        Wan et al. 2013; scaled in training, and one mask for the rows of a batch instead of one each.
    """

    def __init__(
        self,
        units: int,
        rate: float = 0.5,
        *,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "auto",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Regularizer | str | None = None,
        bias_regularizer: Regularizer | str | None = None,
        kernel_constraint: MaxNorm | None = None,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
        )
        self.rate = number("DropConnect", "rate", rate, low=0, below=1)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return super().spec() | {"kind": "dropconnect", "rate": self.rate}
