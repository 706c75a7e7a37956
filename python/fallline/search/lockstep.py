"""Many on their way down side by side; those that meet go on as one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from fallline.search.descent import Descent

D = TypeVar("D", bound=Descent)
# Yields (other, lower), places of pairs that have met, of a list of descents.
Met = Callable[[Sequence[D]], Iterable[tuple[int, int]]]


class Lockstep(ABC, Generic[D]):
    """Descents from many starts.

    Args:
        descents: by the numbers of their starts; starts that are lost have none.
        starts: how many there are.
    """

    def __init__(self, descents: Mapping[int, D], starts: int) -> None:
        self.descents = descents
        self._lost = set(range(starts)) - set(descents)
        self._parent = list(range(starts))
        self._given_up: list[int] = []
        self._limit = 0

    def advance(self, iterations: int, every: int, met: Met[D] | None, spent: str) -> None:
        """Go on until all have stopped, or too few iterations are left for those who go on.

        Args:
            iterations: for one start; all together may make so many for each.
            every: iterations of each between two looks for those that have met.
            met: finds them; None: nobody looks, and each goes on as far as it may.
            spent: the reason to stop when no iterations are left.

        Raises:
            NonFiniteLoss: the last one is lost.
        """
        self._limit, left = iterations, iterations * len(self._parent)
        every = iterations if met is None else every
        while going := [i for i in self.ends() if not self.descents[i].reason]:
            stride = min(every, left // len(going))
            if stride == 0:
                for i in going:
                    self.descents[i].reason = spent
                return
            before = sum(self.descents[i].iterations for i in going)
            self.go(going, stride)
            left -= sum(self.descents[i].iterations for i in going) - before
            if met is not None and all(self.descents[i].follows_gradient for i in self.ends()):
                self._given_up += [i for i in self.unite(met) if not self.descents[i].reason]

    @abstractmethod
    def go(self, numbers: Sequence[int], iterations: int) -> None:
        """Let some go on by so many iterations, or by less with a reason, and lose() what is not finite.

        Raises:
            NonFiniteLoss: the last one is lost.
        """

    def lose(self, numbers: Iterable[int]) -> None:
        """Give those up, and all that they went on for."""
        self._lost.update(numbers)

    def ends(self) -> list[int]:
        """Return the numbers of those that nobody else goes on for."""
        return [i for i in self.descents if self._parent[i] == i and i not in self._lost]

    def successor(self, i: int) -> int:
        """Return the number of the one that goes on for a start: itself, or one that it has met."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def unite(self, met: Met[D]) -> list[int]:
        """Of all that have met let the lowest go on, and return the numbers of the others."""
        ends = self.ends()
        for other, lower in met([self.descents[i] for i in ends]):
            roots = self.successor(ends[other]), self.successor(ends[lower])
            keeps = min(roots, key=lambda root: self.descents[root].value)
            for root in roots:
                self._parent[root] = keeps
        return [i for i in ends if self._parent[i] != i]

    def basins(self, met: Met[D]) -> dict[int, list[int]]:
        """Return, the lowest first, the number of the end in each basin, and of the starts that led to it."""
        self.unite(met)
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
        """Iterations that these would have made to get as far as those who went on for them, or to their limit."""
        ends = [self.descents[self.successor(i)].iterations for i in self._given_up]
        made = [self.descents[i].iterations for i in self._given_up]
        return sum(max(0, min(end, self._limit) - n) for end, n in zip(ends, made, strict=True))
