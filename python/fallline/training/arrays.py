"""Training on rows of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.data import Data

if TYPE_CHECKING:
    from fallline.model import Model
    from fallline.optimizers import FirstOrder
    from fallline.training.plan import Drawn
    from fallline.typing import Array, Float64Array


# Batches whose rates a schedule is asked for at once.
SCHEDULED = 1024


class ArrayTrainer:
    """The trainer of the core, with the outputs that metrics need."""

    ended = None

    def __init__(
        self,
        model: Model,
        network: _core.Network,
        data: Data,
        optimizer: FirstOrder,
        batch_size: int,
        sampler: Drawn,
    ) -> None:
        self.rows_per_epoch = len(data.x)
        self._network, self._data, self._batch_size = network, data, batch_size
        self._optimizer = optimizer
        shape = (self.rows_per_epoch, network.outputs)
        self._outputs = np.empty(shape, model.dtype) if model.metrics else None
        self._core = network.trainer(*data, batch_size, sampler.core, self._outputs)
        # Of the epochs that the last run has finished, also if it raised.
        self.losses: Float64Array = np.empty(0)
        self._sampler = sampler.core
        # Outputs are kept by their places in the epoch, not by rows.
        self._keeps_draws = sampler.core.repeats and self._outputs is not None
        sampler.declared.adopt(sampler.core)

    @property
    def batch(self) -> int:
        """Batches of the running epoch so far."""
        return self._network.row // self._batch_size

    @property
    def running_loss(self) -> float:
        """Mean loss of the running epoch so far."""
        return self._core.running_loss

    def run(self, epochs: int, batches: int, seconds: float) -> int:
        """Make updates until a limit is reached; return their rows."""
        self.losses = np.empty(0)
        epoch, row = self._network.epoch, self._network.row
        if callable(self._optimizer.learning_rate):
            left = epochs * self._core.batches_per_epoch - self.batch
            batches = min(batches, left, SCHEDULED)
        rates = self._optimizer.rates(self._network.step, batches)
        try:
            self._core.run(rates, epochs, batches, seconds)
        finally:
            self.losses = self._core.losses
        return (self._network.epoch - epoch) * self.rows_per_epoch + self._network.row - row

    def measured(self) -> tuple[Data, Array | None]:
        """Return labels and outputs of the epoch that ended; of a sampler that repeats rows, as they were drawn."""
        data, outputs = self._data, self._outputs
        if not self._keeps_draws:
            return data, outputs
        rows, weights = self._core.drawn
        own = None if data.weight is None else data.weight[rows]
        return Data(data.x, data.y[rows], weights if len(weights) else own), outputs

    def get_state(self) -> dict[str, Any]:
        """Return how far the running epoch has come, and what it has measured."""
        network = self._network
        return {
            "epoch": network.epoch,
            "row": network.row,
            "sums": self._core.sums,
            "outputs": self._outputs if network.row else None,
            "drawn": [part[: network.row] for part in self._core.drawn] if self._keeps_draws else None,
            "sampler": self._sampler.get_state(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a get_state()."""
        self._sampler.set_state(state["sampler"])  # what is drawn next depends on it
        if state.get("row"):
            self._core.resume(state["epoch"], state["row"], state["sums"])
            if self._outputs is not None:
                self._outputs[:] = state["outputs"]
            if self._keeps_draws:
                self._core.set_drawn(*state["drawn"])

    def close(self) -> None:
        """Let go of the model and the data."""
        self._core.close()
