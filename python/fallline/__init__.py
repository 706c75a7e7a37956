"""Neural-network training on the CPU: declare a Model in Python, and a C++ core runs every step."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fallline import (
    activations,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
    samplers,
    schedules,
)
from fallline._core import NonFiniteLoss, __version__
from fallline.averages import ewa
from fallline.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNonFinite,
)
from fallline.constraints import MaxNorm
from fallline.diagnosis import Diagnosis, diagnose
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
from fallline.layers import (
    ELU,
    Activation,
    BatchNormalization,
    Dense,
    DropConnect,
    Dropout,
    Embedding,
    Input,
    Layer,
    LayerNormalization,
    LeakyReLU,
    Maxout,
    ParameterGroup,
    PReLU,
    Rescale,
    Residual,
)
from fallline.losses import (
    MAE,
    MSE,
    BinaryCrossEntropy,
    BinaryFocalCrossEntropy,
    CrossEntropy,
    FocalCrossEntropy,
    FunctionLoss,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    Loss,
    Poisson,
    Quantile,
)
from fallline.metrics import Metric, confusion_matrix
from fallline.model import Model, load_model
from fallline.optimizers import (
    BFGS,
    LBFGS,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    Chain,
    FirstOrder,
    Lion,
    Minimizer,
    NAdam,
    Optimizer,
    Plateau,
    RMSProp,
    SimulatedAnnealing,
)
from fallline.regularizers import L1, L1L2, L2, Regularizer
from fallline.runtime import get_num_threads, set_num_threads, show_config, threads

if TYPE_CHECKING:
    from fallline import search
    from fallline.fleet.fit_many import fit_many
    from fallline.search import Basin, Minima, Minimum, ModelBasin, MultiStart, minimize, multi_start

__all__ = [
    "BFGS",
    "ELU",
    "L1",
    "L1L2",
    "L2",
    "LBFGS",
    "MAE",
    "MSE",
    "SGD",
    "Activation",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "BackupAndRestore",
    "Basin",
    "BatchNormalization",
    "BinaryCrossEntropy",
    "BinaryFocalCrossEntropy",
    "CSVLogger",
    "Callback",
    "Chain",
    "Constant",
    "CrossEntropy",
    "Dense",
    "Diagnosis",
    "DropConnect",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "FirstOrder",
    "FocalCrossEntropy",
    "FunctionLoss",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Hinge",
    "History",
    "Huber",
    "Initializer",
    "Input",
    "KLDivergence",
    "LambdaCallback",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LearningRateScheduler",
    "LecunNormal",
    "LecunUniform",
    "Lion",
    "LogCosh",
    "Loss",
    "MaxNorm",
    "Maxout",
    "Metric",
    "Minima",
    "Minimizer",
    "Minimum",
    "Model",
    "ModelBasin",
    "ModelCheckpoint",
    "MultiStart",
    "NAdam",
    "NonFiniteLoss",
    "Normal",
    "Ones",
    "Optimizer",
    "PReLU",
    "ParameterGroup",
    "Plateau",
    "Poisson",
    "Quantile",
    "RMSProp",
    "ReduceLROnPlateau",
    "Regularizer",
    "Rescale",
    "Residual",
    "SimulatedAnnealing",
    "TensorBoard",
    "TerminateOnNonFinite",
    "Uniform",
    "Zeros",
    "__version__",
    "activations",
    "callbacks",
    "confusion_matrix",
    "constraints",
    "diagnose",
    "ewa",
    "fit_many",
    "get_num_threads",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "minimize",
    "multi_start",
    "ops",
    "optimizers",
    "regularizers",
    "samplers",
    "schedules",
    "search",
    "set_num_threads",
    "show_config",
    "threads",
]

# Most scripts fit one model: what is for many of them, or for functions, is imported when it is asked for.
_LATER = {
    "search": {"Basin", "Minima", "Minimum", "ModelBasin", "MultiStart", "minimize", "multi_start"},
    "fleet": {"fit_many"},
}


def __getattr__(name: str) -> Any:
    for package, names in _LATER.items():
        if name in {package, *names}:
            module = import_module(f"fallline.{package}")
            globals().update({known: getattr(module, known) for known in names})
            return module if name == package else globals()[name]
    raise AttributeError(f"module 'fallline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
