"""Activations by name: what each computes, for layers and for `fallline.ops.<name>(x)`.

A new activation is its functor in the core and its line here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fallline.checks import choice


class ActivationInfo(NamedTuple):
    """What is known of an activation.

    Args:
        name: what users write.
        formula: its value at z, row by row.
        derivative: the one that the backward pass uses, by z or by the value a.
        reference: where it comes from. Default "".
        relu_like: cuts off about half of its inputs, so that "auto" starts its kernel He-normal. Default
            False.
    """

    name: str
    formula: str
    derivative: str
    reference: str = ""
    relu_like: bool = False


ACTIVATIONS = {
    info.name: info
    for info in (
        ActivationInfo("linear", "z", "1"),
        ActivationInfo("relu", "max(0, z)", "1 if z > 0 else 0", "Nair & Hinton 2010", relu_like=True),
        ActivationInfo("sigmoid", "1 / (1 + exp(−z))", "a·(1 − a)"),
        ActivationInfo("tanh", "(exp(z) − exp(−z)) / (exp(z) + exp(−z))", "1 − a²"),
        ActivationInfo("exponential", "exp(z)", "a"),
        ActivationInfo(
            "leaky_relu",
            "max(0, z) + slope·min(0, z), slope = 0.01",
            "1 if z > 0 else slope",
            "Maas et al. 2013",
            relu_like=True,
        ),
        ActivationInfo(
            "silu", "z·sigmoid(z)", "s·(1 + z·(1 − s)), s = sigmoid(z)", "Elfwing et al. 2017", relu_like=True
        ),
        ActivationInfo("softmax", "exp(z_i) / Σ_j exp(z_j)", "diag(a) − a·aᵀ", "Bridle 1990"),
    )
}


def resolve(value: Any, operation: str, argument: str = "activation") -> str:
    """Return the name of an activation given by name, or None for linear.

    Example:
        >>> resolve(None, "Dense"), resolve("relu", "Dense")
        ('linear', 'relu')
    """
    return "linear" if value is None else choice(operation, argument, value, ACTIVATIONS)
