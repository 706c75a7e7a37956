"""AdamW."""

from __future__ import annotations

from fallline.optimizers.adam import Adam
from fallline.optimizers.first_order import Schedule


class AdamW(Adam):
    """Adam with weight decay on: θ ← θ − learning_rate · (m̂ / (√v̂ + epsilon) + weight_decay·θ).

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.001.
        beta_1: share of the mean kept, in [0, 1). Default 0.9.
        beta_2: share of the mean square kept, in [0, 1). Default 0.999.
        epsilon: added outside the root, >= 0. Default 1e-8.
        amsgrad: divide by the root of the largest v so far (Reddi et al. 2018). Default False.
        epsilon_hat: add epsilon to √v before the correction, the paper's ε̂. Default False.
        weight_decay: decoupled decay, >= 0. Default 0.01.
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
        >>> AdamW(0.1, weight_decay=0.5).step([theta], [np.array([3.0])])
        >>> theta.round(6)
        array([0.85])

    References:
        Loshchilov & Hutter 2017, arXiv 1711.05101.
    """

    name = "adamw"

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        epsilon_hat: bool = False,
        l2: float = 0.0,
        clip_norm: float | None = None,
        clip_layer_norm: float | None = None,
        clip_value: float | None = None,
        average: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            epsilon_hat=epsilon_hat,
            l2=l2,
            clip_norm=clip_norm,
            clip_layer_norm=clip_layer_norm,
            clip_value=clip_value,
            average=average,
        )
