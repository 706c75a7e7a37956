"""Neural-network training on the CPU: declare a Model in Python, and a C++ core runs every step."""

from __future__ import annotations

from fallline import (
    activations,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
)
from fallline._core import NonFiniteLoss, __version__
from fallline.callbacks import Callback, EarlyStopping, ModelCheckpoint
from fallline.history import History
from fallline.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Normal,
    Ones,
    Uniform,
    Zeros,
)
from fallline.layers import Activation, Dense, Dropout, Input, Layer, Rescale
from fallline.losses import MSE, BinaryCrossEntropy, CrossEntropy, Loss
from fallline.metrics import Metric
from fallline.model import Model, load_model
from fallline.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from fallline.regularizers import L1, L1L2, L2, Regularizer
from fallline.runtime import get_num_threads, set_num_threads, show_config, threads

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "MSE",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "Callback",
    "Constant",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "History",
    "Initializer",
    "Input",
    "Layer",
    "LecunNormal",
    "LecunUniform",
    "Loss",
    "Metric",
    "Model",
    "ModelCheckpoint",
    "NonFiniteLoss",
    "Normal",
    "Ones",
    "Optimizer",
    "RMSProp",
    "Regularizer",
    "Rescale",
    "Uniform",
    "Zeros",
    "__version__",
    "activations",
    "callbacks",
    "get_num_threads",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "ops",
    "optimizers",
    "regularizers",
    "set_num_threads",
    "show_config",
    "threads",
]
