"""Update rules: one class a file, each a functor in the core or an option of one."""

from __future__ import annotations

from fallline.optimizers.adadelta import AdaDelta
from fallline.optimizers.adagrad import AdaGrad
from fallline.optimizers.adam import Adam
from fallline.optimizers.adamw import AdamW
from fallline.optimizers.lion import Lion
from fallline.optimizers.nadam import NAdam
from fallline.optimizers.optimizer import Optimizer, Schedule
from fallline.optimizers.rmsprop import RMSProp
from fallline.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Lion",
    "NAdam",
    "Optimizer",
    "RMSProp",
    "Schedule",
]
