"""What all losses share: the reduction, and what they ask of the last layer and of the labels."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from fallline.checks import choice
from fallline.declaration import Declaration
from fallline.errors import message


class Loss(Declaration):
    """Base of losses: what a row costs, and how rows add up.

    With weights w_i, reduction "mean" is Σ w_i·l_i / Σ w_i over the rows of a batch, "sum" is Σ w_i·l_i.

    A subclass declares its numbers; the formula is the core's loss of its name.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".
    """

    name: ClassVar[str]
    # Last activations that the loss is made for, the last of them "linear" if it takes logits; empty: any.
    activations: ClassVar[tuple[str, ...]] = ()
    # Whether y tells classes or their probabilities, whatever its numbers; takes_classes: integers among others.
    classifies: ClassVar[bool] = False
    takes_classes: ClassVar[bool] = False
    target_range: ClassVar[tuple[float, float] | None] = None

    def __init__(self, reduction: Literal["mean", "sum"] = "mean") -> None:
        self.reduction = choice(type(self).__name__, "reduction", reduction, ("mean", "sum"))

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {"name": self.name} | self.get_config()

    def check(self, activation: str, outputs: int | None, operation: str) -> None:  # noqa: ARG002
        """Check that the loss goes with the last layer; outputs is None before it is known."""
        if self.activations and activation not in self.activations:
            got = f"{self.name!r} follows a last layer with activation {activation!r}"
            raise ValueError(message(operation, "loss", got, " or ".join(map(repr, self.activations))))

    def of_one_class(self, outputs: int) -> bool:
        """Tell whether y has one class in each row, whatever its numbers."""
        return self.takes_classes or (self.classifies and outputs == 1)

    def from_logits(self, activation: str) -> bool:
        """Tell whether the last layer puts out logits, whose sign tells the class of a single output."""
        return bool(self.activations) and activation == "linear"
