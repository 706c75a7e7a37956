"""What happens between epochs, or between batches."""

from __future__ import annotations

from fallline.callbacks.backup import BackupAndRestore
from fallline.callbacks.callback import Callback
from fallline.callbacks.checkpoint import ModelCheckpoint
from fallline.callbacks.csv_logger import CSVLogger
from fallline.callbacks.early_stopping import EarlyStopping
from fallline.callbacks.functions import LambdaCallback
from fallline.callbacks.non_finite import TerminateOnNonFinite
from fallline.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau
from fallline.callbacks.tensor_board import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNonFinite",
]
