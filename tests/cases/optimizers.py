"""One row per optimizer: class, twin, hyper-parameters to try, published steps, bad arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fallline as fl
from twins import optimizers

# theta_0 and the four gradients of every published row; the third coordinate sees a zero gradient twice
START = np.array([1.0, -2.0, 0.5])
GRADIENTS = np.array([[0.5, -0.25, 0.0], [0.1, 0.75, 0.0], [-0.3, 0.2, 2.0], [0.4, -0.6, -0.001]])


@dataclass(frozen=True)
class OptimizerCase:
    make: type
    twin: Callable
    variants: tuple[dict, ...]
    steps: tuple[tuple[dict, tuple[float, ...]], ...]  # (hyper-parameters, theta_4)
    bad: tuple[tuple[dict, type, str], ...]  # (hyper-parameters, exception, regex)
    rules: tuple[str, ...]  # the core's update rules that the variants use

    @property
    def name(self):
        return self.make.__name__


BAD_FOR_ALL = (
    ({"learning_rate": -0.1}, ValueError, "learning_rate"),
    ({"learning_rate": float("nan")}, ValueError, "learning_rate"),
    ({"learning_rate": float("inf")}, ValueError, "learning_rate"),
    ({"learning_rate": "fast"}, TypeError, "learning_rate"),
    ({"learning_rate": None}, TypeError, "learning_rate"),
    ({"weight_decay": -0.1}, ValueError, "weight_decay"),
    ({"weight_decay": "some"}, TypeError, "weight_decay"),
    ({"clip_norm": 0.0}, ValueError, "clip_norm"),
    ({"clip_norm": -1.0}, ValueError, "clip_norm"),
    ({"clip_norm": "1"}, TypeError, "clip_norm"),
    ({"clip_value": 0.0}, ValueError, "clip_value"),
    ({"clip_value": -1.0}, ValueError, "clip_value"),
    ({"clip_value": "1"}, TypeError, "clip_value"),
)

BAD_ADAM = (
    *BAD_FOR_ALL,
    ({"beta_1": 1.0}, ValueError, "beta_1"),
    ({"beta_1": -0.1}, ValueError, "beta_1"),
    ({"beta_1": "a"}, TypeError, "beta_1"),
    ({"beta_2": 1.0}, ValueError, "beta_2"),
    ({"beta_2": -0.1}, ValueError, "beta_2"),
    ({"beta_2": float("nan")}, ValueError, "beta_2"),
    ({"epsilon": -1e-8}, ValueError, "epsilon"),
    ({"epsilon": "tiny"}, TypeError, "epsilon"),
)

OPTIMIZERS = [
    OptimizerCase(
        fl.SGD,
        optimizers.sgd,
        variants=(
            {"learning_rate": 0.1},
            {"learning_rate": 0.05, "momentum": 0.9},
            {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
            {"learning_rate": 0.05, "momentum": 0.9, "dampening": 0.1},
            {"learning_rate": 0.05, "momentum": 0.8, "weight_decay": 0.1},
        ),
        steps=(
            ({"learning_rate": 0.1}, (0.930000000000, -2.010000000000, 0.300100000000)),
            (
                {"learning_rate": 0.1, "momentum": 0.9},
                (0.817950000000, -2.095275000000, 0.120100000000),
            ),
            (
                {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
                (0.766155000000, -2.095747500000, -0.041810000000),
            ),
            # the exponentially weighted average of the gradients, at a rate ten times larger
            (
                {"learning_rate": 0.01, "momentum": 0.9},
                (0.981795000000, -2.009527500000, 0.462010000000),
            ),
            (
                {"learning_rate": 0.1, "momentum": 0.9, "dampening": 0.1},
                (0.818960000000, -2.077150000000, 0.158090000000),
            ),
            (
                {"learning_rate": 0.1, "weight_decay": 0.1},
                (0.891980060000, -1.930242045000, 0.282398005000),
            ),
        ),
        bad=(
            *BAD_FOR_ALL,
            ({"momentum": -0.1}, ValueError, "momentum"),
            ({"momentum": 1.0}, ValueError, "momentum"),
            ({"momentum": "high"}, TypeError, "momentum"),
            ({"dampening": -0.1, "momentum": 0.9}, ValueError, "dampening"),
            ({"dampening": "a", "momentum": 0.9}, TypeError, "dampening"),
            ({"nesterov": True}, ValueError, "nesterov"),
            ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "nesterov"),
            ({"nesterov": "yes", "momentum": 0.9}, TypeError, "nesterov"),
        ),
        rules=("sgd", "momentum", "nesterov"),
    ),
    OptimizerCase(
        fl.RMSProp,
        optimizers.rmsprop,
        variants=(
            {"learning_rate": 0.01},
            {"learning_rate": 0.003, "rho": 0.99, "epsilon": 1e-3},
            {"learning_rate": 0.01, "weight_decay": 0.1},
        ),
        steps=(
            ({"learning_rate": 0.01}, (0.959871809900, -1.986683349706, 0.468393890562)),
            ({"learning_rate": 0.01, "rho": 0.99}, (0.874889136212, -1.959912580650, 0.400050256882)),
        ),
        bad=(
            *BAD_FOR_ALL,
            ({"rho": 1.0}, ValueError, "rho"),
            ({"rho": -0.1}, ValueError, "rho"),
            ({"rho": "a"}, TypeError, "rho"),
            ({"epsilon": -1e-8}, ValueError, "epsilon"),
            ({"epsilon": float("nan")}, ValueError, "epsilon"),
        ),
        rules=("rmsprop",),
    ),
    OptimizerCase(
        fl.Adam,
        optimizers.adam,
        variants=(
            {"learning_rate": 0.01},
            {"learning_rate": 0.003, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-4},
            {"learning_rate": 0.01, "weight_decay": 0.1},
        ),
        steps=(
            ({}, (0.997517542339, -2.000024289786, 0.498838199956)),
            ({"weight_decay": 0.1}, (0.997118083977, -1.999224558207, 0.498638293836)),
        ),
        bad=BAD_ADAM,
        rules=("adam",),
    ),
    OptimizerCase(
        fl.AdamW,
        optimizers.adamw,
        variants=({"learning_rate": 0.01}, {"learning_rate": 0.01, "weight_decay": 0.2, "beta_1": 0.8}),
        steps=(
            ({"weight_decay": 0.0}, (0.997517542339, -2.000024289786, 0.498838199956)),
            ({"weight_decay": 0.1}, (0.997118083977, -1.999224558207, 0.498638293836)),
        ),
        bad=BAD_ADAM,
        rules=("adam",),
    ),
]

VARIANTS = [(case, options) for case in OPTIMIZERS for options in case.variants]


def label(value):
    """A short id of a row for pytest."""
    if isinstance(value, OptimizerCase):
        return value.name
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items()) or "defaults"
    return None
