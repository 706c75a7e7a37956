"""The kernels on NumPy arrays, for scripts that have their own network.

Each activation is a function of its name, e.g. `relu(x)`, short for `activate("relu", x)`. Arrays are float32
or float64, all of one dtype in a call; other numbers are taken as float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.checks import unmasked

if TYPE_CHECKING:
    from fallline.typing import ArrayLike, FloatArray


def _floats(x: Any) -> Any:
    array = unmasked("ops", "an array", x)
    return array.astype(np.float64) if array.dtype.kind in "iub" else array  # the core refuses the others


def activate(name: str, x: ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
    """Return the activation of x that the name tells; softmax goes over the last axis.

    Args:
        name: e.g. "relu"; fallline.activations documents them.
        x: array of any shape.
        out: where to write, of the shape and dtype of x. Default: a new array.

    Raises:
        ValueError: an unknown name or a wrong shape.

    Example:
        >>> activate("relu", np.array([-1.0, 2.0]))
        array([0., 2.])
    """
    return _core.activate(name, _floats(x), out)


def matmul(
    a: ArrayLike,
    b: ArrayLike,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return a·b, (m, k)·(k, n) -> (m, n).

    Args:
        a: (m, k), or (k, m) with transpose_a.
        b: (k, n), or (n, k) with transpose_b.
        transpose_a: use aᵀ. Default False.
        transpose_b: use bᵀ. Default False.
        out: (m, n), where to write. Default: a new array.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> matmul(np.eye(2), np.array([[1.0], [2.0]]))
        array([[1.],
               [2.]])
    """
    return _core.matmul(_floats(a), _floats(b), transpose_a, transpose_b, out)


def dense_forward(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    activation: str | None = None,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return activation(x·kernel + bias), in one pass.

    Args:
        x: (n, inputs).
        kernel: (inputs, units).
        bias: (units,) or None.
        activation: a name. Default None: linear.
        out: (n, units), where to write. Default: a new array.

    Raises:
        ValueError: shapes that do not fit, or an unknown activation.

    Example:
        >>> dense_forward(np.array([[1.0, 2.0]]), np.eye(2), np.array([-2.0, 0.0]), "relu")
        array([[0., 2.]])
    """
    return _core.dense_forward(
        _floats(x), _floats(kernel), None if bias is None else _floats(bias), activation or "linear", out
    )


def dense_backward(
    gradient: ArrayLike, x: ArrayLike, output: ArrayLike, kernel: ArrayLike, activation: str | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the gradients (dx, dkernel, dbias) of dense_forward.

    With δ = gradient · activation'(output): dx = δ·kernelᵀ, dkernel = xᵀ·δ, dbias = Σ_rows δ.

    Args:
        gradient: (n, units), derivative of the loss by the output.
        x: (n, inputs), what went in.
        output: (n, units), what dense_forward returned.
        kernel: (inputs, units).
        activation: a name. Default None: linear.

    Raises:
        ValueError: shapes that do not fit, an unknown activation, or one whose slope does not follow from its
            output: "gelu", "silu", ...

    Example:
        >>> one = np.ones((1, 1))
        >>> dense_backward(one, 3 * one, 6 * one, 2 * one)
        (array([[2.]]), array([[3.]]), array([1.]))
    """
    return _core.dense_backward(
        _floats(gradient), _floats(x), _floats(output), _floats(kernel), activation or "linear"
    )


def softmax_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> tuple[float, FloatArray]:
    """Return the mean of -Σ_i y_i·ln softmax(logits)_i over the rows, and its gradient by the logits.

    Args:
        logits: (n, classes).
        labels: integer classes (n,), or probabilities (n, classes).

    Raises:
        ValueError: shapes that do not fit, or labels out of range.

    Example:
        >>> loss, gradient = softmax_cross_entropy(np.zeros((1, 2)), np.array([0]))
        >>> round(loss, 4), gradient
        (0.6931, array([[-0.5,  0.5]]))
    """
    return _core.softmax_cross_entropy(_floats(logits), np.asarray(labels))


def __getattr__(name: str) -> Callable[..., FloatArray]:
    if name in _core.activations():
        return functools.partial(activate, name)
    raise AttributeError(f"module 'fallline.ops' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_core.activations()])
