"""A block of layers whose input is added to its output."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.errors import message
from fallline.layers.embedding import Embedding
from fallline.layers.group import ParameterGroup
from fallline.layers.input import Input
from fallline.layers.layer import Layer, activation_after

if TYPE_CHECKING:
    from typing_extensions import Self


class Residual(Layer):
    """x + layers(x).

    Args:
        layers: in the order that rows go through; they must end at the width they start with.

    Attributes:
        layers: the layers; a model has copies: `model.layers[i].layers[j].kernel` reads and assigns weights.

    Shapes:
        x (n, inputs) -> (n, inputs).

    Raises:
        TypeError: not a list of layers.
        ValueError: an empty list; when the width is known, layers that change it.

    Example:
        >>> import fallline as fl
        >>> block = fl.Residual([fl.LayerNormalization(), fl.Dense(32, activation="relu"), fl.Dense(8)])
        >>> fl.Model([fl.Input(8), block, fl.Dense(1)]).outputs
        1

    References:
        He et al. 2016, Deep residual learning.
    """

    def __init__(self, layers: Any) -> None:
        if isinstance(layers, Layer) or not np.iterable(layers):
            raise TypeError(message("Residual", "layers", f"is {layers!r}", "a list of layers"))
        made = list(layers)
        for i, layer in enumerate(made):
            if not isinstance(layer, Layer) or isinstance(layer, Input | Embedding):
                expected = "a layer that may come after others, e.g. Dense(10)"
                raise TypeError(message("Residual", f"layers[{i}]", f"is {layer!r}", expected))
        if not made:
            raise ValueError(message("Residual", "layers", "is empty", "at least one layer"))
        self.layers = made

    def __copy__(self) -> Self:
        made = type(self).__new__(type(self))
        vars(made).update(self.__getstate__(), layers=[copy.copy(layer) for layer in self.layers])
        return made

    def stages(self) -> list[dict[str, Any]]:
        """Return a fork, the stages of the layers, and a join."""
        within = [
            stage | {"prefix": f"{i}." + stage.get("prefix", "")}
            for i, layer in enumerate(self.layers)
            for stage in layer.stages()
        ]
        return [{"kind": "fork"}, *within, {"kind": "join"}]

    def output_width(self, inputs: int) -> int:
        """Return inputs, after checking that the layers end there."""
        width = inputs
        for layer in self.layers:
            width = layer.output_width(width)
        if width != inputs:
            got = f"take {inputs} numbers and put out {width}"
            raise ValueError(message("Residual", "layers", got, "as many out as in, since both are added"))
        return width

    def initializer(self, parameter: str, activation: str) -> Any:  # noqa: ARG002
        """Return the initializer of a layer's parameter."""
        place, name = parameter.split(".", 1)
        return self.layers[int(place)].initializer(name, activation_after(self.layers, int(place)))

    def groups(self) -> list[tuple[str, ParameterGroup]]:
        """Return its own group, and those of its layers within it."""
        outer = self.group or ParameterGroup()
        within = [
            (f"{i}.{prefix}", group.inside(outer))
            for i, layer in enumerate(self.layers)
            for prefix, group in layer.groups()
        ]
        return super().groups() + within

    def bind(self, network: _core.Network, parameters: Mapping[str, int]) -> None:
        """Join the layers to their model's network."""
        super().bind(network, parameters)
        for i, layer in enumerate(self.layers):
            prefix = f"{i}."
            own = {k.removeprefix(prefix): v for k, v in parameters.items() if k.startswith(prefix)}
            layer.bind(network, own)
