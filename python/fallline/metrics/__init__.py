"""Metrics over all predictions of an epoch, not averaged over batches.

A metric is a name, a Metric object, or a function of y_true, y_pred and optionally sample_weight.
"""

from __future__ import annotations

from fallline.metrics.classification import AUC, Accuracy, HammingLoss, SubsetAccuracy, TopK
from fallline.metrics.confusion import confusion_matrix
from fallline.metrics.metric import FunctionMetric, Metric
from fallline.metrics.regression import R2, RMSE, MeanAbsoluteError, MeanSquaredError
from fallline.metrics.shares import F1, Precision, Recall

__all__ = [
    "AUC",
    "F1",
    "R2",
    "RMSE",
    "Accuracy",
    "FunctionMetric",
    "HammingLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "Recall",
    "SubsetAccuracy",
    "TopK",
    "confusion_matrix",
]
