"""How the parameters of a layer learn, where that differs from what the optimizer says."""

from __future__ import annotations

from typing import Any

from fallline.checks import flag, number
from fallline.declaration import Declaration


class ParameterGroup(Declaration):
    """Parameters that learn alike: at a rate of their own, with a decay of their own, or not at all.

    θ ← θ − learning_rate_factor · learning_rate · (direction(g) + weight_decay · θ). Given to a layer, before
    compile(): `layer.group = ParameterGroup(0.1)`; one group may be given to many layers.

    Args:
        learning_rate_factor: of the optimizer's learning rate, >= 0. Default 1.
        weight_decay: decoupled decay, >= 0, or None: the optimizer's. Default None.
        trainable: False freezes. Default True.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range.

    Example:
        >>> import fallline as fl
        >>> model = fl.Model([fl.Input(2), fl.Dense(3, "tanh"), fl.Dense(1)])
        >>> model.layers[1].group = fl.ParameterGroup(learning_rate_factor=0.1, weight_decay=0.0)
        >>> model.compile("adamw", "mse")
    """

    def __init__(
        self,
        learning_rate_factor: float = 1.0,
        *,
        weight_decay: float | None = None,
        trainable: bool = True,
    ) -> None:
        kind = "ParameterGroup"
        self.learning_rate_factor = number(kind, "learning_rate_factor", learning_rate_factor, low=0)
        self.weight_decay = (
            None if weight_decay is None else number(kind, "weight_decay", weight_decay, low=0)
        )
        self.trainable = flag(kind, "trainable", trainable)

    def inside(self, outer: ParameterGroup) -> ParameterGroup:
        """Return the group of what is in this one, inside a layer that is in another: factors multiply."""
        decay = outer.weight_decay if self.weight_decay is None else self.weight_decay
        factor = outer.learning_rate_factor * self.learning_rate_factor
        return ParameterGroup(factor, weight_decay=decay, trainable=outer.trainable and self.trainable)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        return {"rate_factor": self.learning_rate_factor, "trainable": self.trainable, **decay}
