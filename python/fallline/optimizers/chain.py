"""Optimizers one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.checks import integer, number
from fallline.declaration import Declaration, resolve
from fallline.errors import message
from fallline.optimizers.first_order import FirstOrder
from fallline.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Self


class Plateau(Declaration):
    """Ends a stage of a Chain once the loss has not fallen by more than min_delta·|loss| for `patience` epochs.

    Args:
        patience: epochs without a fall, >= 1. Default 10.
        min_delta: relative fall that counts as one, >= 0. Default 1e-3.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: an argument out of range.

    Example:
        >>> Plateau(patience=3)
        Plateau(patience=3)
    """

    def __init__(self, patience: int = 10, *, min_delta: float = 1e-3) -> None:
        self.patience = integer("Plateau", "patience", patience, low=1)
        self.min_delta = number("Plateau", "min_delta", min_delta, low=0)


class Chain(Optimizer):
    """Optimizers one after the other: a search, a descent, a polish.

    A stage hands over the weights it has reached; what it learned beside them is forgotten. Stages of single
    updates take batches of fit()'s batch_size, the others all rows at once. fit() without `epochs` runs the
    chain to its end.

    It pays where the last digits of the loss matter and the data fit into full-batch steps. On large data, or
    where the validation loss is what counts, a single optimizer does as well.

    Args:
        stages: optimizers, or pairs (optimizer, budget), where the budget is a number of epochs or a Plateau.
            Without one, an optimizer of single updates hands over at Plateau(), and one that stops by itself
            when it does.

    Raises:
        TypeError: a stage that is no optimizer, or a budget of another kind.
        ValueError: no stages, or a budget out of range.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
        >>> model = fl.Model([fl.Dense(8, activation="tanh"), fl.Dense(1)], seed=0)
        >>> model.compile(fl.Chain([(fl.Adam(0.05), 50), (fl.SGD(0.01), fl.Plateau())]), "mse")
        >>> model.fit(X, y, batch_size=4).epoch[:50] == list(range(50))
        True
    """

    def __init__(self, stages: Sequence[Any]) -> None:
        if isinstance(stages, Optimizer | str) or not np.iterable(stages):
            raise TypeError(message("Chain", "stages", f"is {stages!r}", "a list of optimizers"))
        self.stages: list[tuple[Optimizer, int | Plateau | None]] = []
        for i, stage in enumerate(stages):
            optimizer, budget = _stage(i, stage)
            again = any(optimizer is before for before, _ in self.stages)
            self.stages.append((optimizer.anew() if again else optimizer, budget))
        if not self.stages:
            raise ValueError(message("Chain", "stages", "is empty", "at least one optimizer"))

    def anew(self) -> Self:
        """Return a chain declared alike, whose stages have learned nothing and are nobody's."""
        return self._with([optimizer.anew() for optimizer, _ in self.stages])

    def taken_by(self, model: object) -> Self:
        """Return this object for a model to learn by; one declared alike where another one learns by it or a stage."""
        taken = [optimizer.taken_by(model) for optimizer, _ in self.stages]
        own = all(optimizer is stage for optimizer, (stage, _) in zip(taken, self.stages, strict=True))
        return super(Chain, self if own else self._with(taken)).taken_by(model)

    def left_by(self, model: object) -> None:
        """Take note that a model learns by another optimizer from now on."""
        super().left_by(model)
        for optimizer, _ in self.stages:
            optimizer.left_by(model)

    def _with(self, optimizers: Sequence[Optimizer]) -> Self:
        made = super().anew()
        vars(made)["stages"] = [
            (new, budget) for new, (_, budget) in zip(optimizers, self.stages, strict=True)
        ]
        return made


def _stage(i: int, given: Any) -> tuple[Optimizer, int | Plateau | None]:
    argument = f"stages[{i}]"
    pair = isinstance(given, tuple | list)
    if pair and len(given) != 2:
        raise ValueError(message("Chain", argument, f"has {len(given)} parts", "(optimizer, budget)"))
    value, budget = given if pair else (given, None)
    optimizer = resolve(Optimizer, value, "Chain", argument)
    if isinstance(optimizer, Chain):
        raise TypeError(message("Chain", argument, "is a Chain", "its stages themselves"))
    if isinstance(budget, Plateau):
        return optimizer, budget
    if budget is not None:
        return optimizer, integer("Chain", f"{argument}: the budget", budget, low=1)
    return optimizer, Plateau() if isinstance(optimizer, FirstOrder) else None
