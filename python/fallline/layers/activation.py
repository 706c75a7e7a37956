"""An activation as a layer of its own."""

from __future__ import annotations

from typing import Any

from fallline import activations
from fallline.layers.layer import Layer


class Activation(Layer):
    """The activation of the given name.

    Args:
        name: e.g. "relu"; fallline.activations documents them.

    Shapes:
        x (n, inputs) -> (n, inputs).

    Raises:
        ValueError: an unknown name.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.Activation("relu")]).predict(np.array([[-1.0, 2.0]]))
        array([[0., 2.]], dtype=float32)
    """

    is_activation = True

    def __init__(self, name: str) -> None:
        self.name = activations.resolve(name, "Activation", "name")

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {"kind": "activation", "activation": self.name}

    def last_activation(self) -> str:
        """Return the activation's name."""
        return self.name
