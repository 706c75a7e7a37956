"""What to change when a fit is not good enough: first look at the training rows, then at the others."""

from __future__ import annotations

import math
from typing import NamedTuple

from fallline.checks import number
from fallline.declaration import known_names
from fallline.errors import message, unknown
from fallline.history import History
from fallline.metrics import Metric

_ADVICE = {
    "underfitting": (
        "activation: 'relu' or its kin in the hidden layers; sigmoid and tanh let the gradient vanish with depth",
        "learning rate: a tenth and ten times as much, or rates that adapt: Adam, RMSProp",
        "initial weights: kernel_initializer='auto', and inputs with mean 0 and deviation 1",
        "a wider network",
    ),
    "overfitting": (
        "early stopping: callbacks=[EarlyStopping()]",
        "penalties on the weights: kernel_regularizer=L2(1e-4) or L1(1e-4)",
        "Dropout(0.5) after the hidden layers",
        "more training rows",
    ),
    "unvalidated": ("hold rows out: validation_split=0.1, or validation_data=(X_val, y_val)",),
    "good": (),
}


class Diagnosis(NamedTuple):
    """What diagnose() found; prints as text.

    Attributes:
        verdict: "underfitting", "overfitting", "unvalidated" or "good".
        reason: the numbers behind it.
        suggestions: what to try, the likeliest first.
    """

    verdict: str
    reason: str
    suggestions: tuple[str, ...]

    def __str__(self) -> str:
        return "\n- ".join((f"{self.verdict}: {self.reason}", *self.suggestions))


def diagnose(history: History, target: float | None = None, *, monitor: str = "loss") -> Diagnosis:
    """Tell whether a fit misses its target on the training rows, or only on the validation rows.

    Not good on the training rows is no overfitting: what helps there (another activation, adaptive rates) differs
    from what helps against overfitting (early stopping, penalties, dropout), and comes first. The values of the last
    epoch count. With dropout or a penalty the training loss is larger than that of the rows alone.

    Args:
        history: what fit() returned.
        target: what is good enough. Default None, a rule of thumb: 0.9 for a metric that should be high, else
            half of the first epoch's training value.
        monitor: "loss" or the name of a metric in the history; those that fallline does not know should be low.
            Default "loss".

    Raises:
        ValueError: a monitor that was not measured, or a history without epochs.

    Example:
        >>> record = History()
        >>> for epoch, loss in enumerate([0.7, 0.1, 0.01]):
        ...     record.add(epoch, {"loss": loss, "val_loss": 0.6 + epoch / 10})
        >>> print(diagnose(record, target=0.3))
        overfitting: val_loss is 0.8 and loss 0.01, target 0.3; val_loss was best after 1 of 3 epochs
        - early stopping: callbacks=[EarlyStopping()]
        - penalties on the weights: kernel_regularizer=L2(1e-4) or L1(1e-4)
        - Dropout(0.5) after the hidden layers
        - more training rows

    References:
        Prechelt 1998, Early stopping - but when?; Srivastava et al. 2014, Dropout.
    """
    if not isinstance(history, History):
        raise TypeError(message("diagnose", "history", f"is {history!r}", "the History that fit() returned"))
    # An epoch that ended in a loss which is not finite has measured nothing.
    measured = {name: [v for v in values if not math.isnan(v)] for name, values in history.history.items()}
    if not any(measured.values()):
        raise ValueError(message("diagnose", "history", "has no epochs", "at least one"))
    trained = [name for name in measured if not name.startswith("val_")]
    if monitor not in trained:
        raise unknown("diagnose", "monitor", monitor, trained)
    known = known_names(Metric)
    metric = known.get(monitor, known.get(monitor.rpartition("_")[0]))  # f1_0 is f1 of a class
    higher = bool(metric and metric.higher_is_better)  # type: ignore[attr-defined]
    values = measured[monitor]
    rule_of_thumb = 0.9 if higher else values[0] / 2
    goal = rule_of_thumb if target is None else number("diagnose", "target", target)

    def reached(value: float) -> bool:
        return value >= goal if higher else value <= goal

    best = max if higher else min
    reason = f"{monitor} is {values[-1]:.4g}, target {goal:.4g}"
    held_out = measured.get(f"val_{monitor}")
    if not reached(values[-1]):
        still = ("more epochs: the last was the best",) if values[-1] == best(values) else ()
        return Diagnosis("underfitting", reason, still + _ADVICE["underfitting"])
    if held_out is None:
        return Diagnosis("unvalidated", reason, _ADVICE["unvalidated"])
    epoch = held_out.index(best(held_out)) + 1
    reason = (
        f"val_{monitor} is {held_out[-1]:.4g} and {reason.replace(' is', '', 1)}; "
        f"val_{monitor} was best after {epoch} of {len(held_out)} epochs"
    )
    verdict = "good" if reached(held_out[-1]) else "overfitting"
    return Diagnosis(verdict, reason, _ADVICE[verdict])
