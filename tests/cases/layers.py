"""One row per layer: how to make it, what it does to rows in training and in prediction, bad arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import fallline as fl
from twins import activations


@dataclass(frozen=True)
class LayerCase:
    make: type
    variants: tuple[dict, ...]
    units: Callable  # (options, inputs) -> outputs
    predict: Callable  # (options, x, weights of the layer) -> output in prediction
    bad: tuple[tuple[dict, type, str], ...]
    parameters: Callable = field(default=lambda options, inputs: [])  # shapes of the weights

    @property
    def name(self):
        return self.make.__name__


def dense(options, x, weights):
    z = x @ weights[0] + (weights[1] if options.get("use_bias", True) else 0)
    return activations.VALUE[options.get("activation") or "linear"](z)


def dense_parameters(options, inputs):
    kernel = (inputs, options["units"])
    return [kernel, (options["units"],)] if options.get("use_bias", True) else [kernel]


def unchanged_width(options, inputs):
    return inputs


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
            {"units": 2, "kernel_regularizer": fl.L1L2(0.02, 0.1)},
        ),
        units=lambda options, inputs: options["units"],
        predict=dense,
        parameters=dense_parameters,
        bad=(
            ({"units": 0}, ValueError, "units"),
            ({"units": -3}, ValueError, "units"),
            ({"units": 2.5}, TypeError, "units"),
            ({"units": "many"}, TypeError, "units"),
            ({"units": 3, "activation": "rleu"}, ValueError, "relu"),
            ({"units": 3, "activation": 7}, TypeError, "activation"),
            ({"units": 3, "use_bias": "no"}, TypeError, "use_bias"),
            ({"units": 3, "kernel_initializer": "glorot_unifrom"}, ValueError, "glorot_uniform"),
            ({"units": 3, "kernel_initializer": 3}, TypeError, "kernel_initializer"),
            ({"units": 3, "bias_initializer": "zeroes"}, ValueError, "zeros"),
            ({"units": 3, "kernel_regularizer": "l22"}, ValueError, "did you mean 'l2'"),
            ({"units": 3, "kernel_regularizer": 3}, TypeError, "kernel_regularizer"),
            ({"units": 3, "bias_regularizer": object()}, TypeError, "bias_regularizer"),
        ),
    ),
    LayerCase(
        fl.Activation,
        variants=tuple({"name": name} for name in ("linear", "relu", "sigmoid", "tanh", "softmax")),
        units=unchanged_width,
        predict=lambda options, x, weights: activations.VALUE[options["name"]](x),
        bad=(({"name": "sigmod"}, ValueError, "sigmoid"), ({"name": 3}, TypeError, "name")),
    ),
    LayerCase(
        fl.Dropout,
        variants=({"rate": 0.0}, {"rate": 0.4}),
        units=unchanged_width,
        predict=lambda options, x, weights: x,
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
        units=unchanged_width,
        predict=lambda options, x, weights: x * options["scale"] + options.get("offset", 0.0),
        bad=(
            ({"scale": float("inf")}, ValueError, "scale"),
            ({"scale": "1/255"}, TypeError, "scale"),
            ({"scale": 1.0, "offset": float("nan")}, ValueError, "offset"),
            ({"scale": 1.0, "offset": "0"}, TypeError, "offset"),
        ),
    ),
    LayerCase(
        fl.Input,
        variants=({"n": 6},),
        units=unchanged_width,
        predict=lambda options, x, weights: x,
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
        return ",".join(f"{k}={getattr(v, 'shape', v)}" for k, v in value.items())
    return None


def rows(rng, n, inputs):
    """Data well away from the kinks of the layers above."""
    x = rng.uniform(0.2, 1.5, size=(n, inputs)) * rng.choice([-1.0, 1.0], size=(n, inputs))
    return x.astype(np.float64)
