"""Training on batches that an iterable gives one by one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.batches import Measured, empty, unpacked, weightless
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.data import ClassWeights, Data
    from fallline.model import Model
    from fallline.optimizers import FirstOrder
    from fallline.typing import Array, Float64Array

ARGUMENT = "X"


class BatchStream:
    """The batches of an iterable, cut into epochs: all of one iteration, or a number of them."""

    def __init__(
        self,
        source: Any,
        steps: int | None,
        epochs: int | None,
        operation: str,
        class_weight: ClassWeights | None,
    ) -> None:
        self.operation = operation
        self.class_weight = class_weight
        self.steps = steps
        self.taken = 0  # batches used of the present iteration
        self._source = source
        self._batches: Iterator[Any] | None = iter(source)
        self._waiting: list[Any] = []  # the next batch, if it was looked at
        self._once = self._batches is source
        if self._once and steps is None and epochs not in (0, 1):
            got = f"is a {type(source).__name__}, which can be gone through once"
            expected = "steps_per_epoch beside it, or what starts anew for each epoch, as a list"
            raise ValueError(message(operation, ARGUMENT, got, expected))

    def where(self, batch: int) -> str:
        """Return the words for errors in a batch of the epoch."""
        return f"{self.operation}({ARGUMENT}[{batch}])"

    def first(self) -> tuple[Any, Any, Any]:
        """Look at the first batch."""
        if not self.more():
            raise empty(self.operation, ARGUMENT)
        return unpacked(self._waiting[0], self.where(0))

    def more(self) -> bool:
        """Tell whether there is another batch; what can be iterated again has always one."""
        if self._fetched():
            return True
        if self._once:
            return False
        self._start_anew()
        if not self._fetched():
            raise empty(self.operation, ARGUMENT)
        return True

    def take(self) -> Any:
        """Return the batch that more() has found."""
        self.taken += 1
        return self._waiting.pop()

    def epoch_is_over(self, batches: int) -> bool:
        """Tell whether an epoch ends after so many batches; if it may go on, the next one is looked at."""
        if self.steps is not None:
            return batches >= self.steps
        if self._fetched():
            return False
        if not self._once:
            self._start_anew()
        return True

    def _fetched(self) -> bool:
        if not self._waiting:
            if self._batches is None:
                self._batches = iter(self._source)
            for batch in self._batches:
                self._waiting.append(batch)
                break
        return bool(self._waiting)

    def _start_anew(self) -> None:
        self._batches, self.taken = None, 0


class StreamTrainer:
    """What ArrayTrainer is for arrays."""

    rows_per_epoch = None

    def __init__(
        self, model: Model, network: _core.Network, stream: BatchStream, optimizer: FirstOrder
    ) -> None:
        self._model, self._network, self._stream, self._optimizer = model, network, stream, optimizer
        self._core = _core.StreamTrainer(network)
        self._losses: list[float] = []
        self.ended: str | None = None
        self._measured = Measured(bool(model.metrics))

    @property
    def batch(self) -> int:
        """Batches of the running epoch so far."""
        return self._core.batch

    @property
    def running_loss(self) -> float:
        """Mean loss of the running epoch so far."""
        return self._core.running_loss

    @property
    def losses(self) -> Float64Array:
        """Of the epochs that the last run has finished, also if it raised."""
        return np.array(self._losses)

    def run(self, epochs: int, batches: int, seconds: float) -> int:
        """Make updates until a limit is reached; return their rows."""
        until = time.perf_counter() + seconds
        rows, self._losses = 0, []
        for _ in range(batches):
            if not self._stream.more():
                self._tell_end()
                if self.batch:
                    self._finish_epoch()
                break
            rows += self._update(self._optimizer.rate(self._network.step))
            if self._stream.epoch_is_over(self.batch):
                self._finish_epoch()
            if len(self._losses) == epochs or time.perf_counter() >= until:
                break
        return rows

    def _finish_epoch(self) -> None:
        _, weight, _ = self._core.sums
        if weight == 0:
            raise weightless(self._stream.operation, ARGUMENT)
        self._losses.append(self._core.finish_epoch())

    def _update(self, rate: float) -> int:
        where = self._stream.where(self.batch)
        batch = unpacked(self._stream.take(), where)
        by_class = self._stream.class_weight
        _, data = self._model.data(
            *batch,
            where,
            class_weight=by_class,
            measured=True,
            part=True,
            network=self._network,
            one_batch=True,
        )
        output = self._measured.room(data, self._network.outputs, self._model.dtype, where)
        self._core.train(*data, rate, output)
        self._measured.add(data, output)
        return len(data.x)

    def _tell_end(self) -> None:
        self._model.stop_training = True
        self.ended = "the batches are at their end"
        expected = f"steps_per_epoch={self._stream.steps}; training ends"
        got = f"gave {self.batch} batches for epoch {self._network.epoch}"
        warnings.warn(message(self._stream.operation, ARGUMENT, got, expected), stacklevel=7)

    def measured(self) -> tuple[Data, Array | None]:
        """Return labels and outputs of the epoch that ended, and forget them."""
        joined = self._measured.joined()
        self._measured.clear()
        return joined

    def get_state(self) -> dict[str, Any]:
        """Return where the stream is, and what the running epoch has measured."""
        data, output = self._measured.joined()
        kept = {} if output is None else {"outputs": output, "targets": data.y, "weights": data.weight}
        return {
            "taken": self._stream.taken,
            "epoch": self._network.epoch,
            "row": self._network.row,
            "batch": self.batch,
            "sums": self._core.sums,
            "kept": kept,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a get_state(): batches used before are passed over."""
        while self._stream.taken < state["taken"]:
            if not self._stream.more():
                got = f"ended after {self._stream.taken} batches"
                expected = f"the {state['taken']} that were used before, and more"
                raise ValueError(message(self._stream.operation, ARGUMENT, got, expected))
            self._stream.take()
        self._core.resume(state["epoch"], state["row"], state["batch"], state["sums"])
        if state["kept"]:
            self._measured.resume(state["kept"])

    def close(self) -> None:
        """Let go of the model."""
        self._core.close()
