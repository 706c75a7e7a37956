"""Functions as a callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fallline.callbacks.callback import Callback
from fallline.errors import message

Function = Callable[..., Any]


class LambdaCallback(Callback):
    """Call functions at the moments of a Callback.

    Args:
        on_epoch_begin: called with (epoch, logs). Default None.
        on_epoch_end: called with (epoch, logs). Default None.
        on_batch_end: called with (batch, logs). Default None.
        on_train_begin: called with (logs). Default None.
        on_train_end: called with (logs). Default None.

    Raises:
        TypeError: what cannot be called.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> model = fl.Model([fl.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", "mse")
        >>> show = fl.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
        >>> _ = model.fit(np.ones((4, 2)), np.ones(4), callbacks=[show])
        0 {'loss': 1.0}
    """

    def __init__(
        self,
        *,
        on_epoch_begin: Function | None = None,
        on_epoch_end: Function | None = None,
        on_batch_end: Function | None = None,
        on_train_begin: Function | None = None,
        on_train_end: Function | None = None,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_batch_end": on_batch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
        }
        for moment, function in given.items():
            if function is None:
                continue
            if not callable(function):
                raise TypeError(message("LambdaCallback", moment, f"is {function!r}", "a function or None"))
            setattr(self, moment, function)

    @property
    def acts_on_batches(self) -> bool:
        """Whether there is a function for batches."""
        return "on_batch_end" in vars(self)
