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
        kernel: the initializer of the kernel before it, where that is "auto". Default "glorot_uniform".
    """

    name: str
    formula: str
    derivative: str
    reference: str = ""
    kernel: str = "glorot_uniform"


# For activations that let about half of what comes in pass: He et al. 2015.
HE = "he_normal"

ACTIVATIONS = {
    info.name: info
    for info in (
        ActivationInfo("linear", "z", "1"),
        ActivationInfo("relu", "max(0, z)", "1 if z > 0 else 0", "Nair & Hinton 2010", HE),
        ActivationInfo("sigmoid", "1 / (1 + exp(−z))", "a·(1 − a)"),
        ActivationInfo("tanh", "(exp(z) − exp(−z)) / (exp(z) + exp(−z))", "1 − a²"),
        ActivationInfo("exponential", "exp(z)", "a"),
        ActivationInfo("softplus", "ln(1 + exp(z))", "1 − exp(−a)", "Dugas et al. 2001", HE),
        ActivationInfo("softsign", "z / (1 + |z|)", "(1 − |a|)²", "Bergstra et al. 2009"),
        ActivationInfo(
            "hard_sigmoid", "min(max(z + 3, 0), 6) / 6", "1/6 if 0 < a < 1 else 0", "Howard et al. 2019"
        ),
        ActivationInfo(
            "leaky_relu", "z if z > 0 else 0.01·z", "1 if z > 0 else 0.01", "Maas et al. 2013", HE
        ),
        ActivationInfo(
            "elu", "z if z > 0 else exp(z) − 1", "1 if z > 0 else a + 1", "Clevert et al. 2016", HE
        ),
        ActivationInfo(
            "selu",
            "λ·(z if z > 0 else α·(exp(z) − 1)), λ = 1.0507009873554805, α = 1.6732632423543772",
            "λ if z > 0 else a + λ·α",
            "Klambauer et al. 2017",
            "lecun_normal",
        ),
        ActivationInfo(
            "gelu",
            "z·Φ(z), Φ(z) = (1 + erf(z / √2)) / 2",
            "Φ(z) + z·exp(−z²/2) / √(2π)",
            "Hendrycks & Gimpel 2016",
            HE,
        ),
        ActivationInfo(
            "gelu_tanh",
            "z·(1 + tanh(u)) / 2, u = √(2/π)·(z + 0.044715·z³)",
            "s + z·s·(1 − s)·2u', s = (1 + tanh(u)) / 2",
            "Hendrycks & Gimpel 2016",
            HE,
        ),
        ActivationInfo(
            "silu", "z·s, s = 1 / (1 + exp(−z))", "s·(1 + z·(1 − s))", "Elfwing, Uchibe & Doya 2017", HE
        ),
        ActivationInfo(
            "hard_swish",
            "z·min(max(z + 3, 0), 6) / 6",
            "0 if z ≤ −3, 1 if z ≥ 3, else z/3 + 1/2",
            "Howard et al. 2019",
            HE,
        ),
        ActivationInfo(
            "mish", "z·t, t = tanh(ln(1 + exp(z)))", "t + z·(1 − t²)·sigmoid(z)", "Misra 2020", HE
        ),
        ActivationInfo("softmax", "exp(z_i) / Σ_j exp(z_j)", "diag(a) − a·aᵀ", "Bridle 1990"),
    )
}

# Other names that the literature uses.
ALIASES = {"swish": "silu"}


def resolve(value: Any, operation: str, argument: str = "activation") -> str:
    """Return the name of an activation given by name, or None for linear.

    Example:
        >>> resolve(None, "Dense"), resolve("relu", "Dense"), resolve("swish", "Dense")
        ('linear', 'relu', 'silu')
    """
    if value is None:
        return "linear"
    known = ALIASES.get(value, value) if isinstance(value, str) else value
    return choice(operation, argument, known, ACTIVATIONS)
