"""Stochastic gradient descent."""

from __future__ import annotations

from fallline.checks import choice, flag, number
from fallline.errors import message
from fallline.optimizers.first_order import FirstOrder, Schedule

STYLES = {  # of momentum, and the core's rules for them
    "classical": "momentum",
    "sutskever": "velocity",
    "ewa": "averaged_gradient",
    "ewa_first": "momentum",
    "ewa_corrected": "averaged_gradient",
}


class SGD(FirstOrder):
    """θ ← θ − learning_rate · b, with b ← momentum·b + (1 − dampening)·g.

    The first b is g, undamped. With nesterov, θ ← θ − learning_rate · (g + momentum·b). The rate multiplies the
    whole of b, so that a changed rate acts at once. Other styles of momentum:

    - "sutskever": v ← momentum·v − learning_rate·g, θ ← θ + v: a changed rate acts on new gradients only.
    - "ewa": b ← momentum·b + (1 − momentum)·g, the exponentially weighted average of the gradients from 0; it
      steps as "classical" does at the rate learning_rate · (1 − momentum).
    - "ewa_first": the same, but the first b is g.
    - "ewa_corrected": the same from 0, corrected: θ ← θ − learning_rate · b / (1 − momentumᵗ).

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.01.
        momentum: share of b kept, in [0, 1). Default 0: plain descent.
        nesterov: look ahead (Nesterov 1983); needs classical momentum > 0 and dampening = 0. Default False.
        dampening: share of the gradient left out, in [0, 1]; for classical momentum. Default 0.
        momentum_style: "classical", "sutskever", "ewa", "ewa_first" or "ewa_corrected". Default "classical".
        weight_decay: decoupled decay, >= 0. Default 0.
        l2: coupled decay, >= 0. Default 0.
        clip_norm: largest norm of the whole gradient. Default None.
        clip_layer_norm: largest norm of the gradient of one layer. Default None.
        clip_value: largest absolute value of an entry of the gradient. Default None.
        average: share of the running average of the weights kept a step, in (0, 1). Default None: no average.

    Raises:
        ValueError: a number out of range, an unknown style, or options that do not go together.

    Example:
        >>> import numpy as np
        >>> theta, optimizer = np.array([1.0]), SGD(0.1, momentum=0.9)
        >>> for _ in range(2):
        ...     optimizer.step([theta], [np.array([1.0])])
        >>> theta
        array([0.71])

    References:
        Robbins & Monro 1951; Polyak 1964; Sutskever et al. 2013.
    """

    name = "sgd"

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        momentum_style: str = "classical",
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
        self.momentum = number("SGD", "momentum", momentum, low=0, below=1)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        self.dampening = number("SGD", "dampening", dampening, low=0, high=1)
        self.momentum_style = choice("SGD", "momentum_style", momentum_style, STYLES)
        if nesterov and (momentum == 0 or dampening != 0):
            got = f"is True with momentum {momentum} and dampening {dampening}"
            raise ValueError(message("SGD", "nesterov", got, "momentum > 0 and dampening 0"))
        if momentum_style != "classical" and (nesterov or dampening != 0):
            got = f"is {momentum_style!r} with nesterov {nesterov} and dampening {dampening}"
            raise ValueError(message("SGD", "momentum_style", got, "'classical' where one of them is set"))

    @property
    def rule(self) -> str:
        """The name of the update rule in the core."""
        if self.momentum == 0:
            return "sgd"
        return "nesterov" if self.nesterov else STYLES[self.momentum_style]

    def _hyper_parameters(self) -> dict[str, float]:
        # the first gradient counts in full, as the classical style has it
        dampening = self.momentum if self.momentum_style == "ewa_first" else self.dampening
        return {
            "momentum": self.momentum,
            "dampening": dampening,
            "corrected": self.momentum_style == "ewa_corrected",
        }
