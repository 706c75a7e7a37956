"""Limited-memory BFGS."""

from __future__ import annotations

from fallline.checks import integer
from fallline.optimizers.quasi_newton import QuasiNewton


class LBFGS(QuasiNewton):
    """θ ← θ − a·H·g, with H made of the last steps and of what they changed in the gradient.

    Each of the last `history` steps s changed the gradient g by y; H is the matrix that BFGS would make of these
    pairs from (sᵀy / yᵀy)·I of the newest, and it is never written down: H·g takes 4·history·n multiplications.
    A step goes as far as the strong Wolfe conditions f(a) ≤ f(0) + c1·a·f'(0) and |f'(a)| ≤ c2·|f'(0)| ask for;
    most often a = 1 will do, and an iteration costs one gradient over all rows. Pairs with sᵀy ≤ 10⁻¹⁰·‖s‖·‖y‖,
    as from across the kink of a ReLU, are left out.

    It is the method of choice where all rows fit into a step and the loss is to be brought down to its last digits:
    small data, fits of functions, the end of a Chain. It is the wrong one for large data, where an epoch of Adam
    makes hundreds of updates for the price of one of these; it takes no mini-batches, no dropout; and like all
    descents it ends in the valley it starts in. fit() keeps rows that are mostly zeros, such as images, a second
    time without them, up to 2²³ numbers, and saves the products with zero. In float32 the search ends where
    rounding hides the slope: dtype="float64" goes further.

    Args:
        history: pairs (s, y) kept, >= 1; two vectors of all weights each. Default 10.
        gtol: stop once no entry of the gradient is larger, >= 0. Default 1e-5.
        ftol: stop once an iteration changes the loss by no more than ftol·max(1, |loss|), >= 0. Default 1e-9.
        max_iterations: iterations of a fit() without `epochs`, >= 1. Default 1000.
        c1: share of the promised fall that a step must bring, in (0, c2). Default 1e-4.
        c2: share of the slope that may be left after a step, in (0, 1); small values make line searches exact.
            Default 0.9.
        max_evaluations: evaluations of one line search, >= 1. Default 25.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> model = fl.Model([fl.Dense(8, "tanh"), fl.Dense(1)], seed=0, dtype="float64")
        >>> model.compile(fl.LBFGS(), "mse")
        >>> history = model.fit(x, np.sin(3 * x))
        >>> history.history["loss"][-1] < 1e-5
        True

    References:
        Nocedal 1980; Liu & Nocedal 1989; Nocedal & Wright 2006, algorithms 3.5, 3.6 and 7.4.
    """

    name = "lbfgs"

    def __init__(
        self,
        *,
        history: int = 10,
        gtol: float = 1e-5,
        ftol: float = 1e-9,
        max_iterations: int = 1000,
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
        self.history = integer("LBFGS", "history", history, low=1, high=2**31 - 1)
