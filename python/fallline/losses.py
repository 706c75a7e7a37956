"""Losses by name or object: what a row costs, and how rows add up.

With weights w_i, reduction "mean" is Σ w_i·l_i / Σ w_i over the rows of a batch, "sum" is Σ w_i·l_i.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from fallline.checks import choice
from fallline.declaration import Declaration
from fallline.errors import message


class Loss(Declaration):
    """Base of losses.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".
    """

    name: ClassVar[str]
    # Last activations that the loss is made for, the last of them "linear" if it takes logits; empty: any.
    activations: ClassVar[tuple[str, ...]] = ()
    takes_classes: ClassVar[bool] = False
    target_range: ClassVar[tuple[float, float] | None] = None

    def __init__(self, reduction: Literal["mean", "sum"] = "mean") -> None:
        self.reduction = choice(type(self).__name__, "reduction", reduction, ("mean", "sum"))

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {"name": self.name, "reduction": self.reduction}

    def check(self, activation: str, outputs: int | None, operation: str) -> None:  # noqa: ARG002
        """Check that the loss goes with the last layer; outputs is None before it is known."""
        if self.activations and activation not in self.activations:
            got = f"{self.name!r} follows a last layer with activation {activation!r}"
            raise ValueError(message(operation, "loss", got, " or ".join(map(repr, self.activations))))

    def from_logits(self, activation: str) -> bool:
        """Tell whether the last layer puts out logits, which the loss turns into probabilities."""
        return bool(self.activations) and activation == "linear"


class MSE(Loss):
    """Mean over the outputs of a row of (y_true − y_pred)².

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true (n, outputs), or (n,) for one output.

    Example:
        >>> MSE("sum")
        MSE(reduction='sum')
    """

    name = "mse"


class CrossEntropy(Loss):
    """−Σ_i y_i·ln p_i over the classes of a row.

    After a softmax layer the two are one step, by log-sum-exp; after a linear layer p = softmax(output), and
    predict() returns the logits.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: integer classes (n,), or one-hot rows or probabilities (n, classes).

    Example:
        >>> CrossEntropy()
        CrossEntropy()
    """

    name = "cross_entropy"
    activations = ("softmax", "linear")
    takes_classes = True
    target_range = (0.0, 1.0)

    def check(self, activation: str, outputs: int | None, operation: str) -> None:
        """Check that the last layer puts out probabilities or logits of at least two classes."""
        super().check(activation, outputs, operation)
        if outputs == 1:
            expected = "at least 2 classes, or the loss 'binary_cross_entropy'"
            raise ValueError(
                message(operation, "loss", f"{self.name!r} follows a layer with 1 output", expected)
            )


class BinaryCrossEntropy(Loss):
    """Mean over the outputs of a row of −y·ln p − (1 − y)·ln(1 − p).

    After a sigmoid layer the two are one step; after a linear layer p = sigmoid(output), and predict()
    returns the logits.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: numbers in [0, 1], (n, outputs), or (n,) for one output.

    Example:
        >>> BinaryCrossEntropy()
        BinaryCrossEntropy()
    """

    name = "binary_cross_entropy"
    activations = ("sigmoid", "linear")
    target_range = (0.0, 1.0)
