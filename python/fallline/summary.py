"""A network as a table: output shape and number of parameters of each layer."""

from __future__ import annotations

from collections.abc import Sequence

from fallline.declaration import brief
from fallline.layers import Layer


def table(title: str, layers: Sequence[Layer], inputs: int | None, counts: Sequence[int]) -> str:
    """Return the table; inputs is the width of the rows, None before it is known, counts the parameters.

    Example:
        >>> from fallline import Dense
        >>> print(table("Net", [Dense(3, "relu")], 2, [9]))
        Net: (*, 2)
        layer                        output  parameters
        Dense(3, activation='relu')  (*, 3)           9
        total                                         9
    """
    width, built = inputs, inputs is not None
    rows = [("layer", "output", "parameters")]
    for layer, count in zip(layers, counts, strict=True):
        width = None if width is None else layer.output_width(width)
        rows.append((brief(repr(layer)), f"(*, {width})" if built else "?", f"{count:,}" if built else "?"))
    rows.append(("total", "", f"{sum(counts):,}" if built else "?"))
    first, second, third = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [f"{a:<{first}}  {b:<{second}}  {c:>{third}}" for a, b, c in rows]
    return "\n".join([f"{title}: (*, {inputs if built else '?'})", *lines])
