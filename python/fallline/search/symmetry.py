"""Networks that differ by the order or the signs of hidden units are one and the same function."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fallline.errors import message
from fallline.layers import Activation, Dense, Dropout, Input, Layer, Rescale

if TYPE_CHECKING:
    from fallline.model import Model
    from fallline.typing import Float64Array

# Activations with f(−z) = c − f(z), and c: a unit whose incoming weights change sign can be made good for after it.
MIRRORED = {"hard_sigmoid": 1.0, "linear": 0.0, "sigmoid": 1.0, "softsign": 0.0, "tanh": 0.0}


class _Weights(NamedTuple):
    """Of one fully connected layer; mirror is the c of its activation, or None."""

    kernel: Float64Array
    bias: Float64Array
    use_bias: bool
    mirror: float | None


def check_stack(layers: Sequence[Layer], operation: str) -> None:
    """Refuse all but fully connected layers and what acts on each number alone.

    Raises:
        ValueError: another layer, which may tell its units apart.
    """
    for i, layer in enumerate(layers):
        if type(layer) is not Dense and not isinstance(layer, Activation | Dropout | Input | Rescale):
            expected = (
                "Dense, Activation, Dropout or Rescale, to compare weights; merge='outputs' takes all layers"
            )
            raise ValueError(message(operation, f"layers[{i}]", f"is {layer!r}", expected))


def canonical(model: Model) -> Float64Array:
    """Return all weights, flat, of the same function with its hidden units in order: by bias, then by outgoing norm.

    Before that, units whose activation allows it are given the sign that makes their largest incoming weight positive.
    """
    layers: list[_Weights] = []
    for layer in model.layers:
        if isinstance(layer, Dense):
            bias = layer.bias if layer.use_bias else np.zeros(layer.units)
            mirror = MIRRORED.get(layer.activation)
            layers.append(_Weights(layer.kernel.astype(float), bias.astype(float), layer.use_bias, mirror))
        elif layers and (isinstance(layer, Rescale) or layer.last_activation() not in (None, "linear")):
            plain = layers[-1].mirror == 0 and not isinstance(layer, Rescale)
            mirror = MIRRORED.get(layer.last_activation() or "") if plain else None
            layers[-1] = layers[-1]._replace(mirror=mirror)
    for hidden, after in itertools.pairwise(layers):
        incoming = np.vstack([hidden.kernel, hidden.bias])
        largest = incoming[np.abs(incoming).argmax(axis=0), np.arange(len(hidden.bias))]
        turned = (largest < 0) & (hidden.mirror == 0 or (hidden.mirror is not None and after.use_bias))
        signs = np.where(turned, -1.0, 1.0)
        after.bias[:] += (hidden.mirror or 0.0) * after.kernel[turned].sum(axis=0)
        order = np.lexsort((np.linalg.norm(after.kernel, axis=1), signs * hidden.bias))
        hidden.kernel[:], hidden.bias[:] = (signs * hidden.kernel)[:, order], (signs * hidden.bias)[order]
        after.kernel[:] = (signs[:, np.newaxis] * after.kernel)[order]
    return np.concatenate([array.ravel() for each in layers for array in (each.kernel, each.bias)])
