"""Samplers that know all rows of an epoch when it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.checks import flag, unmasked
from fallline.errors import message
from fallline.samplers.sampler import OPERATION, Rows, Sampler, checked_groups, groups_of, per_row

if TYPE_CHECKING:
    from fallline.typing import ArrayLike


class Shuffled(Sampler):
    """Every row once, in an order drawn anew for each epoch: fit(shuffle=True).

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> models = [fl.Model([fl.Dense(1)], seed=0) for _ in range(2)]
        >>> for model, how in zip(models, ({"shuffle": True}, {"sampler": fl.samplers.Shuffled()})):
        ...     model.compile("sgd", "mse")
        ...     _ = model.fit(np.eye(5), np.ones(5), batch_size=2, **how)
        >>> bool((models[0].layers[0].kernel == models[1].layers[0].kernel).all())
        True
    """

    name = "shuffled"


class Sequential(Sampler):
    """Every row once, in the order of the data: fit(shuffle=False).

    Not for rows sorted by class, as files often have them.

    Example:
        >>> import fallline as fl
        >>> fl.samplers.Sequential()
        Sequential()
    """

    name = "sequential"


class WithReplacement(Sampler):
    """Independent draws, every row as likely: what theory calls stochastic gradient descent.

    Of n draws some 63 % are of different rows. On data that is gone through often, Shuffled is better: it
    leaves no row out.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> model = fl.Model([fl.Dense(1)], seed=0)
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.eye(5), np.ones(5), epochs=2, sampler=fl.samplers.WithReplacement())
    """

    name = "with_replacement"


class Balanced(Sampler):
    """A class first, all as likely, then one of its rows.

    With K classes, N_c rows of class c and N in all, a row has the probability 1 / (K · N_c). The loss that is
    minimised thereby is the mean over classes of the mean over their rows, as with class_weight="balanced", but
    rare classes come in every batch instead of weighing much in few. With unbiased=True the losses of rows are
    multiplied by K · N_c / N, so that the mean over all rows is minimised, only with other noise.

    Classes without rows are left out. Predicted probabilities are those of balanced classes, unless unbiased.

    Args:
        over: "classes": those of y; or the number of each row's group, (n,). Default "classes".
        unbiased: whether the loss stays the mean over all rows. Default False.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a negative group; in fit(), a wrong number of rows, or y that has no classes.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> X, y = np.array([[0.0]] * 99 + [[1.0]]), np.array([0] * 99 + [1])
        >>> model = fl.Model([fl.Dense(2, "softmax")], seed=0)
        >>> model.compile(fl.SGD(0.1), "cross_entropy")
        >>> history = model.fit(X, y, epochs=50, sampler=fl.samplers.Balanced())
        >>> bool(model.predict([[1.0]])[0, 1] > 0.5)
        True
    """

    name = "balanced"

    def __init__(self, over: str | ArrayLike = "classes", *, unbiased: bool = False) -> None:
        self.over: Any = checked_groups("Balanced", over, ("classes",))
        self.unbiased = flag("Balanced", "unbiased", unbiased)

    def core(self, rows: Rows) -> _core.Sampler:
        """Return the core's sampler for the rows of a fit."""
        groups, _ = groups_of(self.over, rows)
        return _core.Sampler({"name": self.name, "unbiased": float(self.unbiased)}, len(groups), groups)


class Weighted(Sampler):
    """Independent draws, row i with the probability p_i = weights_i / Σ weights.

    The loss that is minimised thereby is Σ p_i · loss_i: for a few weights that differ much, drawing is
    steadier than sample_weight. With unbiased=True the loss of row i is multiplied by 1 / (n · p_i), so that
    the mean over all rows is minimised, only with other noise: the least if p_i is in proportion to the norm
    of the row's gradient. Rows of weight 0 are never drawn, and then there is no unbiased mean.

    Args:
        weights: (n,), finite, >= 0, and > 0 if unbiased.
        unbiased: whether the loss stays the mean over all rows. Default False.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: weights out of range; in fit(), a wrong number of them.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> sampler = fl.samplers.Weighted([1.0, 1.0, 2.0, 0.0])
        >>> model = fl.Model([fl.Dense(1)], seed=0)
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.eye(4), np.ones(4), epochs=2, sampler=sampler)
    """

    def __init__(self, weights: ArrayLike, *, unbiased: bool = False) -> None:
        kind = "Weighted"
        given = unmasked(kind, "weights", weights)
        if given.ndim != 1 or given.dtype.kind not in "fiub":
            got = f"has shape {given.shape} and dtype {given.dtype}"
            raise TypeError(message(kind, "weights", got, "a number for each row, (n,)"))
        self.weights = given.astype(np.float64)
        self.weights.flags.writeable = False
        self.unbiased = flag(kind, "unbiased", unbiased)
        least = "> 0, as unbiased is True" if unbiased else ">= 0, at least one of them > 0"
        self._check(kind, "weights", self.weights, f"finite numbers {least}")

    def _check(self, operation: str, argument: str, weights: Any, expected: str) -> None:
        low, total = weights.min(initial=np.inf), weights.sum()
        if not (low >= 0 and 0 < total < np.inf) or (self.unbiased and low == 0):
            got = f"goes from {low:g} to {weights.max(initial=-np.inf):g}"
            raise ValueError(message(operation, argument, got, expected))

    def core(self, rows: Rows) -> _core.Sampler:
        """Return the core's sampler for the rows of a fit."""
        weights = per_row(self.weights, "weights", rows)
        self._check(OPERATION, "sampler.weights", weights, "a positive one among the rows not held out")
        return _core.Sampler({"name": "weighted", "unbiased": float(self.unbiased)}, len(weights), weights)
