"""What labels tell: a class of each row, several labels of it, or numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fallline.typing import Array


def tell_classes(y: Array) -> bool:
    """Tell whether labels are those of classes: integers (n,), yes and no in two numbers, or probabilities.

    Example:
        >>> tell_classes(np.array([[-1.0], [1.0]])), tell_classes(np.array([[0.2, 0.8]]))
        (True, True)
        >>> tell_classes(np.array([[0.3], [1.7], [0.1]]))
        False
    """
    return y.ndim == 1 or _are_two_values(y) or _are_probabilities(y)


def _are_two_values(y: Array) -> bool:
    """Such as 0 and 1, −1 and 1, or 0.1 and 0.9; one of them alone will do."""
    low, high = float(y.min()), float(y.max())
    apart = low <= 0.5 < high or low == high
    return low >= -1 and high <= 1 and apart and bool(((y == low) | (y == high)).all())


def _are_probabilities(y: Array) -> bool:
    return y.shape[1] > 1 and bool(y.min() >= 0 and np.allclose(y.sum(axis=1), 1, rtol=0, atol=1e-3))


def classes_of(y: Array, certain: bool) -> Array | None:
    """Return the class (n,) of each row, or None if there is none in a row; certain says that y is no regression's.

    Example:
        >>> classes_of(np.array([[0, 1], [1, 0]]), certain=False)
        array([1, 0])
        >>> classes_of(np.array([[0, 1], [1, 1]]), certain=False) is None
        True
    """
    if y.ndim == 1:
        return y
    if not (certain or tell_classes(y)):
        return None
    if y.shape[1] == 1:
        return (y[:, 0] > 0.5).astype(np.intp)
    single = ((y == y.max(axis=1, keepdims=True)).sum(axis=1) == 1).all()
    return y.argmax(axis=1) if single else None


def are_labels(y: Array) -> bool:
    """Tell whether rows have several labels, or none: yes and no, but not one yes in each row.

    Example:
        >>> are_labels(np.array([[0, 1], [1, 1]])), are_labels(np.array([[0, 1], [1, 0]]))
        (True, False)
    """
    if y.ndim == 1 or y.shape[1] == 1 or not y.size or not _are_two_values(y):
        return False
    return bool(((y > 0.5).sum(axis=1) != 1).any())
