"""Adam."""

from __future__ import annotations

from fallline.checks import flag, number
from fallline.optimizers.first_order import FirstOrder, Schedule


class Adam(FirstOrder):
    """θ ← θ − learning_rate · m̂ / (√v̂ + epsilon), at step t = 1, 2, ...

    m ← beta_1·m + (1 − beta_1)·g and v ← beta_2·v + (1 − beta_2)·g² start at 0 and are corrected for it:
    m̂ = m / (1 − beta_1ᵗ), v̂ = v / (1 − beta_2ᵗ). With epsilon_hat, √v̂ + epsilon becomes
    (√v + epsilon) / √(1 − beta_2ᵗ).

    Args:
        learning_rate: a number >= 0, or a function of the step. Default 0.001.
        beta_1: share of the mean kept, in [0, 1). Default 0.9.
        beta_2: share of the mean square kept, in [0, 1). Default 0.999.
        epsilon: added outside the root, >= 0. Default 1e-8.
        amsgrad: divide by the root of the largest v so far (Reddi et al. 2018). Default False.
        epsilon_hat: add epsilon to √v before the correction, the paper's ε̂. Default False.
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
        >>> Adam(0.1).step([theta], [np.array([3.0])])
        >>> theta.round(6)
        array([0.9])

    References:
        Kingma & Ba 2014, arXiv 1412.6980; Reddi, Kale & Kumar 2018, arXiv 1904.09237.
    """

    name = "adam"

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
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
            weight_decay=weight_decay,
            l2=l2,
            clip_norm=clip_norm,
            clip_layer_norm=clip_layer_norm,
            clip_value=clip_value,
            average=average,
        )
        kind = type(self).__name__
        self.beta_1 = number(kind, "beta_1", beta_1, low=0, below=1)
        self.beta_2 = number(kind, "beta_2", beta_2, low=0, below=1)
        self.epsilon = number(kind, "epsilon", epsilon, low=0)
        self.amsgrad = flag(kind, "amsgrad", amsgrad)
        self.epsilon_hat = flag(kind, "epsilon_hat", epsilon_hat)

    @property
    def rule(self) -> str:
        """The name of the update rule in the core."""
        return "amsgrad" if self.amsgrad else "adam"
