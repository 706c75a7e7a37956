"""What all layers share: what they tell the core, their width, their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.declaration import Declaration
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike


class Layer(Declaration):
    """Base of layers. A layer is a declaration; a model works on copies, so one can be used in many models.

    Its weights are those of the model it belongs to: `model.layers[0].kernel`.
    """

    _network: _core.Network | None = None
    _parameters: Mapping[str, int] = {}

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know: {"kind": ..., numbers}."""
        raise NotImplementedError(
            f"{type(self).__name__}.spec: is not defined; expected a subclass to define it"
        )

    def output_width(self, inputs: int) -> int:
        """Return how many numbers come out of a row of `inputs` numbers."""
        return inputs

    def last_activation(self) -> str | None:
        """Return the activation that the layer ends with, or None if it hands on what came in."""
        return None

    def initializer(self, parameter: str, activation: str) -> Any:
        """Return the initializer of a parameter, given the activation that follows the layer's product."""
        raise NotImplementedError(
            f"{type(self).__name__}.initializer: no rule for {parameter!r} before {activation!r}"
        )

    def bind(self, network: _core.Network, parameters: Mapping[str, int]) -> None:
        """Join the layer to its model's network; parameters maps names to places in get_weights()."""
        self._network, self._parameters = network, parameters

    def get_parameter(self, name: str) -> Array:
        """Return a copy of one weight array, by name.

        Raises:
            RuntimeError: the layer has no weights yet.
            ValueError: the layer has no weights of the name.
        """
        network, index = self._place(name)
        return network.get_parameter(index)

    def set_parameter(self, name: str, value: ArrayLike) -> None:
        """Write one weight array, by name.

        Raises:
            RuntimeError: the layer has no weights yet.
            ValueError: no weights of the name, or a wrong shape.
        """
        network, index = self._place(name)
        shape = network.parameters[index][2]
        network.set_parameter(index, as_weight(value, shape, network.dtype, type(self).__name__, name))

    def _place(self, name: str) -> tuple[_core.Network, int]:
        kind = type(self).__name__
        if self._network is None:
            expected = (
                "a layer of a built model, e.g. model.layers[0] after model.build(n) or model.fit(X, y)"
            )
            raise RuntimeError(message(kind, name, "does not exist yet", expected))
        if name not in self._parameters:
            raise ValueError(message(kind, name, "does not exist", f"one of {list(self._parameters)}"))
        return self._network, self._parameters[name]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_network", "_parameters")}


def as_weight(value: ArrayLike, shape: tuple[int, ...], dtype: str, operation: str, argument: str) -> Array:
    """Return value as a contiguous array of the model's dtype, checked for its shape."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(message(operation, argument, f"has dtype {array.dtype}", "numbers"))
    if array.shape != shape:
        raise ValueError(message(operation, argument, f"has shape {array.shape}", f"{shape}"))
    return np.ascontiguousarray(array, dtype)
