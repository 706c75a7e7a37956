"""Models under way together."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fallline import _core
from fallline.checks import flag
from fallline.fleet.plan import OPERATION, checked_models, patience, plan
from fallline.history import History
from fallline.optimizers import FirstOrder
from fallline.progress import SilentMany

if TYPE_CHECKING:
    from fallline.callbacks import EarlyStopping
    from fallline.fleet.plan import Plan
    from fallline.model import Model


class Fleet:
    """Models that are fitted at the same time, in rounds: what fit_many() is made of.

    Everything is checked at the beginning; no other fit may have the models before close().

    Args:
        models: as all others, those of fit_many().

    Attributes:
        models: the models.
        epochs: what the argument asks of each.
        histories: a History for each, over all rounds.
        not_finite: places of models that have ended because their loss is not finite.
    """

    def __init__(
        self,
        models: Sequence[Model],
        X: Any,
        y: Any,
        *,
        batch_size: Any = None,
        epochs: Any = None,
        validation_data: Any = None,
        sample_weight: Any = None,
        shuffle: bool = True,
        early_stopping: EarlyStopping | None = None,
    ) -> None:
        self.models = checked_models(models)
        plans = plan(self.models, X, y, batch_size, epochs, validation_data, sample_weight)
        shuffle = flag(OPERATION, "shuffle", shuffle)
        self._stopping = early_stopping
        rule = patience(early_stopping, all(each.held_out is not None for each in plans))
        self.epochs = [each.epochs for each in plans]
        self.histories = [
            History(["loss"] if each.held_out is None else ["loss", "val_loss"]) for each in plans
        ]
        self.not_finite: list[int] = []
        self._first = [each.network.epoch for each in plans]
        self._core = _core.Fleet()
        try:
            for each in plans:
                self._add(each, shuffle, rule)
        except BaseException:
            self.close()  # which others wait for, while a traceback still holds all this
            raise
        for model, each in zip(self.models, plans, strict=True):
            model.adopt(each.network, each.names)
            model.stop_training = False

    def _add(self, each: Plan, shuffle: bool, rule: dict[str, Any] | None) -> None:
        given = each.network, each.train, each.held_out, rule
        optimizer = each.course.optimizer
        if each.course.minimizer is not None:
            self._core.add_minimizer(*given, each.course.minimizer)
        elif isinstance(optimizer, FirstOrder):
            rate = optimizer.learning_rate
            self._core.add_trainer(
                *given, each.batch_size, shuffle, optimizer.rates if callable(rate) else rate
            )

    def run(self, epochs: Sequence[int], seconds: float = math.inf, show: SilentMany | None = None) -> None:
        """Train each model for so many epochs more, as far as the time goes; one with 0 rests.

        Those that have ended by themselves stay where they are.
        """
        show = show or SilentMany()
        for i, count in enumerate(epochs):
            self._core.extend(i, count)
        until = time.perf_counter() + seconds
        reason = "interrupted"
        try:
            while any(self._core.left) and (rest := until - time.perf_counter()) > 0:
                self._core.run(min(rest, show.interval))
                if show.interval < math.inf:
                    self._record()
                    show.advance(self._core.left, self.histories)
            reason = "max_seconds are over"
        finally:
            self._record()
            for history, left in zip(self.histories, self._core.left, strict=True):
                if left:
                    history.stop_reason = reason

    def finish(self) -> None:
        """Put the best weights back, where early_stopping is to."""
        self._core.finish()

    def close(self) -> None:
        """Let go of the models and the data."""
        self._core.close()

    def _record(self) -> None:
        """Take over what has been measured since the last time."""
        for i, (first, history) in enumerate(zip(self._first, self.histories, strict=True)):
            losses, held_out_losses = self._core.take(i)
            if len(losses):
                history.add_losses(first + len(history.epoch), losses)
            if len(held_out_losses):
                history.history.setdefault("val_loss", []).extend(held_out_losses.tolist())
            end, reason = self._core.end(i)
            if end == "patience" and self._stopping is not None:
                reason = self._stopping.rule
            if end == "not_finite" and history.stop_reason is None:
                self.not_finite.append(i)
            history.stop_reason = reason or None
