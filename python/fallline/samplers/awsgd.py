"""A sampler that learns which rows to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.checks import flag, integer, number
from fallline.errors import message
from fallline.samplers.sampler import OPERATION, Rows, Sampler, checked_groups, groups_of

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike, Float64Array


class AWSGD(Sampler):
    """Adaptive weighted SGD: draws more often what has large gradients, and multiplies its loss by as much less.

    With the share f_c of group c among the rows, s = softmax(log f + θ) and π_c = (1 − mix) · s_c + mix · f_c, a
    batch of B rows is drawn from groups c ~ π, each row uniform within its group, and its loss multiplied by
    f_c / π_c: the gradient stays the mean over all rows in expectation, for any optimizer. θ starts at 0, where
    this is plain SGD with replacement, and descends on the variance of that gradient:

        θ ← θ + learning_rate · mean_i min(d_i² / m, clip) · (1 − mix) · (s_c / π_c) · (e_c − s)

    where d_i is the norm of the gradient of row i's loss, factor and all, and m a moving mean of d². The norms
    come from the backward pass at hand. The best that can be learned is π_c ∝ f_c · √(mean ‖∇loss‖² in c).

    Worth trying where a few rows, or a rare class, have far larger gradients than most, and batches are small;
    beside Balanced(unbiased=True), which brings much of it. Balanced or easy data gain nothing: MNIST's digit 1
    against the rest trains no faster. No convergence is guaranteed. Rows with wrong labels have large
    gradients, too. Metrics of an epoch are those of the rows it has drawn.

    Args:
        over: "classes": those of y; "examples": each row is a group; or the number of each row's group, (n,).
            Over examples θ of a row rises only when it is drawn, so that it takes some epochs to learn. With
            more than 4 · B groups, the part − s of the change, common to all, is applied once for several
            batches, which keeps the cost of a batch at O(B · log groups). Default "classes".
        learning_rate: of θ, >= 0. Default 0.2.
        mix: share of plain sampling, 0 to 1: no factor is above 1 / mix. Default 0.1.
        clip: largest d² / m that counts, > 0, or None. Default 10.
        normalize: whether to divide by m; if not, clip is for d² itself. Default True.

    With mix=0, clip=None and normalize=False this is the published method, which explodes easily.

    Attributes:
        probabilities: π of each group, or of each row over examples.
        second_moment: mean of d² over the last whole epoch: what it tries to lower.

    It keeps what it has learned: another fit on the same rows goes on with it.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range; in fit(), a wrong number of rows, y that has no classes, or a layer
            that keeps single rows from having gradients of their own, such as BatchNormalization.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> rng = np.random.default_rng(0)
        >>> y = (rng.random(2000) < 0.02).astype(int)
        >>> X = rng.normal(size=(2000, 3)) + 2 * y[:, None]
        >>> model = fl.Model([fl.Dense(2, "softmax")], seed=0)
        >>> model.compile(fl.SGD(0.1), "cross_entropy")
        >>> sampler = fl.samplers.AWSGD()
        >>> history = model.fit(X, y, batch_size=16, epochs=5, sampler=sampler)
        >>> bool(sampler.probabilities[1] > 0.1)
        True
        >>> int(y[sampler.hardest(1)[0]])
        1

    References:
        Bouchard, Trouillon, Perez & Gaidon 2015, "Online learning to sample"; Goodfellow 2015 for the norms.
    """

    name = "awsgd"

    def __init__(
        self,
        over: str | ArrayLike = "classes",
        *,
        learning_rate: float = 0.2,
        mix: float = 0.1,
        clip: float | None = 10.0,
        normalize: bool = True,
    ) -> None:
        kind = "AWSGD"
        self.over: Any = checked_groups(kind, over, ("classes", "examples"))
        self.learning_rate = number(kind, "learning_rate", learning_rate, low=0)
        self.mix = number(kind, "mix", mix, low=0, high=1)
        self.clip = None if clip is None else number(kind, "clip", clip, above=0)
        self.normalize = flag(kind, "normalize", normalize)
        self._learner: _core.Sampler | None = None

    @property
    def probabilities(self) -> Float64Array:
        """The probability of each group, or of each row over examples."""
        return self._learned("probabilities").probabilities

    @property
    def second_moment(self) -> float:
        """Mean of the squared norms, factors and all, of the rows drawn in the last whole epoch; nan before."""
        return self._learned("second_moment").second_moment

    def hardest(self, k: int) -> Array:
        """Return the k rows of the largest gradients, each as of its last draw; rows never drawn come last.

        Raises:
            RuntimeError: no fit has used the sampler yet.
            ValueError: k is negative, or larger than the number of rows.
        """
        norms = self._learned("hardest").norms
        k = integer("AWSGD.hardest", "k", k, low=0, high=len(norms))
        return np.argsort(-norms, kind="stable")[:k]

    def core(self, rows: Rows) -> _core.Sampler:
        """Return the core's sampler for the rows of a fit, which knows what was learned."""
        if rows.without_gradients is not None:
            expected = "layers whose gradients are those of single rows"
            raise ValueError(
                message(OPERATION, "sampler", f"is AWSGD, beside {rows.without_gradients}", expected)
            )
        by_row = isinstance(self.over, str) and self.over == "examples"
        groups, count = (None, len(rows.y)) if by_row else groups_of(self.over, rows)
        spec = {
            "name": self.name,
            "groups": count,
            "learning_rate": self.learning_rate,
            "mix": self.mix,
            "clip": self.clip,
            "normalize": float(self.normalize),
        }
        core = _core.Sampler(spec, len(rows.y), groups)
        if self._learner is not None:
            before = self._learner.rows, len(self._learner.probabilities)
            if before != (len(rows.y), count):
                got = f"has learned {before[0]} rows in {before[1]} groups"
                expected = f"{len(rows.y)} in {count}, or a new AWSGD for other rows"
                raise ValueError(message(OPERATION, "sampler", got, expected))
            core.set_state(self._learner.get_state())
        return core

    def adopt(self, core: _core.Sampler) -> None:
        """Read from this one, and go on with it."""
        self._learner = core

    def _learned(self, what: str) -> _core.Sampler:
        if self._learner is None:
            raise RuntimeError(
                message(f"AWSGD.{what}", "sampler", "has seen no rows yet", "a fit with it before")
            )
        return self._learner
