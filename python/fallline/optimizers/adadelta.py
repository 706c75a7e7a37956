"""AdaDelta."""

from __future__ import annotations

from fallline.checks import number
from fallline.optimizers.first_order import FirstOrder, Schedule


class AdaDelta(FirstOrder):
    """θ ← θ − learning_rate · Δ, with Δ = √(u + epsilon) / √(s + epsilon) · g.

    s ← rho·s + (1 − rho)·g² and, once Δ is made, u ← rho·u + (1 − rho)·Δ² start at 0. Steps have the units of
    the parameters, so that no rate need be found; they start small, at the size of √epsilon.

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 1, as in the paper.
        rho: share of the mean squares kept, in [0, 1). Default 0.95; torch's is 0.9.
        epsilon: where u starts from, and what keeps the division from 0, > 0. Default 1e-6.
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
        >>> AdaDelta(epsilon=0.01, rho=0.75).step([theta], [np.array([3.0])])
        >>> theta.round(6)
        array([0.800443])

    References:
        Zeiler 2012, arXiv 1212.5701.
    """

    name = "adadelta"

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        *,
        rho: float = 0.95,
        epsilon: float = 1e-6,
        weight_decay: float = 0.0,
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
        self.rho = number("AdaDelta", "rho", rho, low=0, below=1)
        self.epsilon = number("AdaDelta", "epsilon", epsilon, above=0)
