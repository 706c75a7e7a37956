"""What layers put out in prediction, and the shapes of their weights, from their options alone, in float64."""

from __future__ import annotations

import numpy as np

from twins import activations


def dense(options, x, weights):
    z = x @ weights[0] + (weights[1] if options.get("use_bias", True) else 0)
    return activations.VALUE[options.get("activation") or "linear"](z)


def dense_shapes(options, inputs):
    columns = options["units"] * options.get("pieces", 1)
    return [(inputs, columns), (columns,)] if options.get("use_bias", True) else [(inputs, columns)]


def maxout(options, x, weights):
    pieces = options.get("pieces", 2)
    z = dense(options | {"activation": None}, x, weights)
    return z.reshape(len(x), pieces, options["units"]).max(axis=1)


def maxout_shapes(options, inputs):
    return dense_shapes({"pieces": 2} | options, inputs)


def prelu(options, x, weights):
    return np.maximum(x, 0) + weights[0] * np.minimum(x, 0)


def prelu_shapes(options, inputs):
    return [(1,) if options.get("shared") else (inputs,)]


def _scaled(options, normal, weights):
    rest = list(weights)
    y = normal * rest.pop(0) if options.get("scale", True) else normal
    return y + rest.pop(0) if options.get("center", True) else y


def layer_normalization(options, x, weights):
    variance = x.var(axis=1, keepdims=True) + options.get("epsilon", 1e-3)
    return _scaled(options, (x - x.mean(axis=1, keepdims=True)) / np.sqrt(variance), weights)


def layer_normalization_shapes(options, inputs):
    return [(inputs,)] * (options.get("scale", True) + options.get("center", True))


def batch_normalization(options, x, weights):
    mean, variance = weights[-2:]
    return _scaled(options, (x - mean) / np.sqrt(variance + options.get("epsilon", 1e-3)), weights)


def batch_normalization_shapes(options, inputs):
    return [*layer_normalization_shapes(options, inputs), (inputs,), (inputs,)]


def tables(options):
    """(column, categories, units) of each table of an Embedding."""
    columns = np.atleast_1d(options.get("columns", 0))
    sizes = [np.broadcast_to(options[name], columns.shape) for name in ("categories", "units")]
    return list(zip(columns.tolist(), *(s.tolist() for s in sizes), strict=True))


def embedding(options, x, weights):
    codes = [column for column, _, _ in tables(options)]
    rows = [table[x[:, column].astype(int)] for column, table in zip(codes, weights, strict=True)]
    return np.hstack([np.delete(x, codes, axis=1), *rows])


def embedding_shapes(options, inputs):
    return [(categories, units) for _, categories, units in tables(options)]


def residual(options, x, weights):
    y, rest = x, list(weights)
    for layer in options["layers"]:
        name, own = type(layer).__name__, layer.get_config()
        n = len(SHAPES[name](own, y.shape[1])) if name in SHAPES else 0
        y = PREDICT[name](own, y, rest[:n])
        rest = rest[n:]
    return x + y


def residual_shapes(options, inputs):
    shapes, width = [], inputs
    for layer in options["layers"]:
        name = type(layer).__name__
        own = SHAPES[name](layer.get_config(), width) if name in SHAPES else []
        shapes += own
        width = getattr(layer, "units", width)
    return shapes


PREDICT = {
    "Dense": dense,
    "DropConnect": dense,
    "Activation": lambda options, x, weights: activations.VALUE[options["name"]](x),
    "LeakyReLU": lambda options, x, weights: activations.leaky_relu(x, options["negative_slope"]),
    "ELU": lambda options, x, weights: activations.elu(x, options["alpha"]),
    "Dropout": lambda options, x, weights: x,
    "Rescale": lambda options, x, weights: x * options["scale"] + options.get("offset", 0.0),
    "Input": lambda options, x, weights: x,
    "Maxout": maxout,
    "PReLU": prelu,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "Embedding": embedding,
    "Residual": residual,
}

# of layers that have weights
SHAPES = {
    "Dense": dense_shapes,
    "DropConnect": dense_shapes,
    "Maxout": maxout_shapes,
    "PReLU": prelu_shapes,
    "BatchNormalization": batch_normalization_shapes,
    "LayerNormalization": layer_normalization_shapes,
    "Embedding": embedding_shapes,
    "Residual": residual_shapes,
}
