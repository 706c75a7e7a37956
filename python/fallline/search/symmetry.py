"""Networks that differ by the order or the signs of hidden units are one and the same function."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fallline.errors import message
from fallline.layers import Activation, Dense, Dropout, Input, Layer, Rescale

if TYPE_CHECKING:
    from fallline.model import Model
    from fallline.typing import Float64Array

ODD = frozenset({"linear", "softsign", "tanh"})  # activations with f(−z) = −f(z)


def check_stack(layers: Sequence[Layer], operation: str) -> None:
    """Refuse all but fully connected layers and what acts on each number alone.

    Raises:
        ValueError: another layer, which may tell its units apart.
    """
    for i, layer in enumerate(layers):
        if not isinstance(layer, Dense | Activation | Dropout | Input | Rescale):
            expected = (
                "Dense, Activation, Dropout or Rescale, to compare weights; merge='outputs' takes all layers"
            )
            raise ValueError(message(operation, f"layers[{i}]", f"is {layer!r}", expected))


def canonical(model: Model) -> Float64Array:
    """Return all weights, flat, of the same function with its hidden units in order: by bias, then by outgoing norm.

    Units with an odd activation are given the sign that makes their largest incoming weight positive.
    """
    stack: list[
        tuple[Float64Array, Float64Array, bool]
    ] = []  # incoming weights with the bias below, bias, oddness
    for layer in model.layers:
        if isinstance(layer, Dense):
            kernel = layer.kernel.astype(np.float64)
            bias = layer.bias.astype(np.float64) if layer.use_bias else np.zeros(layer.units)
            stack.append((kernel, bias, layer.activation in ODD))
        elif stack and layer.last_activation():
            kernel, bias, odd = stack[-1]
            stack[-1] = kernel, bias, odd and layer.last_activation() in ODD
    for (kernel, bias, odd), (outgoing, _, _) in itertools.pairwise(stack):
        incoming = np.vstack([kernel, bias])
        largest = incoming[np.abs(incoming).argmax(axis=0), np.arange(len(bias))]
        signs = np.where(odd & (largest < 0), -1, 1)
        order = np.lexsort((np.linalg.norm(outgoing, axis=1), signs * bias))
        kernel[:], bias[:] = (signs * kernel)[:, order], (signs * bias)[order]
        outgoing[:] = (signs[:, np.newaxis] * outgoing)[order]
    return np.concatenate([array.ravel() for kernel, bias, _ in stack for array in (kernel, bias)])
