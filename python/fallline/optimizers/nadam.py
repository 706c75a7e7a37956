"""NAdam."""

from __future__ import annotations

from fallline.checks import number
from fallline.optimizers.first_order import FirstOrder, Schedule


class NAdam(FirstOrder):
    """θ ← θ − learning_rate · ((1 − μₜ) / (1 − pₜ) · g + μₜ₊₁ / (1 − pₜ₊₁) · m) / (√v̂ + epsilon).

    Adam with Nesterov's look ahead, at step t = 1, 2, ...: m and v̂ are Adam's,
    μₜ = beta_1 · (1 − 0.96^(t · momentum_decay) / 2) grows from half of beta_1, pₜ = μ₁·μ₂·...·μₜ.

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.002.
        beta_1: share of the mean kept, in [0, 1). Default 0.9.
        beta_2: share of the mean square kept, in [0, 1). Default 0.999.
        epsilon: added outside the root, >= 0. Default 1e-8.
        momentum_decay: how fast μ grows, >= 0. Default 0.004.
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
        >>> NAdam(0.1).step([theta], [np.array([3.0])])
        >>> theta.round(6)
        array([0.894355])

    References:
        Dozat 2016, "Incorporating Nesterov momentum into Adam".
    """

    name = "nadam"

    def __init__(
        self,
        learning_rate: float | Schedule = 2e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 4e-3,
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
        self.beta_1 = number("NAdam", "beta_1", beta_1, low=0, below=1)
        self.beta_2 = number("NAdam", "beta_2", beta_2, low=0, below=1)
        self.epsilon = number("NAdam", "epsilon", epsilon, low=0)
        self.momentum_decay = number("NAdam", "momentum_decay", momentum_decay, low=0)
