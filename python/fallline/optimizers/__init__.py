"""Update rules: one class a file, each a functor in the core or an option of one."""

from __future__ import annotations

from fallline.optimizers.adadelta import AdaDelta
from fallline.optimizers.adagrad import AdaGrad
from fallline.optimizers.adam import Adam
from fallline.optimizers.adamw import AdamW
from fallline.optimizers.bfgs import BFGS
from fallline.optimizers.chain import Chain, Plateau
from fallline.optimizers.course import Course
from fallline.optimizers.first_order import FirstOrder, Schedule
from fallline.optimizers.lbfgs import LBFGS
from fallline.optimizers.lion import Lion
from fallline.optimizers.minimizer import Minimizer
from fallline.optimizers.nadam import NAdam
from fallline.optimizers.optimizer import Optimizer
from fallline.optimizers.rmsprop import RMSProp
from fallline.optimizers.sgd import SGD
from fallline.optimizers.simulated_annealing import SimulatedAnnealing

__all__ = [
    "BFGS",
    "LBFGS",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Chain",
    "Course",
    "FirstOrder",
    "Lion",
    "Minimizer",
    "NAdam",
    "Optimizer",
    "Plateau",
    "RMSProp",
    "Schedule",
    "SimulatedAnnealing",
]
