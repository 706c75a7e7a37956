"""What optimizers of single updates share: rates, decay, clipping, and the step on plain NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core, schedules
from fallline.checks import integer, number, refuse_masked
from fallline.errors import message
from fallline.optimizers.optimizer import Optimizer
from fallline.schedules.schedule import as_rate

if TYPE_CHECKING:
    from typing_extensions import Self

    from fallline.typing import Array, Float64Array

Schedule = Callable[[int], float]


_rules = functools.cache(_core.optimizers)


class FirstOrder(Optimizer):
    """Base of update rules: θ ← θ − learning_rate · (direction(g + l2·θ) + weight_decay·θ).

    Before the direction is made, every entry of the gradient g is cut to [-clip_value, clip_value], then the
    gradient of each layer is shortened to the norm clip_layer_norm, and then that of all of them together to
    clip_norm (Pascanu et al. 2013). The penalty l2 is added after that.

    The two kinds of decay differ wherever a rule scales the gradient: l2 goes through the rule, as torch's
    weight_decay does, and weight_decay past it (Loshchilov & Hutter 2017).

    A subclass declares its hyper-parameters; the formula is the core's rule of its name.

    Args:
        learning_rate: a number >= 0, a schedule (fallline.schedules), or a function of the step, counted from 0.
            May be assigned at any time.
        weight_decay: decoupled decay of all parameters, >= 0.
        l2: coupled decay of all parameters, >= 0.
        clip_norm: largest norm of the whole gradient, or None.
        clip_layer_norm: largest norm of the gradient of one layer, of one array in step(), or None.
        clip_value: largest absolute value of an entry of the gradient, or None.
        average: b in (0, 1): keep beside the weights w their exponentially weighted average a, corrected for
            its start: a ← a + (1 − b) / (1 − bᵗ) · (w − a) after update t = 1, 2, ... (Polyak & Juditsky 1992).
            fit() validates with it, `with model.averaged():` puts it in the weights' place. Weights that are given,
            by set_weights(), to a layer or by EarlyStopping, are their own average, which goes on from there. Or None.
    """

    assignable = frozenset({"learning_rate"})

    def __init__(
        self,
        learning_rate: float | Schedule,
        *,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        clip_layer_norm: float | None = None,
        clip_value: float | None = None,
        average: float | None = None,
    ) -> None:
        kind = type(self).__name__
        self.learning_rate = learning_rate
        self.weight_decay = number(kind, "weight_decay", weight_decay, low=0)
        self.l2 = number(kind, "l2", l2, low=0)
        self.clip_norm = self._limit("clip_norm", clip_norm)
        self.clip_layer_norm = self._limit("clip_layer_norm", clip_layer_norm)
        self.clip_value = self._limit("clip_value", clip_value)
        self.average = self._limit("average", average, below=1)
        self._step = 0
        self._slots: list[list[Array]] = []

    def _limit(self, argument: str, value: float | None, below: float | None = None) -> float | None:
        return None if value is None else number(type(self).__name__, argument, value, above=0, below=below)

    def anew(self) -> Self:
        """Return an optimizer declared alike, which has learned nothing and is nobody's."""
        made = super().anew()
        made._step, made._slots = 0, []
        return made

    @property
    def rule(self) -> str:
        """The name of the update rule in the core."""
        return self.name

    def _hyper_parameters(self) -> dict[str, float]:
        """The numbers of the rule by name."""
        names, _ = _rules()[self.rule]
        return {name: getattr(self, name) for name in names}

    @property
    def learning_rate(self) -> float | Schedule:
        """The rate, or the function of the step that gives it."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Schedule) -> None:
        self._learning_rate: float | Schedule = as_rate(value, type(self).__name__, "learning_rate")

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        Raises:
            ValueError: the schedule answers with anything but a number >= 0.

        Example:
            >>> from fallline import SGD
            >>> SGD(lambda step: 1 / (1 + step)).rate(3)
            0.25
        """
        rate = self._learning_rate
        return self._checked(rate(step)) if callable(rate) else rate

    def _checked(self, answer: Any) -> float:
        return number(type(self).__name__, "learning_rate(step)", answer, low=0)

    def rates(self, step: int, count: int) -> Float64Array:
        """Return the learning rates of the steps step, step + 1, ..., or a single one if it never changes."""
        rate = self._learning_rate
        if not callable(rate):
            return np.array([rate])
        steps = np.arange(step, step + count)
        answers = rate(steps) if isinstance(rate, schedules.Schedule) else [rate(t) for t in steps.tolist()]
        rates = np.array(answers)
        if rates.dtype.kind in "fiu" and rates.ndim == 1 and rates.min() >= 0 and rates.max() < np.inf:
            return rates.astype(np.float64, copy=False)
        return np.array([self._checked(answer) for answer in answers])

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know: the rule and its numbers."""
        return {
            "name": self.rule,
            "weight_decay": self.weight_decay,
            "l2": self.l2,
            "clip_norm": self.clip_norm,
            "clip_layer_norm": self.clip_layer_norm,
            "clip_value": self.clip_value,
            "average": self.average,
            **self._hyper_parameters(),
        }

    def _slot_names(self) -> list[str]:
        return _core.optimizer_slots(self.spec())

    def step(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        """Update a list of arrays in place, all in one fused pass; the state follows their order.

        Args:
            params: float32 or float64 arrays, C-contiguous and writeable.
            grads: their gradients, of the same shapes and dtypes, C-contiguous.

        Raises:
            TypeError: a wrong dtype.
            ValueError: a wrong shape, masked elements, or not the arrays of the calls before.

        Example:
            >>> import numpy as np
            >>> from fallline import SGD
            >>> theta = np.array([1.0, 2.0])
            >>> SGD(0.5).step([theta], [np.array([2.0, 0.0])])
            >>> theta
            array([0., 2.])
        """
        params, grads = list(params), list(grads)
        slots = self._slots
        if self._step == 0:
            slots = [[_zeros(param, k + 1) for param in params] for k in range(len(self._slot_names()))]
        self._check_arrays(params, grads, slots)
        _core.optimizer_step(self.spec(), self.rate(self._step), self._step + 1, params, grads, slots)
        self._step, self._slots = self._step + 1, slots

    def _check_arrays(
        self, params: Sequence[Array], grads: Sequence[Array], slots: Sequence[Sequence[Array]]
    ) -> None:
        """What the core does not see: an array given twice, other arrays than in the steps before."""
        operation = f"{type(self).__name__}.step"
        if len({id(param) for param in params}) < len(params):
            raise ValueError(message(operation, "params", "has one array twice", "each array once"))
        refuse_masked(operation, "params", params)
        refuse_masked(operation, "grads", grads)
        if any(np.shape(param) != np.shape(grad) for param, grad in zip(params, grads, strict=False)):
            return  # the core says which
        before = slots[0] if slots else params
        if len(params) != len(before):
            expected = f"{len(before)}, as in the steps before"
            raise ValueError(message(operation, "params", f"has {len(params)} arrays", expected))
        for i, (param, slot) in enumerate(zip(params, before, strict=True)):
            if getattr(param, "shape", slot.shape) != slot.shape:  # the core refuses what is no array
                expected = f"{slot.shape}, as in the steps before"
                raise ValueError(message(operation, f"params[{i}]", f"has shape {param.shape}", expected))

    def state_dict(self) -> dict[str, Any]:
        """Return what step() has gathered: {"step": updates made, "slots": {name: arrays}}; copies.

        Example:
            >>> from fallline import Adam
            >>> Adam().state_dict()
            {'step': 0, 'slots': {}}
        """
        slots = {
            name: [a.copy() for a in arrays]
            for name, arrays in zip(self._slot_names(), self._slots, strict=False)
        }
        return {"step": self._step, "slots": slots}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state_dict() of the same rule.

        Raises:
            ValueError: the state of another rule.
        """
        operation = f"{type(self).__name__}.load_state_dict"
        missing = {"step", "slots"} - set(state)
        if missing:
            raise ValueError(message(operation, "state", f"has keys {sorted(state)}", "'step' and 'slots'"))
        step = integer(operation, "step", state["step"], low=0)
        names = self._slot_names() if step else []
        if list(state["slots"]) != names:
            raise ValueError(message(operation, "slots", f"are {list(state['slots'])}", f"{names}"))
        slots = [[_copy(a, k + 1) for a in state["slots"][name]] for k, name in enumerate(names)]
        if len({tuple((a.shape, a.dtype) for a in arrays) for arrays in slots}) > 1:
            raise ValueError(
                message(operation, "slots", "differ in shapes or dtypes", "the same arrays in each")
            )
        self._step, self._slots = step, slots


# The processor takes addresses that agree in their last 12 bits for the same, at first; long arrays all start at the
# same place of a page, and side by side they then cost up to half as much again.
_APART, _LONG = 832, 1 << 16  # bytes


def _zeros(like: Any, place: int) -> Array:
    """Zeros like an array; long ones start at another place of a page for each `place` from 1 to 4."""
    if not isinstance(like, np.ndarray) or like.dtype.kind != "f" or like.nbytes < _LONG:
        return np.zeros_like(like)
    skipped = _APART * place
    memory = np.zeros(like.nbytes + skipped, dtype=np.uint8)[skipped:]
    zeros: Array = memory.view(like.dtype).reshape(like.shape)
    return zeros


def _copy(values: Any, place: int) -> Array:
    array: Array = np.asarray(values)
    copy = _zeros(array, place)
    copy[...] = array
    return copy
