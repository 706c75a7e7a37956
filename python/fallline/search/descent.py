"""What goes down: a point on a function, a model on its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Descent(ABC):
    """One on its way down from one start.

    Attributes:
        value: how high it is.
        iterations: made so far.
        reason: why it has stopped, in words; empty before.
    """

    value: float
    iterations: int
    reason: str

    @abstractmethod
    def advance(self, iterations: int) -> None:
        """Go on by so many iterations, or by less with a reason.

        Raises:
            NonFiniteLoss: nothing is finite there; it is where it was.
        """

    @property
    def follows_gradient(self) -> bool:
        """Whether it goes down only, so that it stays in its basin."""
        return True
