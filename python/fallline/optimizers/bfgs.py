"""BFGS with its whole matrix."""

from __future__ import annotations

from fallline.checks import integer
from fallline.optimizers.quasi_newton import QuasiNewton


class BFGS(QuasiNewton):
    """θ ← θ − a·H·g, with H ← (I − s·yᵀ/sᵀy)·H·(I − y·sᵀ/sᵀy) + s·sᵀ/sᵀy after a step s that changed g by y.

    H starts as (sᵀy / yᵀy)·I of the first step, so that its scale is that of the problem, and on a quadratic with n
    variables ends as the inverse of the second derivatives after n exact steps. A step goes as far as the strong
    Wolfe conditions f(a) ≤ f(0) + c1·a·f'(0) and |f'(a)| ≤ c2·|f'(0)| ask for. Steps with sᵀy ≤ 10⁻¹⁰·‖s‖·‖y‖, as
    across the kink of a ReLU, leave H as it was.

    For networks of some hundreds of weights, where it needs the fewest iterations. H takes 8·n² bytes and as many
    operations an iteration: above some thousands of weights LBFGS is the better choice, and what its documentation
    says of data, mini-batches and float32 holds here, too.

    Args:
        gtol: stop once no entry of the gradient is larger, >= 0. Default 1e-5.
        ftol: stop once an iteration changes the loss by no more than ftol·max(1, |loss|), >= 0. Default 1e-9.
        max_iterations: iterations of a fit() without `epochs`, >= 1. Default 1000.
        max_params: refuse to fit more weights than these, >= 1; 5000 take 200 MB. Default 5000.
        c1: share of the promised fall that a step must bring, in (0, c2). Default 1e-4.
        c2: share of the slope that may be left after a step, in (0, 1); small values make line searches exact.
            Default 0.9.
        max_evaluations: evaluations of one line search, >= 1. Default 25.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range; in fit(), more weights than max_params.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
        >>> model = fl.Model([fl.Dense(4, "tanh"), fl.Dense(1)], seed=0, dtype="float64")
        >>> model.compile(fl.BFGS(), "mse")
        >>> model.fit(X, y).stop_reason
        'the gradient is below gtol'

    References:
        Broyden, Fletcher, Goldfarb & Shanno 1970; Nocedal & Wright 2006, algorithms 3.5, 3.6 and 6.1.
    """

    name = "bfgs"

    def __init__(
        self,
        *,
        gtol: float = 1e-5,
        ftol: float = 1e-9,
        max_iterations: int = 1000,
        max_params: int = 5000,
        c1: float = 1e-4,
        c2: float = 0.9,
        max_evaluations: int = 25,
    ) -> None:
        super().__init__(
            gtol=gtol,
            ftol=ftol,
            max_iterations=max_iterations,
            c1=c1,
            c2=c2,
            max_evaluations=max_evaluations,
        )
        self.max_params = integer("BFGS", "max_params", max_params, low=1, high=2**31 - 1)
