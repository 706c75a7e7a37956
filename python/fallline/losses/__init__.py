"""Losses by name or object: what a row costs, and how rows add up."""

from __future__ import annotations

from fallline.losses.classification import (
    BinaryCrossEntropy,
    BinaryFocalCrossEntropy,
    CrossEntropy,
    FocalCrossEntropy,
    Hinge,
    KLDivergence,
)
from fallline.losses.function import FunctionLoss
from fallline.losses.loss import Loss
from fallline.losses.regression import MAE, MSE, Huber, LogCosh, Poisson, Quantile

__all__ = [
    "MAE",
    "MSE",
    "BinaryCrossEntropy",
    "BinaryFocalCrossEntropy",
    "CrossEntropy",
    "FocalCrossEntropy",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "Poisson",
    "Quantile",
]
