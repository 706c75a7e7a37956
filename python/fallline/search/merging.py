"""Which of many that go down have met: those that will end in one place need not all go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fallline.typing import Float64Array


class Aliases:
    """A forest over n starts: who has met the same stands in one tree, under the one that goes on.

    Example:
        >>> aliases, heights = Aliases(4), {0: 3.0, 1: 4.0, 2: 2.0}
        >>> aliases.join(0, 2, heights)
        >>> aliases.join(0, 1, heights)
        >>> [aliases.root(i) for i in range(4)]
        [2, 2, 2, 3]
    """

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def root(self, i: int) -> int:
        """Return the one that goes on for i."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int, values: Mapping[int, float]) -> None:
        """Let one go on for both: of the two that did, the lower."""
        higher, lower = sorted((self.root(i), self.root(j)), key=lambda root: values[root], reverse=True)
        self._parent[higher] = lower


def met(
    points: Float64Array, values: Float64Array, gradients: Float64Array | None, tolerance: float
) -> Iterator[tuple[int, int]]:
    """Yield pairs of a point and a lower one near it: ‖a − b‖ <= tolerance · (1 + ‖b‖), and no ridge between.

    Where both gradients push apart, a ridge lies between: in one dimension always, if the function is no finer than
    the tolerance; in more dimensions it is a sign.

    Args:
        points: (n, size).
        values: of the function at each.
        gradients: (n, size), or None.
        tolerance: how near.
    """
    order = np.argsort(values, kind="stable")
    norms = np.linalg.norm(points, axis=1)
    for place, lower in enumerate(order[:-1]):
        others = order[place + 1 :]
        away = points[others] - points[lower]
        near = np.linalg.norm(away, axis=1) <= tolerance * (1 + norms[lower])
        if gradients is not None:
            here, there = away @ gradients[lower], (away * gradients[others]).sum(axis=1)
            near &= ~((here >= 0) & (there <= 0) & (here > there))
        for other in others[near]:
            yield int(other), int(lower)
