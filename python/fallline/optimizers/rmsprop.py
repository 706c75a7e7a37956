"""RMSProp."""

from __future__ import annotations

from fallline.checks import number
from fallline.optimizers.optimizer import Optimizer, Schedule


class RMSProp(Optimizer):
    """θ ← θ − learning_rate · g / (√s + epsilon), with s ← rho·s + (1 − rho)·g² from 0.

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.001.
        rho: share of the mean square kept, in [0, 1). Default 0.9.
        epsilon: added outside the root, >= 0. Default 1e-8.
        weight_decay: decoupled decay, >= 0. Default 0.
        clip_norm: largest norm of the whole gradient. Default None.
        clip_value: largest absolute value of an entry of the gradient. Default None.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> import numpy as np
        >>> theta = np.array([1.0])
        >>> RMSProp(0.1, rho=0.75).step([theta], [np.array([3.0])])
        >>> theta.round(6)
        array([0.8])

    References:
        Tieleman & Hinton 2012, Lecture 6.5. It starts with long steps, as s is not corrected for its start
        from 0.
    """

    name = "rmsprop"

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, clip_norm=clip_norm, clip_value=clip_value)
        self.rho = number("RMSProp", "rho", rho, low=0, below=1)
        self.epsilon = number("RMSProp", "epsilon", epsilon, low=0)
