"""A leaky ReLU whose slopes are learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallline import initializers
from fallline.checks import flag, number
from fallline.layers.group import ParameterGroup
from fallline.layers.layer import Layer

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike


class PReLU(Layer):
    """max(0, x) + slope·min(0, x), with learned slopes, which the optimizer's weight_decay leaves alone.

    Args:
        initial: slope at the start. Default 0.25.
        shared: one slope for all units instead of one each. Default False.

    Shapes:
        x (n, inputs), slope (inputs,) or (1,) -> (n, inputs).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: initial is not finite.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.PReLU()]).predict(np.array([[-1.0, 2.0]]))
        array([[-0.25,  2.  ]], dtype=float32)

    References:
        He et al. 2015, Delving deep into rectifiers.
    """

    _group = ParameterGroup(weight_decay=0.0)

    def __init__(self, *, initial: float = 0.25, shared: bool = False) -> None:
        self.initial = number("PReLU", "initial", initial)
        self.shared = flag("PReLU", "shared", shared)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {"kind": "prelu", "shared": self.shared}

    def initializer(self, parameter: str, activation: str) -> Any:  # noqa: ARG002
        """Return the constant initial."""
        return initializers.Constant(self.initial)

    @property
    def slope(self) -> Array:
        """The slopes (inputs,) or (1,): a copy; assign to change them."""
        return self.get_parameter("slope")

    @slope.setter
    def slope(self, value: ArrayLike) -> None:
        self.set_parameter("slope", value)
