"""One row per layer: how to make it, what it does to rows in training and in prediction, bad arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import fallline as fl
from twins import layers


def numbers(rng, n, inputs, options):
    """Data well away from the kinks of the layers."""
    x = rng.uniform(0.2, 1.5, size=(n, inputs)) * rng.choice([-1.0, 1.0], size=(n, inputs))
    return x.astype(np.float64)


@dataclass(frozen=True)
class LayerCase:
    make: type
    variants: tuple[dict, ...]
    units: Callable  # (options, inputs) -> outputs
    bad: tuple[tuple[dict, type, str], ...]
    rows: Callable = numbers  # (rng, n, inputs, options) -> x
    first: bool = False  # whether it can only be the first layer
    # (options, weights) -> what is in the loss, but left out of its gradient
    apart: Callable = field(default=lambda options, weights: 0.0)

    @property
    def name(self):
        return self.make.__name__

    def predict(self, options, x, weights):
        """Its output in prediction, given its weights."""
        return layers.PREDICT[self.name](options, x, weights)

    def shapes(self, options, inputs):
        """Of its weights."""
        return layers.SHAPES[self.name](options, inputs) if self.name in layers.SHAPES else []


def same_width(options, inputs):
    return inputs


def integer_columns(rng, n, inputs, options):
    x = numbers(rng, n, inputs, options)
    for column, categories, _ in layers.tables(options):
        x[:, column] = rng.integers(0, categories, n)
    return x


# The arguments of Dense that Maxout and DropConnect share.
BAD_DENSE = (
    ({"units": 0}, ValueError, "units"),
    ({"units": -3}, ValueError, "units"),
    ({"units": 2.5}, TypeError, "units"),
    ({"units": "many"}, TypeError, "units"),
    ({"units": 3, "use_bias": "no"}, TypeError, "use_bias"),
    ({"units": 3, "kernel_initializer": "glorot_unifrom"}, ValueError, "glorot_uniform"),
    ({"units": 3, "kernel_initializer": 3}, TypeError, "kernel_initializer"),
    ({"units": 3, "bias_initializer": "zeroes"}, ValueError, "zeros"),
    ({"units": 3, "kernel_regularizer": "l22"}, ValueError, "did you mean 'l2'"),
    ({"units": 3, "kernel_regularizer": 3}, TypeError, "kernel_regularizer"),
    ({"units": 3, "bias_regularizer": object()}, TypeError, "bias_regularizer"),
    ({"units": 3, "kernel_constraint": 2.0}, TypeError, "MaxNorm"),
    ({"units": 3, "kernel_constraint": "max_norm"}, TypeError, "kernel_constraint"),
)

BAD_ACTIVATION = (
    ({"units": 3, "activation": "rleu"}, ValueError, "relu"),
    ({"units": 3, "activation": 7}, TypeError, "activation"),
)

BAD_NORMALIZATION = (
    ({"epsilon": 0.0}, ValueError, "epsilon"),
    ({"epsilon": float("inf")}, ValueError, "epsilon"),
    ({"epsilon": "small"}, TypeError, "epsilon"),
    ({"scale": 1}, TypeError, "scale"),
    ({"center": None}, TypeError, "center"),
)


LAYERS = [
    LayerCase(
        fl.Dense,
        variants=(
            {"units": 5},
            {"units": 5, "activation": "tanh"},
            {"units": 3, "activation": "relu", "use_bias": False},
            {"units": 4, "activation": "softmax"},
            {"units": 37, "activation": "sigmoid"},
            {
                "units": 2,
                "kernel_regularizer": fl.L2(0.1),
                "bias_regularizer": fl.L1(0.05),
                "bias_initializer": "ones",
            },
            {"units": 2, "kernel_regularizer": fl.L1L2(l1=0.02, l2=0.1)},
            {"units": 4, "kernel_regularizer": fl.L1(0.03, proximal=True)},
            {"units": 19, "kernel_constraint": fl.MaxNorm(0.7)},
        ),
        units=lambda options, inputs: options["units"],
        apart=lambda options, weights: (
            0.03 * np.abs(weights[0]).sum() if "proximal" in str(options.get("kernel_regularizer")) else 0.0
        ),
        bad=(*BAD_DENSE, *BAD_ACTIVATION),
    ),
    LayerCase(
        fl.Activation,
        variants=tuple({"name": name} for name in ("linear", "relu", "sigmoid", "tanh", "gelu", "softmax")),
        units=same_width,
        bad=(({"name": "sigmod"}, ValueError, "sigmoid"), ({"name": 3}, TypeError, "name")),
    ),
    LayerCase(
        fl.LeakyReLU,
        variants=({"negative_slope": 0.3}, {"negative_slope": 0.0}),
        units=same_width,
        bad=(
            ({"negative_slope": -0.1}, ValueError, "negative_slope"),
            ({"negative_slope": np.inf}, ValueError, "negative_slope"),
            ({"negative_slope": "small"}, TypeError, "negative_slope"),
        ),
    ),
    LayerCase(
        fl.ELU,
        variants=({"alpha": 0.5}, {"alpha": 1.0}),
        units=same_width,
        bad=(
            ({"alpha": -0.1}, ValueError, "alpha"),
            ({"alpha": np.nan}, ValueError, "alpha"),
            ({"alpha": None}, TypeError, "alpha"),
        ),
    ),
    LayerCase(
        fl.Dropout,
        variants=({"rate": 0.0}, {"rate": 0.4}),
        units=same_width,
        bad=(
            ({"rate": 1.0}, ValueError, "rate"),
            ({"rate": -0.1}, ValueError, "rate"),
            ({"rate": float("nan")}, ValueError, "rate"),
            ({"rate": "half"}, TypeError, "rate"),
        ),
    ),
    LayerCase(
        fl.Rescale,
        variants=({"scale": 0.25}, {"scale": -2.0, "offset": 1.5}),
        units=same_width,
        bad=(
            ({"scale": float("inf")}, ValueError, "scale"),
            ({"scale": "1/255"}, TypeError, "scale"),
            ({"scale": 1.0, "offset": float("nan")}, ValueError, "offset"),
            ({"scale": 1.0, "offset": "0"}, TypeError, "offset"),
        ),
    ),
    LayerCase(
        fl.DropConnect,
        variants=(
            {"units": 5, "rate": 0.0},
            {"units": 5},
            {"units": 19, "rate": 0.3, "activation": "tanh"},
            {"units": 3, "rate": 0.2, "use_bias": False, "kernel_regularizer": fl.L2(0.1)},
            {"units": 4, "rate": 0.25, "kernel_constraint": fl.MaxNorm(0.7)},
        ),
        units=lambda options, inputs: options["units"],
        bad=(
            *BAD_DENSE,
            *BAD_ACTIVATION,
            ({"units": 3, "rate": 1.0}, ValueError, "rate"),
            ({"units": 3, "rate": -0.1}, ValueError, "rate"),
            ({"units": 3, "rate": "half"}, TypeError, "rate"),
        ),
    ),
    LayerCase(
        fl.Maxout,
        variants=(
            {"units": 5, "pieces": 1},
            {"units": 5},
            {"units": 7, "pieces": 3},
            {"units": 37, "pieces": 3, "use_bias": False},
            {"units": 3, "kernel_regularizer": fl.L2(0.1), "kernel_constraint": fl.MaxNorm(0.7)},
        ),
        units=lambda options, inputs: options["units"],
        bad=(
            *BAD_DENSE,
            ({"units": 3, "pieces": 0}, ValueError, "pieces"),
            ({"units": 2**20, "pieces": 17}, ValueError, "pieces"),
            ({"units": 3, "pieces": 1.5}, TypeError, "pieces"),
        ),
    ),
    LayerCase(
        fl.PReLU,
        variants=({}, {"initial": -0.5}, {"shared": True}),
        units=same_width,
        bad=(
            ({"initial": float("nan")}, ValueError, "initial"),
            ({"initial": "0.25"}, TypeError, "initial"),
            ({"shared": 1}, TypeError, "shared"),
        ),
    ),
    LayerCase(
        fl.BatchNormalization,
        variants=(
            {},
            {"momentum": 0.5, "epsilon": 0.1},
            {"scale": False},
            {"center": False},
            {"scale": False, "center": False},
        ),
        units=same_width,
        bad=(
            *BAD_NORMALIZATION,
            ({"momentum": 1.0}, ValueError, "momentum"),
            ({"momentum": -0.1}, ValueError, "momentum"),
            ({"momentum": "slow"}, TypeError, "momentum"),
        ),
    ),
    LayerCase(
        fl.LayerNormalization,
        variants=(
            {},
            {"epsilon": 0.1},
            {"scale": False},
            {"center": False},
            {"scale": False, "center": False},
        ),
        units=same_width,
        bad=BAD_NORMALIZATION,
    ),
    LayerCase(
        fl.Embedding,
        variants=(
            {"categories": 5, "units": 3},
            {"categories": [4, 7], "units": [1, 19], "columns": [-1, 2]},
            {"categories": 3, "units": 2, "columns": [5, 0, 2, 1, 4, 3]},
        ),
        units=lambda options, inputs: inputs + sum(units - 1 for _, _, units in layers.tables(options)),
        rows=integer_columns,
        first=True,
        bad=(
            ({"categories": 0, "units": 2}, ValueError, "categories"),
            ({"categories": 2.5, "units": 2}, TypeError, "categories"),
            ({"categories": "few", "units": 2}, TypeError, "categories"),
            ({"categories": [3, 3], "units": 2}, ValueError, "categories has 2 numbers; expected 1"),
            ({"categories": 3, "units": 0}, ValueError, "units"),
            ({"categories": 3, "units": [2, 2, 2], "columns": [0, 1]}, ValueError, "units has 3"),
            ({"categories": 3, "units": 2, "columns": []}, ValueError, "columns"),
            ({"categories": 3, "units": 2, "columns": [1, 1]}, ValueError, "each column once"),
            ({"categories": 3, "units": 2, "columns": 0.5}, TypeError, "columns"),
            (
                {"categories": 3, "units": 2, "table_initializer": "glorot_unifrm"},
                ValueError,
                "glorot_uniform",
            ),
            ({"categories": 3, "units": 2, "table_initializer": 3}, TypeError, "table_initializer"),
        ),
    ),
    LayerCase(
        fl.Residual,
        variants=(
            {"layers": [fl.Dense(6, activation="tanh")]},
            {"layers": [fl.Dense(9, activation="tanh"), fl.Dropout(0.3), fl.Dense(6), fl.Dropout(0.3)]},
            {
                "layers": [
                    fl.LayerNormalization(),
                    fl.Residual([fl.Dense(6, activation="tanh"), fl.Rescale(0.5)]),
                ]
            },
            {"layers": [fl.Residual([fl.PReLU()]), fl.BatchNormalization(), fl.Activation("sigmoid")]},
        ),
        units=same_width,
        bad=(
            ({"layers": []}, ValueError, "empty"),
            ({"layers": fl.Dense(6)}, TypeError, "a list of layers"),
            ({"layers": 3}, TypeError, "a list of layers"),
            ({"layers": ["dense"]}, TypeError, r"layers\[0\]"),
            ({"layers": [fl.Dense(6), fl.Input(6)]}, TypeError, r"layers\[1\]"),
            ({"layers": [fl.Embedding(3, 2)]}, TypeError, r"layers\[0\]"),
        ),
    ),
    LayerCase(
        fl.Input,
        variants=({"n": 6},),
        units=same_width,
        bad=(
            ({"n": 0}, ValueError, "n"),
            ({"n": -1}, ValueError, "n"),
            ({"n": 2.5}, TypeError, "n"),
            ({"n": "wide"}, TypeError, "n"),
        ),
    ),
]

VARIANTS = [(case, options) for case in LAYERS for options in case.variants]


def build(case, options):
    """The layer of a row."""
    return case.make(**options)


def label(value):
    """A short id of a row for pytest."""
    if isinstance(value, LayerCase):
        return value.name
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items()) or "defaults"
    return None
