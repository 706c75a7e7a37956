"""Layers as users write them in NumPy, and models of them."""

from __future__ import annotations

import numpy as np

import fallline as fl

INPUTS, OUTPUTS, ROWS = 6, 4, 50


class OwnDense(fl.Layer):
    def __init__(self, units, l2=0.0):
        self.units = units
        self.l2 = l2

    def build(self, inputs):
        penalty = fl.L2(self.l2) if self.l2 else None
        self.add_parameter("kernel", (inputs, self.units), "glorot_uniform", regularizer=penalty)
        self.add_parameter("bias", (self.units,))
        return self.units

    def forward(self, x, training):
        self.x = x
        return x @ self.kernel + self.bias

    def backward(self, gradient):
        self.add_gradient("kernel", self.x.T @ gradient)
        self.add_gradient("bias", gradient.sum(axis=0))
        return gradient @ self.kernel.T


class OwnTanh(fl.Layer):
    def forward(self, x, training):
        self.y = np.tanh(x)
        return self.y

    def backward(self, gradient):
        return gradient * (1 - self.y**2)


class Scale(fl.Layer):
    """Learned factors beside fixed ones."""

    def build(self, inputs):
        self.add_parameter("factor", (inputs,), "ones")
        self.add_parameter("fixed", (2, inputs), fl.initializers.Constant(0.5), trainable=False)

    def forward(self, x, training):
        self.x = x
        return x * self.factor * self.fixed.sum(axis=0)

    def backward(self, gradient):
        self.add_gradient("factor", (gradient * self.x * self.fixed.sum(axis=0)).sum(axis=0))
        return gradient * self.factor * self.fixed.sum(axis=0)


def made(layers, dtype="float64", optimizer=None):
    model = fl.Model([fl.Input(INPUTS), *layers], seed=4, dtype=dtype)
    model.compile(optimizer or fl.Adam(0.01, weight_decay=0.1), "mse", metrics=["mae"])
    return model


def data(rng, model):
    return rng.normal(size=(ROWS, INPUTS)), rng.normal(size=(ROWS, model.outputs))
