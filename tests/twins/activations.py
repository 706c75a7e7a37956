"""Activations: the value, and the gradient carried back to the input, from the output or from the input itself."""

from __future__ import annotations

import math

import numpy as np


def linear(z):
    return z


def linear_backward(gradient, output):
    return gradient


def relu(z):
    return np.where(z > 0, z, 0.0)


def relu_backward(gradient, output):
    return gradient * (output > 0)


def sigmoid(z):
    e = np.exp(-np.abs(z))  # never overflows
    return np.where(z >= 0, 1, e) / (1 + e)


def sigmoid_backward(gradient, output):
    return gradient * output * (1 - output)


def tanh(z):
    return np.tanh(z)


def tanh_backward(gradient, output):
    return gradient * (1 - output**2)


def exponential(z):
    return np.exp(z)


def exponential_backward(gradient, output):
    return gradient * output


def softplus(z):
    return np.logaddexp(0, z)


def softplus_backward(gradient, output):
    return gradient * -np.expm1(-output)


def softsign(z):
    return z / (1 + np.abs(z))


def softsign_backward(gradient, output):
    return gradient * (1 - np.abs(output)) ** 2


def hard_sigmoid(z):
    return np.clip(z + 3, 0, 6) / 6


def hard_sigmoid_backward(gradient, output):
    return gradient * ((output > 0) & (output < 1)) / 6


def leaky_relu(z, slope=0.01):
    return np.where(z > 0, z, slope * z)


def leaky_relu_backward(gradient, output, slope=0.01):
    return gradient * np.where(output > 0, 1, slope)


def elu(z, alpha=1.0):
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def elu_backward(gradient, output, alpha=1.0):
    return gradient * np.where(output > 0, 1, output + alpha)


SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772


def selu(z):
    return SCALE * elu(z, ALPHA)


def selu_backward(gradient, output):
    return gradient * np.where(output > 0, SCALE, output + SCALE * ALPHA)


def normal_below(z):
    """P(X <= z) for a standard normal X."""
    return np.vectorize(math.erfc, otypes=[float])(-z / math.sqrt(2)) / 2


def gelu(z):
    return z * normal_below(z)


def gelu_slope(z):
    return normal_below(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def _tanh_argument(z):
    return math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)


def gelu_tanh(z):
    return z * (1 + np.tanh(_tanh_argument(z))) / 2


def gelu_tanh_slope(z):
    t = np.tanh(_tanh_argument(z))
    return (1 + t) / 2 + z * (1 - t**2) / 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)


def silu(z):
    return z * sigmoid(z)


def silu_slope(z):
    return sigmoid(z) + z * sigmoid(z) * sigmoid(-z)


def hard_swish(z):
    return z * hard_sigmoid(z)


def hard_swish_slope(z):
    return np.select([z <= -3, z >= 3], [0.0, 1.0], z / 3 + 0.5)


def mish(z):
    return z * np.tanh(softplus(z))


def mish_slope(z):
    t = np.tanh(softplus(z))
    return t + z * (1 - t**2) * sigmoid(z)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))  # (n, classes), largest entry 1
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(gradient, output):
    """(diag(p) - p p^T) g for every row."""
    return output * (gradient - (gradient * output).sum(axis=-1, keepdims=True))


VALUE = {
    "linear": linear,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "exponential": exponential,
    "softplus": softplus,
    "softsign": softsign,
    "hard_sigmoid": hard_sigmoid,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "hard_swish": hard_swish,
    "mish": mish,
    "softmax": softmax,
}
# (gradient, output) -> gradient with respect to the input
BACKWARD = {
    "linear": linear_backward,
    "relu": relu_backward,
    "sigmoid": sigmoid_backward,
    "tanh": tanh_backward,
    "exponential": exponential_backward,
    "softplus": softplus_backward,
    "softsign": softsign_backward,
    "hard_sigmoid": hard_sigmoid_backward,
    "leaky_relu": leaky_relu_backward,
    "elu": elu_backward,
    "selu": selu_backward,
    "softmax": softmax_backward,
}
# input -> slope, where the output does not tell it
SLOPE = {
    "gelu": gelu_slope,
    "gelu_tanh": gelu_tanh_slope,
    "silu": silu_slope,
    "hard_swish": hard_swish_slope,
    "mish": mish_slope,
}
