"""Models declared alike, each from a start of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline import _core
from fallline.fleet import Fleet
from fallline.history import History
from fallline.model import Model
from fallline.optimizers import SimulatedAnnealing
from fallline.search.descent import Descent
from fallline.search.lockstep import Lockstep


class Replica(Descent):
    """One of the models; its iterations are epochs, its value is the loss of the last."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.value, self.iterations, self.reason = np.inf, 0, ""

    @property
    def follows_gradient(self) -> bool:
        """Whether it goes down only, so that it stays in its basin."""
        return not isinstance(self.model._compiled("multi_start")[0].optimizer, SimulatedAnnealing)

    def measure(self, history: History) -> None:
        """Take over what the epochs so far have measured."""
        self.iterations = len(history.epoch)
        if self.iterations:
            self.value = history.history["loss"][-1]
        self.reason = history.stop_reason or ""


class OneByOne:
    """What a Fleet is, for models that it does not take: chains, layers and losses in Python."""

    def __init__(self, models: Sequence[Model], X: Any, y: Any, **options: Any) -> None:
        self.histories = [History() for _ in models]
        self.not_finite: list[int] = []
        self._models, self._given = models, {"X": X, "y": y, "verbose": 0, **options}

    def run(self, epochs: Sequence[int]) -> None:
        """Train each model for so many epochs more."""
        for i, (model, history, count) in enumerate(zip(self._models, self.histories, epochs, strict=True)):
            try:
                new = model.fit(epochs=count, **self._given) if count else History()
            except _core.NonFiniteLoss as error:
                self.not_finite.append(i)
                history.stop_reason = str(error)
                continue
            history.add_losses(len(history.epoch), np.array(new.history.get("loss", [])))
            history.stop_reason = new.stop_reason or history.stop_reason

    def close(self) -> None:
        """Let go of the models and the data."""
        self._given.clear()


class Replicas(Lockstep[Replica]):
    """All of them, and who trains them."""

    def __init__(self, replicas: dict[int, Replica], trainers: Fleet | OneByOne) -> None:
        super().__init__(replicas, len(replicas))
        self._trainers = trainers

    def go(self, numbers: Sequence[int], iterations: int) -> None:
        """Let some go on for so many epochs; those whose loss is not finite are lost."""
        try:
            self._trainers.run([iterations if i in numbers else 0 for i in self.descents])
        finally:
            for i in numbers:
                self.descents[i].measure(self._trainers.histories[i])
            self.lose(self._trainers.not_finite)
        if not self.ends():
            raise _core.NonFiniteLoss(f"multi_start: {self._trainers.histories[numbers[-1]].stop_reason}")
