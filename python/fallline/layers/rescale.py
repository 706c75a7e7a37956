"""Rescaling of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.checks import number
from fallline.errors import message
from fallline.layers.layer import Layer

if TYPE_CHECKING:
    from fallline.typing import Array


class Rescale(Layer):
    """scale·x + offset, so that e.g. uint8 images stay uint8 in memory.

    As the first layer it computes with all digits of float64 and integers, and rounds what comes out, where an
    offset is beyond 16: so columns such as timestamps can be standardised for a float32 model.

    Args:
        scale: factor, e.g. 1 / 255: a number, or one for each column.
        offset: added afterwards: a number, or one for each column. Default 0.

    Shapes:
        x (n, inputs) -> (n, inputs).

    Raises:
        ValueError: a number that is not finite, or not one for each column.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.Rescale(1 / 255)]).predict(np.array([[0, 255]], np.uint8))
        array([[0., 1.]], dtype=float32)
    """

    def __init__(
        self,
        scale: float | Sequence[float] | Array,
        offset: float | Sequence[float] | Array = 0.0,
    ) -> None:
        self.scale = _numbers("scale", scale)
        self.offset = _numbers("offset", offset)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {"kind": "rescale", "scale": self.scale, "offset": self.offset}

    def output_width(self, inputs: int) -> int:
        """Return inputs, after checking that there is a number for each."""
        for argument, value in (("scale", self.scale), ("offset", self.offset)):
            if isinstance(value, list) and len(value) != inputs:
                raise ValueError(
                    message("Rescale", argument, f"has {len(value)} numbers", f"{inputs}, one a column")
                )
        return inputs


def _numbers(argument: str, value: Any) -> float | list[float]:
    if not isinstance(value, np.ndarray | list | tuple) or np.ndim(value) == 0:
        return number("Rescale", argument, value)
    if np.ndim(value) != 1 or np.size(value) == 0:
        got = f"has shape {np.shape(value)}"
        raise ValueError(message("Rescale", argument, got, "a number or a list of one for each column"))
    return [number("Rescale", f"{argument}[{i}]", item) for i, item in enumerate(value)]
