"""Penalties on weights, added to the loss; they act on the gradient, before the optimizer.

Decoupled decay, which acts on the weights themselves, is the optimizers' weight_decay.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fallline.checks import flag, number
from fallline.declaration import Declaration, resolve


class Regularizer(Declaration):
    """l1·Σ|w| + (l2/2)·Σw², with gradient l1·sgn(w) + l2·w and sgn(0) = 0."""

    name: ClassVar[str]
    l1: float = 0.0
    l2: float = 0.0
    proximal: bool = False


class L1(Regularizer):
    """lam·Σ|w|: draws small weights to zero.

    Through the gradient, weights end up jumping around zero by less than learning_rate·lam. The proximal form
    leaves the gradient alone and after each update moves every weight by learning_rate·lam towards zero,
    where it stays: zeros are then true zeros.

    Args:
        lam: strength, >= 0. Default 0.01.
        proximal: soft thresholding instead of the gradient. Default False.

    Example:
        >>> L1(0.1, proximal=True)
        L1(lam=0.1, proximal=True)

    References:
        Tibshirani 1996; Daubechies, Defrise & De Mol 2004 (proximal).
    """

    name = "l1"

    def __init__(self, lam: float = 0.01, *, proximal: bool = False) -> None:
        self.lam = self.l1 = number("L1", "lam", lam, low=0)
        self.proximal = flag("L1", "proximal", proximal)


class L2(Regularizer):
    """(lam/2)·Σw²: keeps weights small.

    Args:
        lam: strength, >= 0. Default 0.01.

    Example:
        >>> L2(0.1)
        L2(lam=0.1)
    """

    name = "l2"

    def __init__(self, lam: float = 0.01) -> None:
        self.lam = self.l2 = number("L2", "lam", lam, low=0)


class L1L2(Regularizer):
    """l1·Σ|w| + (l2/2)·Σw² (elastic net: Zou & Hastie 2005).

    Args:
        l1: strength of the absolute values, >= 0. Default 0.
        l2: strength of the squares, >= 0. Default 0.

    Example:
        >>> L1L2(l1=0.1)
        L1L2(l1=0.1)
    """

    name = "l1l2"

    def __init__(self, *, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = number("L1L2", "l1", l1, low=0)
        self.l2 = number("L1L2", "l2", l2, low=0)


def check(value: Any, operation: str, argument: str) -> Regularizer | None:
    """Return value: None or a Regularizer (made, if given by name)."""
    return None if value is None else resolve(Regularizer, value, operation, argument)


def spec(parameter: str, regularizer: Regularizer | None) -> dict[str, Any]:
    """Return what the core needs to know of a parameter's penalty.

    Example:
        >>> spec("kernel", L2(0.1))
        {'kernel_l1': 0.0, 'kernel_l2': 0.1, 'kernel_proximal': False}
    """
    if regularizer is None:
        return {}
    return {
        f"{parameter}_l1": regularizer.l1,
        f"{parameter}_l2": regularizer.l2,
        f"{parameter}_proximal": regularizer.proximal,
    }
