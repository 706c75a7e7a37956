"""Lion."""

from __future__ import annotations

from fallline.checks import number
from fallline.optimizers.first_order import FirstOrder, Schedule


class Lion(FirstOrder):
    """θ ← θ − learning_rate · sgn(beta_1·m + (1 − beta_1)·g), then m ← beta_2·m + (1 − beta_2)·g.

    Every parameter moves by the rate, so rates are 3 to 10 times smaller, and weight_decay as much larger, than
    Adam's. sgn(0) = 0; m starts at 0.

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.0001.
        beta_1: share of the mean in the direction, in [0, 1). Default 0.9.
        beta_2: share of the mean kept, in [0, 1). Default 0.99.
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
        >>> Lion(0.1).step([theta], [np.array([3.0])])
        >>> theta.round(6)
        array([0.9])

    References:
        Chen et al. 2023, arXiv 2302.06675.
    """

    name = "lion"

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-4,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        self.beta_1 = number("Lion", "beta_1", beta_1, low=0, below=1)
        self.beta_2 = number("Lion", "beta_2", beta_2, low=0, below=1)
