"""Stochastic gradient descent."""

from __future__ import annotations

from fallline.checks import flag, number
from fallline.errors import message
from fallline.optimizers.optimizer import Optimizer, Schedule


class SGD(Optimizer):
    """θ ← θ − learning_rate · v, with v ← momentum·v + (1 − dampening)·g.

    The first v is g, undamped. With nesterov, θ ← θ − learning_rate · (g + momentum·v). The rate multiplies
    the whole velocity, so that a changed rate acts at once.

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.01.
        momentum: share of the velocity kept, in [0, 1). Default 0: plain descent.
        nesterov: look ahead (Nesterov 1983); needs momentum > 0 and dampening = 0. Default False.
        dampening: share of the gradient left out, in [0, 1]. Default 0.
        weight_decay: decoupled decay, >= 0. Default 0.
        clip_norm: largest norm of the whole gradient. Default None.
        clip_value: largest absolute value of an entry of the gradient. Default None.

    Raises:
        ValueError: a number out of range, or nesterov without momentum.

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
        momentum: float = 0.0,
        nesterov: bool = False,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, clip_norm=clip_norm, clip_value=clip_value)
        self.momentum = number("SGD", "momentum", momentum, low=0, below=1)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        self.dampening = number("SGD", "dampening", dampening, low=0, high=1)
        if nesterov and (momentum == 0 or dampening != 0):
            got = f"is True with momentum {momentum} and dampening {dampening}"
            raise ValueError(message("SGD", "nesterov", got, "momentum > 0 and dampening 0"))

    @property
    def rule(self) -> str:
        """The name of the update rule in the core."""
        if self.nesterov:
            return "nesterov"
        return "momentum" if self.momentum else "sgd"
