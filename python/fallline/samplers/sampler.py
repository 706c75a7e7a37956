"""What all samplers share, and the groups of rows that some draw from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fallline import _core
from fallline.checks import unmasked
from fallline.classes import classes_of
from fallline.declaration import Declaration
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import Array

OPERATION = "Model.fit"


class Rows(NamedTuple):
    """What a sampler has to know of the rows of a fit."""

    y: Array  # labels, as the core reads them
    given: int  # before some were held out for validation: the last ones
    outputs: int  # of the network
    of_one_class: bool  # whether y has one class in each row, whatever its numbers
    without_gradients: str | None  # a layer that keeps single rows from having gradients of their own


class Sampler(Declaration):
    """Base of samplers: an epoch uses as many rows as there are, in batches that the sampler makes.

    What is drawn follows from the model's seed and its count of epochs, whatever the number of threads.
    """

    namespace = "samplers."
    name: str  # for fit(sampler=...), of those that need no arguments

    def core(self, rows: Rows) -> _core.Sampler:
        """Return the core's sampler for the rows of a fit.

        Raises:
            ValueError: it does not fit these rows.
        """
        return _core.Sampler({"name": self.name}, len(rows.y))

    def adopt(self, core: _core.Sampler) -> None:
        """Take note of the core's sampler: training with it is about to begin."""


def per_row(values: Array, argument: str, rows: Rows) -> Array:
    """Return numbers that the user has given for each row, without those of rows held out."""
    if len(values) != rows.given:
        got = f"has {argument} for {len(values)} rows"
        raise ValueError(message(OPERATION, "sampler", got, f"{rows.given}, one for each row of X"))
    return values[: len(rows.y)]


def checked_groups(kind: str, over: Any, names: tuple[str, ...]) -> Any:
    """Return `over` after checking that it is one of the names, or whole numbers >= 0 for each row."""
    expected = f"{', '.join(map(repr, names))}, or the number of each row's group, counted from 0"
    if isinstance(over, str):
        if over not in names:
            raise ValueError(message(kind, "over", f"is {over!r}", expected))
        return over
    groups = unmasked(kind, "over", over)
    if groups.ndim != 1 or groups.dtype.kind not in "iu" or not groups.size:
        got = f"has shape {groups.shape} and dtype {groups.dtype}"
        raise TypeError(message(kind, "over", got, expected))
    if groups.min() < 0 or groups.max() >= groups.size:
        got = f"has values from {groups.min()} to {groups.max()}"
        raise ValueError(message(kind, "over", got, f"0 to {groups.size - 1}: fewer groups than rows"))
    groups = groups.copy()
    groups.flags.writeable = False
    return groups


def groups_of(over: Any, rows: Rows) -> tuple[Array, int]:
    """Return the group of each row, and the number of groups."""
    if not isinstance(over, str):
        groups = per_row(over, "groups", rows)
        return groups, int(over.max()) + 1
    classes = classes_of(rows.y, rows.of_one_class)
    if classes is None:
        got = f"draws over classes, and y of shape {rows.y.shape} has none"
        expected = "integer classes or one-hot rows, or over= with the group of each row"
        raise ValueError(message(OPERATION, "sampler", got, expected))
    return classes, max(2, rows.outputs)
