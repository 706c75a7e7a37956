"""Batches that an iterable gives one by one: a list, a generator, a loader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.data import Data, as_rows
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.network import Network
    from fallline.typing import Array


def are_batches(value: Any, *, labelled: bool = False) -> bool:
    """Tell whether a value gives batches when it is iterated, and is no table of rows itself.

    Where only labelled batches are expected, (X, y) is none of them but a pair of arrays.

    Example:
        >>> rows = np.ones((3, 2))
        >>> are_batches([rows, rows]), are_batches((rows, rows), labelled=True), are_batches([[1, 2], [3, 4]])
        (True, False, False)
    """
    if hasattr(value, "__array__") or hasattr(value, "shape") or isinstance(value, str | bytes | Mapping):
        return False
    if isinstance(value, list | tuple):
        return any(_is_labelled(first) or (not labelled and _rank(first) == 2) for first in value[:1])
    return isinstance(value, Iterable)


def _is_labelled(batch: Any) -> bool:
    return isinstance(batch, list | tuple) and _rank(batch) == 3


def _rank(value: Any) -> int:
    if isinstance(value, list | tuple):
        return 1 + (_rank(value[0]) if value else 0)
    return len(getattr(value, "shape", ()))


def unpacked(batch: Any, where: str) -> tuple[Any, Any, Any]:
    """Return X, y and sample_weight or None of a batch."""
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        size = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
        got = f"is a {type(batch).__name__}{size}"
        raise TypeError(message(where, "batch", got, "(X, y) or (X, y, sample_weight)"))
    X, y, *weight = batch
    return X, y, weight[0] if weight else None


def refuse_beside(operation: str, **given: Any) -> None:
    """Refuse arguments that each batch brings itself."""
    for argument, value in given.items():
        if value is not None:
            got = "is given beside batches"
            raise ValueError(
                message(operation, argument, got, "batches (X, y, sample_weight) that bring their own")
            )


class Measured:
    """What metrics need of the batches so far: outputs, labels and weights."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self._outputs: list[Array] = []
        self._targets: list[Array] = []
        self._weights: list[Array | None] = []

    def room(self, data: Data, outputs: int, dtype: str, where: str) -> Array | None:
        """Return an array for the outputs of a batch, or None if nobody wants them."""
        if not self.wanted:
            return None
        if self._targets and data.y.ndim != self._targets[0].ndim:
            expected = f"{self._targets[0].ndim} dimensions, as in the batches before"
            raise ValueError(message(where, "y", f"has shape {data.y.shape}", expected))
        return np.empty((len(data.x), outputs), dtype)

    def add(self, data: Data, output: Array | None) -> None:
        """Keep a batch; copies, as a generator may write the next one into the same memory."""
        if output is not None:
            self._outputs.append(output)
            self._targets.append(data.y.copy())
            self._weights.append(None if data.weight is None else data.weight.copy())

    def joined(self) -> tuple[Data, Array | None]:
        """Return labels and weights, as the data of all batches, and the outputs; x is not kept."""
        if not self._outputs:
            nothing = np.empty(0)
            return Data(nothing, nothing, None), None
        output = np.concatenate(self._outputs)
        weight = None
        if any(w is not None for w in self._weights):
            pairs = zip(self._weights, self._outputs, strict=True)
            weight = np.concatenate([np.ones(len(o), o.dtype) if w is None else w for w, o in pairs])
        return Data(output, np.concatenate(self._targets), weight), output

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Take what an earlier process had gathered."""
        self._outputs, self._targets, self._weights = [kept["outputs"]], [kept["targets"]], [kept["weights"]]

    def clear(self) -> None:
        """Forget the batches."""
        self._outputs, self._targets, self._weights = [], [], []


def checked(
    model: Network, batches: Iterable[Any], operation: str, argument: str
) -> Iterator[tuple[Data, str]]:
    """Go once through labelled batches, each checked and with the words for errors about it."""
    number = -1
    for number, batch in enumerate(batches):
        where = f"{operation}({argument}[{number}])"
        network, data = model.data(*unpacked(batch, where), where, measured=True, part=True)
        model.adopt(network)
        yield data, where
    if number < 0:
        raise empty(operation, argument)


def empty(operation: str, argument: str) -> ValueError:
    """Return the error for an iterable that gives nothing."""
    return ValueError(message(operation, argument, "gives no batches", "at least one"))


def weightless(operation: str, argument: str) -> ValueError:
    """Return the error for batches whose rows all have the weight 0."""
    return ValueError(message(operation, argument, "gives weights that are all 0", "at least one > 0"))


def measure(model: Network, batches: Iterable[Any], operation: str, argument: str) -> dict[str, float]:
    """Return evaluate() of all batches together."""
    sums, measured = (0.0, 0.0), Measured(bool(model.metrics))
    for data, where in checked(model, batches, operation, argument):
        network = model._built(operation)
        output = measured.room(data, network.outputs, model.dtype, where)
        sums = network.add_losses(*data, *sums, output)
        measured.add(data, output)
    if sums[1] == 0:
        raise weightless(operation, argument)
    return {"loss": model._built(operation).total_loss(*sums)} | model.scores(*measured.joined())


def predict(model: Network, batches: Iterable[Any], operation: str, argument: str) -> Array:
    """Return the outputs for the rows of all batches, whether labelled or not."""
    parts = []
    for number, batch in enumerate(batches):
        where = f"{operation}({argument}[{number}])"
        given = batch[0] if _is_labelled(batch) else batch
        rows = as_rows(given, where, model.dtype, model.inputs, model.names.columns)
        network = model.made_for(rows.shape[1], where)
        model._computing[0].check_rows(rows, where)
        model.adopt(network)
        parts.append(network.predict(rows))
    if not parts:
        raise empty(operation, argument)
    return np.concatenate(parts)
