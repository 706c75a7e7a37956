"""The exponential linear unit."""

from __future__ import annotations

from typing import Any

from fallline.checks import number
from fallline.layers.activation import Activation


class ELU(Activation):
    """x for x > 0, else alpha·(exp(x) − 1); the slope at 0 is alpha.

    Args:
        alpha: a number >= 0; the output stays above -alpha. Default 1, as the activation "elu".

    Shapes:
        x (n, inputs) -> (n, inputs).

    Raises:
        TypeError: alpha is no number.
        ValueError: alpha out of range.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.ELU(0.5)]).predict(np.array([[-100.0, 2.0]]))
        array([[-0.5,  2. ]], dtype=float32)

    References:
        Clevert, Unterthiner & Hochreiter 2016, Fast and Accurate Deep Network Learning by ELUs.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__("elu")
        self.alpha = number("ELU", "alpha", alpha, low=0)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return super().spec() | {"parameter": self.alpha}
