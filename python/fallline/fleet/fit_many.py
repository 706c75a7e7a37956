"""fit_many: sweeps, ensembles and cross-validation in one call."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from fallline.checks import number
from fallline.fleet.fleet import Fleet
from fallline.fleet.plan import OPERATION
from fallline.history import History
from fallline.progress import check_verbose, progress_of_many

if TYPE_CHECKING:
    from fallline.callbacks import EarlyStopping
    from fallline.model import Model


def fit_many(
    models: Sequence[Model],
    X: Any,
    y: Any,
    *,
    batch_size: Any = None,
    epochs: Any = None,
    validation_data: Any = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    early_stopping: EarlyStopping | None = None,
    max_seconds: float | None = None,
    verbose: Any = "auto",
) -> list[History]:
    """Fit many small models at the same time, each on one thread, as if each had been fitted alone, bit for bit.

    The models may differ in layers, dtype, optimizer, loss and seed. Threads take one after the other, the most
    work first, and wait for nobody, so that networks too small for several threads still keep all of them busy. A
    network that is large enough for all threads (a step takes a millisecond, say) learns no faster here: leave it
    to Model.fit, which gives it all the caches as well.

    Each of X, y, sample_weight, validation_data, batch_size and epochs is one for all models, or a list with one
    for each. An array that occurs several times, like a fold, is checked and held once.

    A model whose loss is no longer finite ends alone, with the weights from before the batch, or the best ones
    where early_stopping puts them back; a warning at the end names all such models.

    Args:
        models: compiled models, built or not, none of them twice.
        X: (n, inputs), as in Model.fit.
        y: labels, as in Model.fit.
        batch_size: rows in an update, >= 1. Default None: 32, or all rows where the optimizer wants them.
        epochs: passes over the rows, >= 0. Default None: 1, or all that the optimizer wants.
        validation_data: (X, y) or (X, y, sample_weight), evaluated after each epoch. Default None.
        sample_weight: (n,), weights of the rows, >= 0. Default None: all alike.
        shuffle: draw a new order for each epoch. Default True.
        early_stopping: an EarlyStopping, which monitors "loss" or "val_loss" and acts on each model by itself;
            the object stays as it is. Default None.
        max_seconds: time after which all end, between two updates; some may not have begun. Default None: no
            limit.
        verbose: 0 silent, 1 a progress bar, 2 a line for each model that ends, "auto" a bar on a terminal.
            Default "auto".

    Returns:
        A History for each model, with "loss" and "val_loss"; metrics are left to Model.evaluate. Its stop_reason
        says why a model ended before its last epoch.

    Raises:
        KeyboardInterrupt: Ctrl-C. Every model is between two updates with all it has learned; what was measured
            is in the attribute `histories` of the exception.
        RuntimeError: a model is not compiled, or is being trained in another thread.
        TypeError: an argument of the wrong kind.
        ValueError: a model given twice or with a Chain, layers or a loss of your own in Python, wrong shapes, ...;
            all models are as they were.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
        >>> models = [fl.Model([fl.Dense(8, "tanh"), fl.Dense(1)], seed=seed) for seed in range(10)]
        >>> for model in models:
        ...     model.compile(fl.Adam(0.01), "mse")
        >>> histories = fl.fit_many(models, X, X**2, epochs=50)
        >>> ensemble = np.mean([model.predict(X) for model in models], axis=0)
        >>> len(histories), ensemble.shape
        (10, (64, 1))
    """
    check_verbose(verbose, OPERATION)
    seconds = math.inf if max_seconds is None else number(OPERATION, "max_seconds", max_seconds, above=0)
    fleet = Fleet(
        models,
        X,
        y,
        batch_size=batch_size,
        epochs=epochs,
        validation_data=validation_data,
        sample_weight=sample_weight,
        shuffle=shuffle,
        early_stopping=early_stopping,
    )
    with closing(fleet), closing(progress_of_many(verbose, fleet.epochs)) as show:
        try:
            fleet.run(fleet.epochs, seconds, show)
        except KeyboardInterrupt as interrupt:
            vars(interrupt)["histories"] = fleet.histories
            raise
        fleet.finish()
    if fleet.not_finite:
        warnings.warn(
            f"{OPERATION}: the loss of models {fleet.not_finite} is not finite, so they ended early; the "
            "stop_reason of their History says where",
            RuntimeWarning,
            stacklevel=2,
        )
    return fleet.histories
