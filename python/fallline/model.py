"""Model: declare layers, compile, fit, predict, save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fallline import serialization, training
from fallline.callbacks import Callback
from fallline.history import History
from fallline.state import FORMAT, StatefulNetwork, decoded
from fallline.summary import table
from fallline.terminal import say

if TYPE_CHECKING:
    from fallline.samplers import Sampler
    from fallline.typing import ArrayLike, Readable, Writable


class Model(StatefulNetwork):
    """A network that learns.

    Args:
        layers: in the order that rows go through, none of them twice; the model keeps copies.
        seed: 0 to 2**64 − 1; initial weights, shuffles and dropout masks follow from it. Default None: drawn
            anew.
        dtype: "float32" or "float64". Default "float32".
        name: a title for summary(). Default None.

    Attributes:
        layers: the layers; `layers[i].kernel` and `.bias` read and assign weights.
        metadata: a dict of what JSON holds, saved with the model, for the user's own notes.
        names: what the columns of X and y were called in the tables that the model learned from: names.columns and
            names.targets. Later tables may have them in any order.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: an argument out of range.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
        >>> model = fl.Model([fl.Dense(8, activation="tanh"), fl.Dense(1, activation="sigmoid")], seed=0)
        >>> model.compile(fl.Adam(0.05), "binary_cross_entropy", metrics=["accuracy"])
        >>> history = model.fit(X, y, batch_size=4, epochs=500)
        >>> history.history["accuracy"][-1]
        1.0
        >>> model.predict(X).round().ravel()
        array([0., 1., 1., 0.], dtype=float32)
    """

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int | None = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
        shuffle: bool = True,
        sampler: Sampler | str | None = None,
        steps_per_epoch: int | None = None,
        max_seconds: float | None = None,
        callbacks: Sequence[Callback] = (),
        verbose: Any = "auto",
    ) -> History:
        """Train, going on from where the model is.

        Whatever ends it, the model is left between two updates. An epoch that was cut, by stop_training, the clock,
        Ctrl-C or another exception, is over: it counts, so that the next one has another order, and is not in the
        History; the next fit runs all of its epochs from their beginning. Only BackupAndRestore goes on within one.

        Batches given by an iterable are used as they come, one for an update. What can be iterated again,
        such as a list or a loader, starts anew for each epoch, or when it ends if steps_per_epoch is given. A
        generator, which can be gone through once, needs steps_per_epoch for more than one epoch.

        Args:
            X: (n, inputs): float32, float64 and uint8 are read in place, other numbers are converted; tables give
                their columns by name. Or an iterable of batches (X, y) or (X, y, sample_weight).
            y: integer classes (n,), or numbers (n, outputs), or (n,) for one output. Default None: X gives
                batches.
            batch_size: rows in an update, >= 1; the last batch of an epoch may be smaller. Batches from an
                iterable have their own sizes. Default None: 32, or all rows for an optimizer that needs them.
            epochs: passes over the rows, >= 0; iterations of an optimizer that sees all rows at once. Default
                None: 1, or until such an optimizer, or a Chain, stops by itself.
            validation_data: (X, y) or (X, y, sample_weight), or an iterable of such batches that can be
                iterated again; evaluated after each epoch. Default None.
            validation_split: share of the rows held out for validation, the last ones. Default 0.
            sample_weight: (n,), weights of the rows, >= 0. Default None: all alike.
            class_weight: {class: weight}, multiplied with sample_weight; 1 for classes not named, and classes
                need not occur. "balanced", for arrays: rows / (classes · rows of the class), of the classes that
                occur. Only rows that train are weighted so, and counted, not those for validation. Default None.
            shuffle: draw a new order for each epoch. Default True. Batches from an iterable stay in order.
            sampler: one of fl.samplers, or its name, that says which rows are drawn. Default None: Shuffled, or
                Sequential if shuffle is False.
            steps_per_epoch: batches from an iterable that make an epoch, >= 1. Default None: all.
            max_seconds: time after which training ends, between two updates. Default None: no limit.
            callbacks: Callback objects, called in order. Default none.
            verbose: 0 silent, 1 a progress bar, 2 a line an epoch, "auto" a bar on a terminal. Default
                "auto".

        Returns:
            A History: "loss", metrics and "val_..." of each epoch. Those of the training rows are measured
            while training, on the rows as they are drawn, so the weights change meanwhile; with all rows at
            once they are those after the iteration. The loss is that of the rows plus the mean of the penalties
            before each update, weighted by the rows of the batches.

        Raises:
            RuntimeError: the model is not compiled, or is being trained in another thread.
            TypeError: an argument of the wrong kind.
            ValueError: wrong shapes, labels out of range, ...; the model is as it was.
            NonFiniteLoss: the loss is nan or infinite; the weights are those before the batch.
        """
        plan = training.plan(
            self,
            X,
            y,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=validation_data,
            validation_split=validation_split,
            sample_weight=sample_weight,
            class_weight=class_weight,
            shuffle=shuffle,
            sampler=sampler,
            steps_per_epoch=steps_per_epoch,
            max_seconds=max_seconds,
            callbacks=callbacks,
            verbose=verbose,
        )
        return training.run(self, plan)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int = 32,
        class_weight: Mapping[int, float] | None = None,
    ) -> float:
        """Go once over rows of a stream, in their order, and return their mean loss before each update.

        As fit(shuffle=False) on all rows, given in parts of whole batches; what counts epochs stays as it is.

        Args:
            X: (n, inputs).
            y: labels, as in fit().
            sample_weight: (n,) or None. Default None.
            batch_size: rows in an update, >= 1; the last batch may be smaller. Default 32.
            class_weight: {class: weight}, as in fit(). Default None.

        Raises:
            RuntimeError: the model is not compiled, or is being trained in another thread.
            ValueError: wrong shapes, or labels out of range; the model is as it was.
            NonFiniteLoss: the loss is nan or infinite; the weights are those before the batch.

        Example:
            >>> import numpy as np
            >>> import fallline as fl
            >>> model = fl.Model([fl.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(fl.SGD(0.25), "mse")
            >>> [model.partial_fit(np.ones((4, 1)), np.ones(4)) for _ in range(3)]
            [1.0, 0.0, 0.0]
        """
        return training.run_once(self, X, y, sample_weight, batch_size, class_weight)

    def summary(self) -> None:
        """Print a table of the layers: output shape and number of parameters."""
        counts = [0] * len(self.layers)
        for layer, _, shape in [] if self._network is None else self._network.parameters:
            counts[layer] += int(np.prod(shape))
        title, shown = f"{self.name or 'Model'} ({self.dtype})", self._computing
        say(table(title, shown, self.inputs, counts[-len(shown) :]))

    def save(self, path: Writable) -> None:
        """Write layers, weights, optimizer and random state to one safetensors file, whole or not at all.

        Functions (a schedule, a metric) are saved by name only. Links are followed, and a file that is there keeps its
        mode and owner. One whose owner only root could keep is overwritten in place, as are devices and pipes.

        Args:
            path: where to, `~` for the home folder; or a file open for bytes, to write from its position; or a
                bytearray, for its whole content.

        Raises:
            RuntimeError: the model is not built.
            TypeError: no path, file or bytearray, or metadata that JSON does not hold.
            OSError: the place cannot be written.

        Example:
            >>> import fallline as fl
            >>> fl.Model([fl.Input(2), fl.Dense(3)]).save("three.safetensors")
            >>> fl.load_model("three.safetensors").outputs
            3
        """
        self._built("Model.save")
        serialization.write(path, *self.described())


def load_model(path: Readable) -> Model:
    """Return the model that Model.save() wrote; training goes on bit for bit as if never stopped.

    Nothing in the file is run. Own classes of layers, losses, ... must be defined before.

    Args:
        path: the file, `~` for the home folder; or one open for bytes, to read from its position to the end of the
            model; or its content as bytes.

    Raises:
        TypeError: no path, file or bytes.
        ValueError: the file is cut short, damaged, or no model of fallline.
        OSError: the file cannot be read.

    Example:
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.Dense(3)], name="small").save("small.safetensors")
        >>> load_model("small.safetensors").name
        'small'
    """
    description, arrays = serialization.read(path)
    model = Model.__new__(Model)
    with serialization.suspicion(path, "its model cannot be made"):
        if description.get("format") != FORMAT:
            raise ValueError(f"its format is {description.get('format')!r}, which needs a newer fallline")
        model.__setstate__(decoded(description) | {"arrays": arrays})
    return model
