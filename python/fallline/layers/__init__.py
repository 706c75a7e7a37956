"""Layers: declarations of what a network is made of, one class a file."""

from __future__ import annotations

from fallline.layers.activation import Activation
from fallline.layers.dense import Dense
from fallline.layers.dropout import Dropout
from fallline.layers.input import Input
from fallline.layers.layer import Layer
from fallline.layers.rescale import Rescale

__all__ = ["Activation", "Dense", "Dropout", "Input", "Layer", "Rescale"]
