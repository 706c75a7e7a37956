"""RMSProp."""

from __future__ import annotations

from fallline.checks import choice, flag, number
from fallline.optimizers.first_order import FirstOrder, Schedule


class RMSProp(FirstOrder):
    """θ ← θ − learning_rate · g / (√s + epsilon), with s ← rho·s + (1 − rho)·g².

    With epsilon_inside, θ ← θ − learning_rate · g / √(s + epsilon). Where s starts is not corrected: from zero
    the first steps are long, 1/√(1 − rho) of the rate; from the first g² it is the rate; from one they are short
    while gradients are.

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.001.
        rho: share of the mean square kept, in [0, 1). Default 0.9.
        epsilon: keeps the division from 0, >= 0. Default 1e-8.
        init: s before the first step: "zero", "first" for the first g², or "one". Default "zero".
        epsilon_inside: add epsilon inside the root. Default False.
        weight_decay: decoupled decay, >= 0. Default 0.
        l2: coupled decay, >= 0. Default 0.
        clip_norm: largest norm of the whole gradient. Default None.
        clip_layer_norm: largest norm of the gradient of one layer. Default None.
        clip_value: largest absolute value of an entry of the gradient. Default None.
        average: share of the running average of the weights kept a step, in (0, 1). Default None: no average.

    Raises:
        ValueError: a number out of range, or an unknown init.

    Example:
        >>> import numpy as np
        >>> theta = np.array([1.0])
        >>> RMSProp(0.1, rho=0.75).step([theta], [np.array([3.0])])
        >>> theta.round(6)
        array([0.8])

    References:
        Tieleman & Hinton 2012, Lecture 6.5.
    """

    name = "rmsprop"

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        *,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        init: str = "zero",
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
        self.rho = number("RMSProp", "rho", rho, low=0, below=1)
        self.epsilon = number("RMSProp", "epsilon", epsilon, low=0)
        self.init = choice("RMSProp", "init", init, ("zero", "first", "one"))
        self.epsilon_inside = flag("RMSProp", "epsilon_inside", epsilon_inside)

    def _hyper_parameters(self) -> dict[str, float]:
        return {
            "rho": self.rho,
            "epsilon": self.epsilon,
            "epsilon_inside": self.epsilon_inside,
            "initial": self.init == "one",
            "first": self.init == "first",
        }
