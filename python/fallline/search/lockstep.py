"""Many on their way down side by side; those that meet go on as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from fallline import _core
from fallline.search.descent import Descent

D = TypeVar("D", bound=Descent)


class Lockstep(Generic[D]):
    """Descents from many starts.

    Args:
        descents: by the numbers of their starts; starts that are lost have none.
        starts: how many there are.
        met: yields (other, lower), places of pairs that have met, of a list of descents.
    """

    def __init__(
        self, descents: Mapping[int, D], starts: int, met: Callable[[Sequence[D]], Iterable[tuple[int, int]]]
    ) -> None:
        self.descents, self._met = descents, met
        self._lost = set(range(starts)) - set(descents)
        self._parent = list(range(starts))
        self._given_up: dict[int, int] = {}  # cost of the one that goes on, when they met

    def advance(self, iterations: int, every: int, merge: bool, spent: str) -> None:
        """Go on until all have stopped, or too few iterations are left for those who go on.

        Args:
            iterations: of all together.
            every: iterations of each between two looks for those that have met.
            merge: whether to look.
            spent: the reason to stop when no iterations are left.

        Raises:
            NonFiniteLoss: the last one is lost.
        """
        while going := [i for i in self.ends() if not self.descents[i].reason]:
            stride = min(every, iterations // len(going))
            if stride == 0:
                for i in going:
                    self.descents[i].reason = spent
                return
            before = sum(self.descents[i].iterations for i in going)
            self.go(going, stride)
            iterations -= sum(self.descents[i].iterations for i in going) - before
            if merge and all(self.descents[i].follows_gradient for i in self.ends()):
                for i in self.unite():
                    self._given_up[i] = self.descents[self.successor(i)].cost

    def go(self, numbers: Sequence[int], iterations: int) -> None:
        """Let some go on; what is not finite is lost."""
        for i in numbers:
            try:
                self.descents[i].advance(iterations)
            except _core.NonFiniteLoss:
                self._lost.add(i)
                if not self.ends():
                    raise

    def ends(self) -> list[int]:
        """Return the numbers of those that nobody else goes on for."""
        return [i for i in self.descents if self._parent[i] == i and i not in self._lost]

    def successor(self, i: int) -> int:
        """Return the number of the one that goes on for a start: itself, or one that it has met."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def unite(self) -> list[int]:
        """Of all that have met let the lowest go on, and return the numbers of the others."""
        ends = self.ends()
        for other, lower in self._met([self.descents[i] for i in ends]):
            roots = self.successor(ends[other]), self.successor(ends[lower])
            keeps = min(roots, key=lambda root: self.descents[root].value)
            for root in roots:
                self._parent[root] = keeps
        return [i for i in ends if self._parent[i] != i]

    def basins(self) -> dict[int, list[int]]:
        """Return, the lowest first, the number of the end in each basin, and of the starts that led to it."""
        self.unite()
        found: dict[int, list[int]] = {
            i: [] for i in sorted(self.ends(), key=lambda i: self.descents[i].value)
        }
        for i in range(len(self._parent)):
            found.get(self.successor(i), []).append(i)
        return found

    @property
    def merged(self) -> int:
        """How many were given up on their way."""
        return len(self._given_up)

    @property
    def saved(self) -> int:
        """What it would have cost to bring them as far as those who went on for them."""
        return sum(self.descents[self.successor(i)].cost - then for i, then in self._given_up.items())
