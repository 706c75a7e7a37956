"""Training on all rows at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.data import Data
from fallline.errors import message
from fallline.layers import stack

if TYPE_CHECKING:
    from fallline.model import Model
    from fallline.network import Network
    from fallline.typing import Array, Float64Array

# What keeps a layer from giving the same loss twice, or from learning by anything but single updates.
OBSTACLES = {
    "dropout": "draws a new mask for each batch",
    "dropconnect": "draws a new mask for each batch",
    "batch_normalization": "gathers averages over batches",
}
AFTER_UPDATES = {"_max_norm": "MaxNorm acts", "_proximal": "L1(proximal=True) acts"}


def check(model: Network, network: _core.Network, operation: str) -> None:
    """Refuse layers that go with single updates only."""
    for i, layer in enumerate(model.layers):
        for _, group in layer.groups():
            if group.trainable and (group.learning_rate_factor != 1 or group.weight_decay):
                got = f"learns as {group!r}"
                expected = "no rates and decays of its own: there is no learning rate"
                raise ValueError(message(operation, f"layers[{i}]", got, expected))
    for spec in stack.specs(model.layers, network.inputs):
        why = OBSTACLES.get(spec["kind"])
        for ending, what in AFTER_UPDATES.items():
            if any(name.endswith(ending) and value for name, value in spec.items()):
                why = f"{what} after single updates"
        if why:
            place = spec["index"]
            got = f"is {model.layers[place]!r}, which {why}"
            expected = f"a loss that is always the same function of the weights, for {model.optimizer!r}"
            raise ValueError(message(operation, f"layers[{place}]", got, expected))


class FullBatchTrainer:
    """What ArrayTrainer is for single updates; an iteration counts as an epoch."""

    batch = 0  # of the running epoch

    def __init__(self, model: Model, network: _core.Network, data: Data, minimizer: _core.Minimizer) -> None:
        self.rows_per_epoch = len(data.x)
        self._network, self._data, self._minimizer = network, data, minimizer
        self._measures = bool(model.metrics)
        self._surface = _core.Surface(network, *data)
        self._begun = False
        # After each iteration of the last run, also if it raised.
        self.losses: Float64Array = np.empty(0)

    @property
    def ended(self) -> str | None:
        """Why there is nothing left to do."""
        return (self._begun and self._minimizer.reason) or None

    @property
    def running_loss(self) -> float:
        """Loss where the weights are."""
        return self._minimizer.value

    def run(self, epochs: int, batches: int, seconds: float) -> int:  # noqa: ARG002
        """Iterate until a limit is reached; return the rows seen."""
        self.losses = np.empty(0)
        if not self._begun:
            self._begin()
        try:
            self._minimizer.run(self._surface, epochs, seconds)
        finally:
            self.losses = self._minimizer.values
            self._network.epoch += len(self.losses)
        return len(self.losses) * self.rows_per_epoch

    def _begin(self) -> None:
        self._minimizer.begin(self._surface)
        loss = self._minimizer.value
        if not math.isfinite(loss):
            got = f"is {loss} where the weights are, first in {self._surface.first_not_finite()}"
            raise _core.NonFiniteLoss(message("Model.fit", "the loss", got, "a finite number"))
        self._begun = True

    def measured(self) -> tuple[Data, Array | None]:
        """Return labels and outputs, where the weights are."""
        return self._data, self._network.predict(self._data.x) if self._measures else None

    def get_state(self) -> dict[str, Any]:
        """Return nothing: what was learned is part of the model's state."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a get_state()."""

    def close(self) -> None:
        """Let go of the model and the data."""
        self._surface.close()
