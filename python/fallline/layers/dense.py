"""A fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallline import activations, constraints, initializers, regularizers
from fallline.checks import flag, integer
from fallline.constraints import MaxNorm
from fallline.layers.layer import Layer
from fallline.regularizers import Regularizer

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike


class Dense(Layer):
    """activation(x·kernel + bias).

    Args:
        units: numbers that come out of a row, 1 to 2**24.
        activation: a name, e.g. "relu", or None: linear. Default None.
        use_bias: add a bias. Default True.
        kernel_initializer: a name, an Initializer, or a function of shape and generator. Default "auto":
            He-normal before ReLU and its kin, LeCun-normal before SELU, Glorot-uniform otherwise.
        bias_initializer: the same, for the bias. Default "zeros".
        kernel_regularizer: a Regularizer, e.g. L2(1e-4), or None. Default None.
        bias_regularizer: the same, for the bias. Default None.
        kernel_constraint: a MaxNorm, or None. Default None.

    Shapes:
        x (n, inputs), kernel (inputs, units), bias (units,) -> (n, units).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: units out of range, or an unknown name.

    Example:
        >>> import fallline as fl
        >>> model = fl.Model([fl.Input(2), fl.Dense(3, activation="relu")])
        >>> model.layers[1].kernel.shape
        (2, 3)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "auto",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Regularizer | str | None = None,
        bias_regularizer: Regularizer | str | None = None,
        kernel_constraint: MaxNorm | None = None,
    ) -> None:
        kind = type(self).__name__
        self.units = integer(kind, "units", units, low=1, high=2**24)
        self.activation = activations.resolve(activation, kind)
        self.use_bias = flag(kind, "use_bias", use_bias)
        self.kernel_initializer = initializers.check(kernel_initializer, kind, "kernel_initializer")
        self.bias_initializer = initializers.check(bias_initializer, kind, "bias_initializer")
        self.kernel_regularizer = regularizers.check(kernel_regularizer, kind, "kernel_regularizer")
        self.bias_regularizer = regularizers.check(bias_regularizer, kind, "bias_regularizer")
        self.kernel_constraint = constraints.check(kernel_constraint, kind, "kernel_constraint")

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {
            "kind": "dense",
            "units": self.units,
            "activation": self.activation,
            "use_bias": self.use_bias,
            **regularizers.spec("kernel", self.kernel_regularizer),
            **regularizers.spec("bias", self.bias_regularizer),
            **constraints.spec("kernel", self.kernel_constraint),
        }

    def output_width(self, inputs: int) -> int:  # noqa: ARG002
        """Return units."""
        return self.units

    def last_activation(self) -> str:
        """Return the layer's activation."""
        return self.activation

    def initializer(self, parameter: str, activation: str) -> Any:
        """Return the initializer of "kernel" or "bias"; "auto" looks at the activation that follows."""
        rule = self.kernel_initializer if parameter == "kernel" else self.bias_initializer
        return initializers.made(rule, activation)

    @property
    def kernel(self) -> Array:
        """The weights (inputs, units): a copy; assign to change them."""
        return self.get_parameter("kernel")

    @kernel.setter
    def kernel(self, value: ArrayLike) -> None:
        self.set_parameter("kernel", value)

    @property
    def bias(self) -> Array:
        """The bias (units,): a copy; assign to change it."""
        return self.get_parameter("bias")

    @bias.setter
    def bias(self, value: ArrayLike) -> None:
        self.set_parameter("bias", value)
