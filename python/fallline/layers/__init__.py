"""Layers: declarations of what a network is made of, one class a file."""

from __future__ import annotations

from fallline.layers.activation import Activation
from fallline.layers.dense import Dense
from fallline.layers.dropconnect import DropConnect
from fallline.layers.dropout import Dropout
from fallline.layers.elu import ELU
from fallline.layers.embedding import Embedding
from fallline.layers.group import ParameterGroup
from fallline.layers.input import Input
from fallline.layers.layer import Layer
from fallline.layers.leaky_relu import LeakyReLU
from fallline.layers.maxout import Maxout
from fallline.layers.normalization import BatchNormalization, LayerNormalization
from fallline.layers.prelu import PReLU
from fallline.layers.rescale import Rescale
from fallline.layers.residual import Residual

__all__ = [
    "ELU",
    "Activation",
    "BatchNormalization",
    "Dense",
    "DropConnect",
    "Dropout",
    "Embedding",
    "Input",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Maxout",
    "PReLU",
    "ParameterGroup",
    "Rescale",
    "Residual",
]
