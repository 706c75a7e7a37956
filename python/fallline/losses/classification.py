"""Losses of classes and of probabilities."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from fallline.checks import number
from fallline.errors import message
from fallline.losses.loss import Loss


class _OfClasses(Loss):
    """Base of losses of a row of classes, made for a softmax or its logits."""

    activations = ("softmax", "linear")
    classifies = takes_classes = True
    target_range = (0.0, 1.0)
    binary: ClassVar[str] = "binary_cross_entropy"  # what to use for one output

    def check(self, activation: str, outputs: int | None, operation: str) -> None:
        """Check that the last layer puts out probabilities or logits of at least two classes."""
        super().check(activation, outputs, operation)
        if outputs == 1:
            expected = f"at least 2 classes, or the loss {self.binary!r}"
            raise ValueError(
                message(operation, "loss", f"{self.name!r} follows a layer with 1 output", expected)
            )


class CrossEntropy(_OfClasses):
    """−Σ_i y_i·ln p_i over the classes of a row.

    After a softmax layer the two are one step, by log-sum-exp; after a linear layer p = softmax(output), and
    predict() returns the logits.

    Args:
        label_smoothing: s in [0, 1]: y_i·(1 − s) + s / classes in place of y_i. Default 0.
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: integer classes (n,), or one-hot rows or probabilities (n, classes).

    Raises:
        ValueError: label_smoothing out of range.

    Example:
        >>> CrossEntropy(label_smoothing=0.1)
        CrossEntropy(label_smoothing=0.1)

    References:
        Szegedy et al. 2016, Rethinking the Inception Architecture (label smoothing).
    """

    name = "cross_entropy"

    def __init__(self, label_smoothing: float = 0.0, *, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__(reduction)
        self.label_smoothing = number("CrossEntropy", "label_smoothing", label_smoothing, low=0, high=1)


class KLDivergence(_OfClasses):
    """Σ_i y_i·ln(y_i / p_i) over the classes of a row, 0·ln 0 being 0.

    CrossEntropy less the entropy of y_true: the gradients are the same, and the least value is 0. Softmax
    and linear layers are taken as by CrossEntropy.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: probabilities (n, classes), or integer classes (n,).

    Example:
        >>> KLDivergence()
        KLDivergence()

    References:
        Kullback & Leibler 1951, On Information and Sufficiency.
    """

    name = "kl_divergence"


class FocalCrossEntropy(_OfClasses):
    """alpha·(1 − p)^gamma·(−ln p) of the probability p of a row's class: rows that are right count for less.

    For y_true given as probabilities −ln p is their cross-entropy. Softmax and linear layers are taken as by
    CrossEntropy.

    Args:
        gamma: how much less, ≥ 0; 0 is CrossEntropy. Default 2.
        alpha: a factor, > 0, or None: 1. Default None.
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: integer classes (n,), or one-hot rows or probabilities (n, classes).

    Raises:
        ValueError: gamma or alpha out of range.

    Example:
        >>> FocalCrossEntropy(gamma=1.0)
        FocalCrossEntropy(gamma=1.0)

    References:
        Lin et al. 2017, Focal Loss for Dense Object Detection.
    """

    name = "focal_cross_entropy"
    binary = "binary_focal_cross_entropy"

    def __init__(
        self, *, gamma: float = 2.0, alpha: float | None = None, reduction: Literal["mean", "sum"] = "mean"
    ) -> None:
        super().__init__(reduction)
        self.gamma = number("FocalCrossEntropy", "gamma", gamma, low=0)
        self.alpha = None if alpha is None else number("FocalCrossEntropy", "alpha", alpha, above=0)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return super().spec() | {"alpha": 1.0 if self.alpha is None else self.alpha}


class BinaryCrossEntropy(Loss):
    """Mean over the outputs of a row of −y·ln p − (1 − y)·ln(1 − p).

    After a sigmoid layer the two are one step; after a linear layer p = sigmoid(output), and predict()
    returns the logits.

    Args:
        label_smoothing: s in [0, 1]: y·(1 − s) + s / 2 in place of y. Default 0.
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: numbers in [0, 1], (n, outputs), or (n,) for one output.

    Raises:
        ValueError: label_smoothing out of range.

    Example:
        >>> BinaryCrossEntropy()
        BinaryCrossEntropy()
    """

    name = "binary_cross_entropy"
    classifies = True
    activations = ("sigmoid", "linear")
    target_range = (0.0, 1.0)

    def __init__(self, label_smoothing: float = 0.0, *, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__(reduction)
        self.label_smoothing = number("BinaryCrossEntropy", "label_smoothing", label_smoothing, low=0, high=1)


class BinaryFocalCrossEntropy(Loss):
    """Mean over the outputs of a row of w·(1 − p)^gamma·(−ln p), p being the probability of what is right.

    w = alpha for y = 1 and 1 − alpha for y = 0. For y between, w goes straight from one to the other, and
    −ln p is the BinaryCrossEntropy. Sigmoid and linear layers are taken as by it.

    Args:
        gamma: how much less outputs count that are right, ≥ 0. Default 2.
        alpha: weight of y = 1 in [0, 1], 0.25 in the paper, or None: w = 1. Default None.
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: numbers in [0, 1], (n, outputs), or (n,) for one output.

    Raises:
        ValueError: gamma or alpha out of range.

    Example:
        >>> BinaryFocalCrossEntropy(alpha=0.25)
        BinaryFocalCrossEntropy(alpha=0.25)

    References:
        Lin et al. 2017, Focal Loss for Dense Object Detection.
    """

    name = "binary_focal_cross_entropy"
    classifies = True
    activations = ("sigmoid", "linear")
    target_range = (0.0, 1.0)

    def __init__(
        self, *, gamma: float = 2.0, alpha: float | None = None, reduction: Literal["mean", "sum"] = "mean"
    ) -> None:
        super().__init__(reduction)
        kind = "BinaryFocalCrossEntropy"
        self.gamma = number(kind, "gamma", gamma, low=0)
        self.alpha = None if alpha is None else number(kind, "alpha", alpha, low=0, high=1)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        weight_0, weight_1 = (1.0, 1.0) if self.alpha is None else (1 - self.alpha, self.alpha)
        numbers = {"gamma": self.gamma, "weight_0": weight_0, "weight_1": weight_1}
        return {"name": self.name, "reduction": self.reduction} | numbers


class Hinge(Loss):
    """Mean over the outputs of a row of max(0, 1 − y_true·y_pred), 0 in y_true being taken for −1.

    For outputs whose sign tells the class, of a linear or tanh layer; the gradient where the value becomes 0
    is 0.

    Args:
        reduction: "mean" or "sum" over the rows. Default "mean".

    Shapes:
        y_true: −1 or 0, and 1, (n, outputs), or (n,) for one output.

    Example:
        >>> Hinge()
        Hinge()

    References:
        Cortes & Vapnik 1995, Support-Vector Networks.
    """

    name = "hinge"
    classifies = True
    target_range = (-1.0, 1.0)

    def from_logits(self, activation: str) -> bool:  # noqa: ARG002
        """Return True: the sign of an output tells the class after any layer."""
        return True
