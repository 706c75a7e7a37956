"""One row per activation name that the core reports."""

from __future__ import annotations

from dataclasses import dataclass

from twins import activations


@dataclass(frozen=True)
class ActivationCase:
    name: str
    kinks: tuple[float, ...] = ()  # where the derivative jumps: gradient checks stay away

    @property
    def value(self):
        return activations.VALUE[self.name]

    @property
    def backward(self):
        return activations.BACKWARD[self.name]


ACTIVATIONS = [
    ActivationCase("linear"),
    ActivationCase("relu", kinks=(0.0,)),
    ActivationCase("sigmoid"),
    ActivationCase("tanh"),
    ActivationCase("softmax"),
]
