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
    rate: float = 0.05  # that brings it to the bottom of a bowl of size 3 in 1500 steps

    @property
    def name(self):
        return self.make.__name__


NAN, INF = float("nan"), float("inf")


def outside(argument, *values, needs=None):
    """Rows of numbers out of an argument's range, and one of what is no number; needs: other arguments."""
    numbers = [({**(needs or {}), argument: value}, ValueError, argument) for value in (*values, NAN)]
    return (*numbers, ({**(needs or {}), argument: "some"}, TypeError, argument))


def flags(*arguments):
    return tuple(({argument: "yes"}, TypeError, argument) for argument in arguments)


def all_of(*rows):
    return tuple(row for group in rows for row in group)


BAD_FOR_ALL = all_of(
    outside("learning_rate", -0.1, INF),
    [({"learning_rate": None}, TypeError, "learning_rate")],
    outside("weight_decay", -0.1),
    outside("l2", -0.1, INF),
    outside("clip_norm", 0.0, -1.0),
    outside("clip_layer_norm", 0.0, -1.0),
    outside("clip_value", 0.0, -1.0),
    outside("average", 0.0, 1.0, -0.1),
)

BAD_ADAM = all_of(
    BAD_FOR_ALL,
    outside("beta_1", 1.0, -0.1),
    outside("beta_2", 1.0, -0.1),
    outside("epsilon", -1e-8),
    flags("amsgrad", "epsilon_hat"),
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
            {"learning_rate": 0.05, "momentum": 0.8, "weight_decay": 0.1, "l2": 0.05},
            {"learning_rate": 0.05, "momentum": 0.9, "momentum_style": "sutskever"},
            {"learning_rate": 0.05, "momentum": 0.9, "momentum_style": "ewa"},
            {"learning_rate": 0.05, "momentum": 0.9, "momentum_style": "ewa_first"},
            {"learning_rate": 0.05, "momentum": 0.9, "momentum_style": "ewa_corrected"},
        ),
        steps=(
            ({"learning_rate": 0.1}, (0.930000000000, -2.010000000000, 0.300100000000)),
            (
                {"learning_rate": 0.1, "momentum": 0.9},
                (0.817950000000, -2.095275000000, 0.120100000000),
            ),
            (
                {"learning_rate": 0.1, "momentum": 0.9, "momentum_style": "sutskever"},
                (0.817950000000, -2.095275000000, 0.120100000000),
            ),
            (
                {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
                (0.766155000000, -2.095747500000, -0.041810000000),
            ),
            (
                {"learning_rate": 0.1, "momentum": 0.9, "momentum_style": "ewa"},
                (0.981795000000, -2.009527500000, 0.462010000000),
            ),
            # the same as the classical form at a tenth of the rate
            (
                {"learning_rate": 0.01, "momentum": 0.9},
                (0.981795000000, -2.009527500000, 0.462010000000),
            ),
            (
                {"learning_rate": 0.1, "momentum": 0.9, "momentum_style": "ewa_corrected"},
                (0.897122543776, -2.027599737760, 0.373887543470),
            ),
            (
                {"learning_rate": 0.1, "momentum": 0.9, "dampening": 0.1},
                (0.818960000000, -2.077150000000, 0.158090000000),
            ),
            (
                {"learning_rate": 0.1, "weight_decay": 0.1},
                (0.891980060000, -1.930242045000, 0.282398005000),
            ),
            (
                {"learning_rate": 0.1, "l2": 0.1},
                (0.891980060000, -1.930242045000, 0.282398005000),
            ),
        ),
        bad=all_of(
            BAD_FOR_ALL,
            outside("momentum", -0.1, 1.0),
            outside("dampening", -0.1, 1.1, needs={"momentum": 0.9}),
            [
                ({"nesterov": True}, ValueError, "nesterov"),
                ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "nesterov"),
                ({"nesterov": "yes", "momentum": 0.9}, TypeError, "nesterov"),
                ({"momentum_style": "sutzkever"}, ValueError, "did you mean 'sutskever'"),
                ({"momentum_style": None}, TypeError, "momentum_style"),
            ],
            [
                ({"momentum": 0.9, "momentum_style": style, **option}, ValueError, "momentum_style")
                for style in ("sutskever", "ewa", "ewa_first", "ewa_corrected")
                for option in ({"nesterov": True}, {"dampening": 0.1})
            ],
        ),
    ),
    OptimizerCase(
        fl.AdaGrad,
        optimizers.adagrad,
        variants=(
            {"learning_rate": 0.1},
            {"learning_rate": 0.05, "initial_accumulator_value": 0.1, "epsilon": 1e-3, "l2": 0.1},
            {"learning_rate": 0.05, "epsilon": 1e-3, "epsilon_inside": True, "weight_decay": 0.1},
        ),
        steps=(
            ({"learning_rate": 0.1}, (0.875086438432, -1.960130127616, 0.400049999999)),
            (
                {
                    "learning_rate": 0.1,
                    "initial_accumulator_value": 0.1,
                    "epsilon": 1e-7,
                    "epsilon_inside": True,
                },
                (0.892324529055, -1.992363615184, 0.401276428013),
            ),
        ),
        bad=all_of(
            BAD_FOR_ALL,
            outside("epsilon", -1e-8),
            outside("initial_accumulator_value", -0.1),
            flags("epsilon_inside"),
        ),
        rate=1.0,
    ),
    OptimizerCase(
        fl.AdaDelta,
        optimizers.adadelta,
        variants=(
            {},
            {"learning_rate": 0.5, "rho": 0.8, "epsilon": 1e-3, "l2": 0.1},
            {"rho": 0.9, "weight_decay": 0.1},
        ),
        steps=(
            ({}, (0.993445213706, -1.998344538070, 0.495531119641)),
            ({"rho": 0.9}, (0.995317090229, -1.998829641657, 0.496840083310)),
        ),
        bad=all_of(BAD_FOR_ALL, outside("rho", 1.0, -0.1), outside("epsilon", 0.0, -1e-8)),
        rate=1.0,
    ),
    OptimizerCase(
        fl.RMSProp,
        optimizers.rmsprop,
        variants=(
            {"learning_rate": 0.01},
            {"learning_rate": 0.003, "rho": 0.99, "epsilon": 1e-3},
            {"learning_rate": 0.01, "weight_decay": 0.1, "l2": 0.1},
            {"learning_rate": 0.01, "init": "one", "epsilon": 1e-4, "epsilon_inside": True},
            {"learning_rate": 0.01, "init": "first", "epsilon": 1e-4},
        ),
        steps=(
            ({"learning_rate": 0.01}, (0.959871809900, -1.986683349706, 0.468393890562)),
            ({"learning_rate": 0.01, "rho": 0.99}, (0.874889136212, -1.959912580650, 0.400050256882)),
            (
                {"learning_rate": 0.01, "init": "one", "epsilon": 1e-10, "epsilon_inside": True},
                (0.992365544955, -2.000710515255, 0.481187172599),
            ),
        ),
        bad=all_of(
            BAD_FOR_ALL,
            outside("rho", 1.0, -0.1),
            outside("epsilon", -1e-8),
            flags("epsilon_inside"),
            [({"init": "two"}, ValueError, "'zero'"), ({"init": 1.0}, TypeError, "init")],
        ),
    ),
    OptimizerCase(
        fl.Adam,
        optimizers.adam,
        variants=(
            {"learning_rate": 0.01},
            {"learning_rate": 0.003, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-4},
            {"learning_rate": 0.01, "weight_decay": 0.1, "l2": 0.1},
            {"learning_rate": 0.01, "epsilon": 1e-3, "epsilon_hat": True},
            {"learning_rate": 0.01, "amsgrad": True, "beta_2": 0.9},
            {"learning_rate": 0.01, "amsgrad": True, "beta_2": 0.9, "epsilon": 1e-3, "epsilon_hat": True},
        ),
        steps=(
            ({}, (0.997517542339, -2.000024289786, 0.498838199956)),
            ({"epsilon_hat": True}, (0.997517543729, -2.000024290628, 0.498838200129)),
            ({"weight_decay": 0.1}, (0.997118083977, -1.999224558207, 0.498638293836)),
            ({"l2": 0.1}, (0.997036603652, -1.998898736313, 0.496776600826)),
        ),
        bad=BAD_ADAM,
    ),
    OptimizerCase(
        fl.AdamW,
        optimizers.adamw,
        variants=(
            {"learning_rate": 0.01},
            {"learning_rate": 0.01, "weight_decay": 0.2, "beta_1": 0.8},
            {"learning_rate": 0.01, "amsgrad": True, "beta_2": 0.9},
        ),
        steps=(
            ({"weight_decay": 0.0}, (0.997517542339, -2.000024289786, 0.498838199956)),
            ({"weight_decay": 0.1}, (0.997118083977, -1.999224558207, 0.498638293836)),
        ),
        bad=BAD_ADAM,
    ),
    OptimizerCase(
        fl.NAdam,
        optimizers.nadam,
        variants=(
            {"learning_rate": 0.01},
            {"learning_rate": 0.003, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-4, "momentum_decay": 0.1},
            {"learning_rate": 0.01, "weight_decay": 0.1, "l2": 0.1, "momentum_decay": 0.0},
        ),
        steps=(),
        bad=all_of(
            BAD_FOR_ALL,
            outside("beta_1", 1.0, -0.1),
            outside("beta_2", 1.0, -0.1),
            outside("epsilon", -1e-8),
            outside("momentum_decay", -0.1),
        ),
    ),
    OptimizerCase(
        fl.Lion,
        optimizers.lion,
        variants=(
            {"learning_rate": 0.01},
            {"learning_rate": 0.003, "beta_1": 0.5, "beta_2": 0.9},
            {"learning_rate": 0.01, "weight_decay": 0.5, "l2": 0.1},
        ),
        steps=(),
        bad=all_of(BAD_FOR_ALL, outside("beta_1", 1.0, -0.1), outside("beta_2", 1.0, -0.1)),
        rate=0.005,
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
