"""The layers of a model, in the order that rows go through."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fallline.checks import integer
from fallline.errors import message
from fallline.layers.embedding import Embedding
from fallline.layers.group import ParameterGroup
from fallline.layers.input import Input
from fallline.layers.layer import Layer
from fallline.layers.residual import Residual


def checked(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return copies of layers that make a model."""
    if isinstance(layers, Layer) or not np.iterable(layers):
        raise TypeError(message("Model", "layers", f"is {layers!r}", "a list of layers"))
    made = tuple(layers)
    for i, layer in enumerate(made):
        if not isinstance(layer, Layer):
            raise TypeError(message("Model", f"layers[{i}]", f"is {layer!r}", "a layer, e.g. Dense(10)"))
        if i > 0 and isinstance(layer, Input):
            raise ValueError(message("Model", f"layers[{i}]", f"is {layer!r}", "Input only as first layer"))
        if isinstance(layer, Embedding) and any(not isinstance(before, Input) for before in made[:i]):
            got = f"is {layer!r}"
            raise ValueError(message("Model", f"layers[{i}]", got, "Embedding only before all that computes"))
    places: dict[int, str] = {}
    for place, layer in _all(made, "layers"):
        first = places.setdefault(id(layer), place)
        if first != place:
            got = f"is the object at {first} once more, {layer!r}"
            raise ValueError(message("Model", place, got, "a layer of its own: no weights are shared"))
    if not computing(made):
        raise ValueError(message("Model", "layers", f"is {list(made)}", "at least one layer that computes"))
    return tuple(copy.copy(layer) for layer in made)


def _all(layers: Sequence[Layer], where: str) -> Iterator[tuple[str, Layer]]:
    """Go through layers, and those within them, with their places."""
    for i, layer in enumerate(layers):
        yield f"{where}[{i}]", layer
        if isinstance(layer, Residual):
            yield from _all(layer.layers, f"{where}[{i}].layers")


def computing(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Return the layers that the core knows: all but Input."""
    return layers[1:] if layers and isinstance(layers[0], Input) else layers


def widths(layers: Sequence[Layer], inputs: int) -> Iterator[int]:
    """Go through the numbers in a row that come in and out of each layer, those within others too."""
    yield inputs
    for layer in layers:
        if isinstance(layer, Residual):
            yield from widths(layer.layers, inputs)
        inputs = layer.output_width(inputs)
        yield inputs


def specs(layers: Sequence[Layer], inputs: int) -> list[dict[str, Any]]:
    """Return what the core needs to know of the layers, for rows of `inputs` numbers."""
    width, known = inputs, computing(layers)
    for layer in known:
        width = layer.output_width(width)
    first = len(layers) - len(known)
    # Random numbers of the stages of one layer come from streams of their own.
    return [
        stage | {"index": i} | ({"stream": i + 1 + (j << 20)} if j else {})
        for i, layer in enumerate(known, first)
        for j, stage in enumerate(layer.stages())
    ]


def groups(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return what the core needs to know of layers that learn in a way of their own."""
    return [
        group.spec() | {"index": i, "prefix": prefix}
        for i, layer in enumerate(layers)
        for prefix, group in layer.groups()
    ]


def restored_groups(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what groups() has told, after checking all of it."""
    checked = []
    for group in told:
        way = ParameterGroup(
            learning_rate_factor=group["rate_factor"],
            weight_decay=group.get("weight_decay"),
            trainable=group["trainable"],
        )
        index, prefix = integer("load_model", "groups", group["index"], low=0), group["prefix"]
        if not isinstance(prefix, str):
            raise TypeError(message("load_model", "groups", f"have the prefix {prefix!r}", "a string"))
        checked.append(way.spec() | {"index": index, "prefix": prefix})
    return checked
