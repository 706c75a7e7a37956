"""Activations: the value, and the gradient carried from the output back to the input."""

from __future__ import annotations

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
    "softmax": softmax,
}
BACKWARD = {
    "linear": linear_backward,
    "relu": relu_backward,
    "sigmoid": sigmoid_backward,
    "tanh": tanh_backward,
    "exponential": exponential_backward,
    "softmax": softmax_backward,
}
