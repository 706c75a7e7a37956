"""What a search has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fallline.checks import integer

if TYPE_CHECKING:
    from fallline.model import Model
    from fallline.typing import Array, ArrayLike, Float64Array


class Minimum(NamedTuple):
    """Where one start has led.

    Attributes:
        x: the last point; for optimizers that keep it, the best.
        value: of the function at x.
        gradient: at x, of its shape; None if the optimizer does not ask for it.
        iterations: made.
        evaluations: calls of the function.
        trajectory: (iterations + 1, *shape of x), the points, the start first; None if they were not kept.
        values: (iterations + 1,), the function at each of them.
        stop_reason: why it ended, in words.
    """

    x: Float64Array
    value: float
    gradient: Float64Array | None
    iterations: int
    evaluations: int
    trajectory: Float64Array | None
    values: Float64Array
    stop_reason: str

    def __repr__(self) -> str:
        return (
            f"Minimum: {self.value:.6g} at {short(self.x)}\n"
            f"{_counted(self.iterations, 'iteration')}, {self.evaluations:,} evaluations; {self.stop_reason}"
        )


class Basin(NamedTuple):
    """A minimum, and all that fell into it.

    Attributes:
        minimum: the lowest end in it.
        starts: numbers of the starts that led here, counted from 0.
    """

    minimum: Minimum
    starts: Array

    @property
    def x(self) -> Float64Array:
        """The lowest point of the basin that was found."""
        return self.minimum.x

    @property
    def value(self) -> float:
        """Of the function there."""
        return self.minimum.value

    def __repr__(self) -> str:
        return f"Basin: {self.value:.6g} at {short(self.x)}, {_counted(len(self.starts), 'start')}"


class Minima(NamedTuple):
    """Where many starts have led; prints as a table.

    Attributes:
        basins: the lowest first.
        starts: (k, *shape of x).
        labels: (k,), the number of the basin that each start fell into; -1 if the function was not finite on its way.
        merged: starts that were given up because they had met a lower one.
        evaluations: calls of the function.
        saved: iterations that the merged ones would have made to get as far as those who went on for them, or to
            max_iterations; an estimate.
    """

    basins: tuple[Basin, ...]
    starts: Float64Array
    labels: Array
    merged: int
    evaluations: int
    saved: int

    @property
    def best(self) -> Minimum:
        """The lowest minimum."""
        return self.basins[0].minimum

    @property
    def x(self) -> Float64Array:
        """Where the lowest minimum is."""
        return self.best.x

    @property
    def value(self) -> float:
        """Of the function there."""
        return self.best.value

    def __repr__(self) -> str:
        work = f"{self.evaluations:,} evaluations"
        title = _title(self.labels, len(self.basins), work, self.merged, self.saved, "iterations")
        rows = [
            (f"{b.value:.6g}", f"{len(b.starts)}", short(b.x), b.minimum.stop_reason) for b in self.basins
        ]
        return table(title, ("value", "starts", "x", "stopped because"), rows)


class ModelBasin(NamedTuple):
    """A minimum of a model's loss, and all starts that found it.

    Attributes:
        model: with the lowest loss in it.
        scores: what Model.evaluate says of it on the rows it was trained on: "loss" and the metrics.
        starts: numbers of the starts that led here, counted from 0.
        epochs: that the model has made.
        stop_reason: why it ended, in words.
    """

    model: Model
    scores: dict[str, float]
    starts: Array
    epochs: int
    stop_reason: str

    @property
    def loss(self) -> float:
        """Loss of the model."""
        return self.scores["loss"]

    def __repr__(self) -> str:
        return f"ModelBasin: loss {self.loss:.6g}, {_counted(len(self.starts), 'start')}"


class MultiStart(NamedTuple):
    """What many starts of a model have found; prints as a table.

    Attributes:
        basins: the lowest loss first.
        labels: (starts,), the number of the basin that each fell into; -1 if its loss was not finite.
        merged: starts that were given up because a better one did the same.
        epochs: made by all starts.
        saved: epochs that the merged ones would have made to get as far as those who went on for them, or to `epochs`
            for one start; an estimate.
    """

    basins: tuple[ModelBasin, ...]
    labels: Array
    merged: int
    epochs: int
    saved: int

    @property
    def best(self) -> Model:
        """The model with the lowest loss."""
        return self.basins[0].model

    def predict(self, X: ArrayLike, basins: int | None = None) -> Array:
        """Return the mean of what the models of the basins put out, (n, outputs): an ensemble of distinct ones.

        Args:
            X: (n, inputs).
            basins: how many, the lowest first. Default None: all.
        """
        most = len(self.basins)
        used = most if basins is None else integer("MultiStart.predict", "basins", basins, low=1, high=most)
        outputs = [basin.model.predict(X) for basin in self.basins[:used]]
        mean: Array = np.mean(outputs, axis=0)
        return mean

    def __repr__(self) -> str:
        title = _title(
            self.labels, len(self.basins), f"{self.epochs:,} epochs", self.merged, self.saved, "epochs"
        )
        names = list(self.basins[0].scores)
        rows = [
            (*(f"{b.scores[name]:.6g}" for name in names), f"{len(b.starts)}", f"{b.epochs:,}", b.stop_reason)
            for b in self.basins
        ]
        head = (*names, "starts", "epochs", "stopped because")
        return table(title, head, rows, numbers=len(names) + 2)


def _title(labels: Array, basins: int, work: str, merged: int, saved: int, unit: str) -> str:
    lost = np.count_nonzero(labels < 0)
    merging = f"; {merged} merged, which saved {saved:,} {unit}" if merged else ""
    starts = f"{_counted(len(labels), 'start')}{f' ({lost} lost)' if lost else ''}"
    return f"{_counted(basins, 'basin')}, {starts}, {work}{merging}"


def _counted(n: int, thing: str) -> str:
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 2) -> str:
    """Return a title and rows below their heads; the first columns are numbers, long tables lose their middle.

    Example:
        >>> print(table("two", ("value", "starts", "x"), [("1", "20", "0.25"), ("12", "3", "3")]))
        two
        value  starts  x
            1      20  0.25
           12       3  3
    """
    shown = [*rows[:10], ("...",) * len(head), *rows[-3:]] if len(rows) > 14 else rows
    widths = [max(map(len, column)) for column in zip(head, *shown, strict=True)]
    lines = [
        "  ".join(
            f"{cell:>{w}}" if i < numbers else f"{cell:<{w}}"
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *shown)
    ]
    return "\n".join([title, *map(str.rstrip, lines)])


def short(x: Any) -> str:
    """Return a point on one line, e.g. for a table.

    Example:
        >>> short(np.array([1.0, 0.5])), short(np.zeros(100))
        ('[1, 0.5]', '[0, 0, 0, ..., 0]')
    """
    flat = [f"{value:.6g}" for value in np.ravel(x)]
    if np.ndim(x) == 0:
        return flat[0]
    return f"[{', '.join(flat if len(flat) <= 4 else [*flat[:3], '...', flat[-1]])}]"
