"""AdaGrad."""

from __future__ import annotations

from fallline.checks import flag, number
from fallline.optimizers.first_order import FirstOrder, Schedule


class AdaGrad(FirstOrder):
    """θ ← θ − learning_rate · g / (√s + epsilon), with s ← s + g² from initial_accumulator_value.

    With epsilon_inside, θ ← θ − learning_rate · g / √(s + epsilon). The step shrinks as 1/√t on a constant
    gradient: good where some features are rare.

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.01.
        epsilon: keeps the division from 0, >= 0. Default 1e-10.
        initial_accumulator_value: s before the first step, >= 0. Default 0.
        epsilon_inside: add epsilon inside the root. Default False.
        weight_decay: decoupled decay, >= 0. Default 0.
        l2: coupled decay, >= 0. Default 0.
        clip_norm: largest norm of the whole gradient. Default None.
        clip_layer_norm: largest norm of the gradient of one layer. Default None.
        clip_value: largest absolute value of an entry of the gradient. Default None.
        average: share of the running average of the weights kept a step, in (0, 1). Default None: no average.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> import numpy as np
        >>> theta = np.array([1.0])
        >>> AdaGrad(0.1).step([theta], [np.array([3.0])])
        >>> theta.round(6)
        array([0.9])

    References:
        Duchi, Hazan & Singer 2011.
    """

    name = "adagrad"

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        epsilon: float = 1e-10,
        initial_accumulator_value: float = 0.0,
        weight_decay: float = 0.0,
        epsilon_inside: bool = False,
        l2: float = 0.0,
        clip_norm: float | None = None,
        clip_layer_norm: float | None = None,
        clip_value: float | None = None,
        average: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            l2=l2,
            clip_norm=clip_norm,
            clip_layer_norm=clip_layer_norm,
            clip_value=clip_value,
            average=average,
        )
        self.epsilon = number("AdaGrad", "epsilon", epsilon, low=0)
        self.initial_accumulator_value = number(
            "AdaGrad", "initial_accumulator_value", initial_accumulator_value, low=0
        )
        self.epsilon_inside = flag("AdaGrad", "epsilon_inside", epsilon_inside)
