"""One row per activation name that the core reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twins import activations


@dataclass(frozen=True)
class ActivationCase:
    name: str
    torch: Callable | None  # (torch, torch.nn.functional, z) -> value
    at_ends: tuple[float, float]  # values at -inf and inf
    kinks: tuple[tuple[float, float], ...] = ()  # where the derivative jumps, and what it is there
    kernel: str = "glorot_uniform"  # what "auto" starts the weights before it with
    torch_rtol: float = 1e-13  # of the slope
    tail: float = 1e-300  # below this the twin is not exact

    @property
    def value(self):
        return activations.VALUE[self.name]

    @property
    def backward(self):
        return activations.BACKWARD[self.name]

    @property
    def from_input(self):
        return self.name in activations.SLOPE

    @property
    def elementwise(self):
        return self.name != "softmax"

    def slope(self, z):
        """The derivative of an elementwise one."""
        if self.from_input:
            return activations.SLOPE[self.name](z)
        return self.backward(np.ones_like(z), self.value(z))


INFINITY = float("inf")
HE = "he_normal"

ACTIVATIONS = [
    ActivationCase("linear", lambda torch, f, z: z * 1, (-INFINITY, INFINITY)),
    ActivationCase("relu", lambda torch, f, z: f.relu(z), (0, INFINITY), kinks=((0, 0),), kernel=HE),
    ActivationCase("sigmoid", lambda torch, f, z: torch.sigmoid(z), (0, 1)),
    ActivationCase("tanh", lambda torch, f, z: torch.tanh(z), (-1, 1)),
    ActivationCase("exponential", lambda torch, f, z: torch.exp(z), (0, INFINITY)),
    ActivationCase("softplus", lambda torch, f, z: f.softplus(z, threshold=40), (0, INFINITY), kernel=HE),
    ActivationCase("softsign", lambda torch, f, z: f.softsign(z), (-1, 1)),
    ActivationCase(
        "hard_sigmoid",
        lambda torch, f, z: f.hardsigmoid(z),
        (0, 1),
        kinks=((-3, 0), (3, 0)),
        torch_rtol=3e-8,  # torch rounds 1/6 to float32
    ),
    ActivationCase(
        "leaky_relu",
        lambda torch, f, z: f.leaky_relu(z, 0.01),
        (-INFINITY, INFINITY),
        kinks=((0, 0.01),),
        kernel=HE,
    ),
    ActivationCase("elu", lambda torch, f, z: f.elu(z), (-1, INFINITY), kernel=HE),
    ActivationCase(
        "selu",
        lambda torch, f, z: f.selu(z),
        (-1.7580993408473766, INFINITY),
        kinks=((0, 1.7580993408473766),),
        kernel="lecun_normal",
    ),
    ActivationCase("gelu", lambda torch, f, z: f.gelu(z), (0, INFINITY), kernel=HE, tail=1e-16),
    ActivationCase(
        "gelu_tanh",
        lambda torch, f, z: f.gelu(z, approximate="tanh"),
        (0, INFINITY),
        kernel=HE,
        tail=1e-14,
    ),
    ActivationCase("silu", lambda torch, f, z: f.silu(z), (0, INFINITY), kernel=HE),
    ActivationCase(
        "hard_swish",
        lambda torch, f, z: f.hardswish(z),
        (0, INFINITY),
        kinks=((-3, 0), (3, 1)),
        kernel=HE,
    ),
    ActivationCase("mish", lambda torch, f, z: f.mish(z), (0, INFINITY), kernel=HE),
    ActivationCase("softmax", None, (0, 1)),
]
