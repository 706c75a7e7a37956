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

    @property
    @abstractmethod
    def follows_gradient(self) -> bool:
        """Whether it goes down only, so that it stays in its basin."""
