"""Update rules: one class a file, each one functor in the core."""

from __future__ import annotations

from fallline.optimizers.adam import Adam
from fallline.optimizers.adamw import AdamW
from fallline.optimizers.optimizer import Optimizer, Schedule
from fallline.optimizers.rmsprop import RMSProp
from fallline.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSProp", "Schedule"]
