"""What optimizers that see all rows at once share."""

from __future__ import annotations

from fallline import _core
from fallline.optimizers.optimizer import Optimizer


class Minimizer(Optimizer):
    """Base of optimizers that go down on the loss of all rows, a function of all weights, by iterations.

    In fit() an iteration is an epoch, and the loss that is reported is that after it. The loss must be the same each
    time it is looked at: no mini-batches, no dropout.

    A subclass declares its options; the method is the core's of its name.
    """

    # Iterations after which fit() ends where no number of epochs is given.
    max_iterations: int

    def options(self) -> dict[str, float | str]:
        """Return what the core's method is told."""
        return {k: v for k, v in self.get_config().items() if k != "max_iterations"}

    def start(self, seed: int) -> _core.Minimizer:
        """Return the core's method, which has learned nothing yet; what it draws follows from the seed."""
        return _core.Minimizer(self.name, self.options() | {"seed": str(seed)})
