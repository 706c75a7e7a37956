"""Dropout."""

from __future__ import annotations

from typing import Any

from fallline.checks import number
from fallline.layers.layer import Layer


class Dropout(Layer):
    """x·m / (1 − rate) in training, with m ~ Bernoulli(1 − rate) drawn for each number; x in prediction.

    Masks follow from the model's seed, the step and the place of the number alone.

    Args:
        rate: probability to drop, in [0, 1).

    Shapes:
        x (n, inputs) -> (n, inputs).

    Raises:
        ValueError: rate out of range.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.Dropout(0.5)]).predict(np.ones((1, 2), np.float32))
        array([[1., 1.]], dtype=float32)

    References:
        Srivastava et al. 2014; scaled in training ("inverted").
    """

    def __init__(self, rate: float) -> None:
        self.rate = number("Dropout", "rate", rate, low=0, below=1)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {"kind": "dropout", "rate": self.rate}
