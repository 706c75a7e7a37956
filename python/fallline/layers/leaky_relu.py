"""ReLU with a slope below 0."""

from __future__ import annotations

from typing import Any

from fallline.checks import number
from fallline.layers.activation import Activation


class LeakyReLU(Activation):
    """x for x > 0, else negative_slope·x; the slope at 0 is negative_slope.

    Args:
        negative_slope: a number >= 0. Default 0.01, as the activation "leaky_relu".

    Shapes:
        x (n, inputs) -> (n, inputs).

    Raises:
        TypeError: negative_slope is no number.
        ValueError: negative_slope out of range.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.LeakyReLU(0.25)]).predict(np.array([[-1.0, 2.0]]))
        array([[-0.25,  2.  ]], dtype=float32)

    References:
        Maas, Hannun & Ng 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__("leaky_relu")
        self.negative_slope = number("LeakyReLU", "negative_slope", negative_slope, low=0)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return super().spec() | {"parameter": self.negative_slope}
