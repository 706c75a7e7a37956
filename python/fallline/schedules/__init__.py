"""Learning rates that change with the step, for every optimizer: learning_rate=schedule.

A schedule is a function of the step, counted from 0 over all updates of the optimizer. A plain Python function
does as well; a declared schedule is also saved with the model, compared, printed, and asked for many steps at
once.
"""

from __future__ import annotations

from fallline.schedules.composed import Piecewise, Warmup
from fallline.schedules.cosine import CosineDecay, CosineRestarts, OneCycle
from fallline.schedules.decay import (
    Constant,
    ExponentialDecay,
    InverseTimeDecay,
    PolynomialDecay,
    StepDecay,
)
from fallline.schedules.schedule import Schedule

__all__ = [
    "Constant",
    "CosineDecay",
    "CosineRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "OneCycle",
    "Piecewise",
    "PolynomialDecay",
    "Schedule",
    "StepDecay",
    "Warmup",
]
