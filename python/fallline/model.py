"""Model: declare layers, compile, fit, predict, save."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fallline import serialization, training
from fallline.callbacks import Callback
from fallline.checks import integer
from fallline.declaration import decode, encode
from fallline.errors import message
from fallline.history import History
from fallline.layers.layer import as_weight
from fallline.network import Network

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike

FORMAT = 1

# What a script says anew each time; a file holds the rest.
DECLARED = ("layers", "name", "metadata", "optimizer", "loss", "metrics", "groups")
# What a file holds as it is, without declarations in it.
PLAIN = ("metadata", "groups")


class Model(Network):
    """A network that learns.

    Args:
        layers: in the order that rows go through; the model keeps copies.
        seed: 0 to 2**64 − 1; initial weights, shuffles and dropout masks follow from it. Default None: drawn
            anew.
        dtype: "float32" or "float64". Default "float32".
        name: a title for summary(). Default None.

    Attributes:
        layers: the layers; `layers[i].kernel` and `.bias` read and assign weights.
        metadata: a dict of what JSON holds, saved with the model, for the user's own notes.

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
        batch_size: int = 32,
        epochs: int = 1,
        validation_data: Any = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
        shuffle: bool = True,
        steps_per_epoch: int | None = None,
        max_seconds: float | None = None,
        callbacks: Sequence[Callback] = (),
        verbose: Any = "auto",
    ) -> History:
        """Train, going on from where the model is.

        An interruption (Ctrl-C) leaves the model between two updates; the next fit finishes the epoch first,
        or begins it anew with batches from an iterable, which cannot be wound back.

        Batches given by an iterable are used as they come, one for an update. What can be iterated again,
        such as a list or a loader, starts anew for each epoch, or when it ends if steps_per_epoch is given. A
        generator, which can be gone through once, needs steps_per_epoch for more than one epoch.

        Args:
            X: (n, inputs): float32, float64 and uint8 are read in place, other numbers are converted. Or an
                iterable of batches (X, y) or (X, y, sample_weight).
            y: integer classes (n,), or numbers (n, outputs), or (n,) for one output. Default None: X gives
                batches.
            batch_size: rows in an update, >= 1; the last batch of an epoch may be smaller. Default 32.
                Batches from an iterable have their own sizes.
            epochs: passes over the rows, >= 0. Default 1.
            validation_data: (X, y) or (X, y, sample_weight), or an iterable of such batches that can be
                iterated again; evaluated after each epoch. Default None.
            validation_split: share of the rows held out for validation, the last ones. Default 0.
            sample_weight: (n,), weights of the rows, >= 0. Default None: all alike.
            class_weight: {class: weight}, multiplied with sample_weight; 1 for classes not named. "balanced":
                rows / (classes · rows of the class), of the classes that occur. Default None.
            shuffle: draw a new order for each epoch. Default True. Batches from an iterable stay in order.
            steps_per_epoch: batches from an iterable that make an epoch, >= 1. Default None: all.
            max_seconds: time after which training ends, between two updates. Default None: no limit.
            callbacks: Callback objects, called in order. Default none.
            verbose: 0 silent, 1 a progress bar, 2 a line an epoch, "auto" a bar on a terminal. Default
                "auto".

        Returns:
            A History: "loss", metrics and "val_..." of each epoch. Those of the training rows are measured
            while training, so the weights change meanwhile.

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
            steps_per_epoch=steps_per_epoch,
            max_seconds=max_seconds,
            callbacks=callbacks,
            verbose=verbose,
        )
        return training.run(self, plan)

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, *, batch_size: int = 32
    ) -> float:
        """Go once over rows of a stream, in their order, and return their mean loss before each update.

        As fit(shuffle=False) on all rows, given in parts of whole batches; what counts epochs stays as it is.

        Args:
            X: (n, inputs).
            y: labels, as in fit().
            sample_weight: (n,) or None. Default None.
            batch_size: rows in an update, >= 1; the last batch may be smaller. Default 32.

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
        return training.run_once(self, X, y, sample_weight, batch_size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write layers, weights, optimizer and random state to one safetensors file, whole or not at all.

        Functions (a schedule, a metric) are saved by name only.

        Raises:
            RuntimeError: the model is not built.
            OSError: the place cannot be written.

        Example:
            >>> import fallline as fl
            >>> fl.Model([fl.Input(2), fl.Dense(3)]).save("three.safetensors")
            >>> fl.load_model("three.safetensors").outputs
            3
        """
        self._built("Model.save")
        serialization.write(path, *self.described())

    def described(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what save() writes: a description that JSON holds, and arrays."""
        state = self.__getstate__()
        arrays = state.pop("arrays")
        told = {name: value if name in PLAIN else encode(value) for name, value in state.items()}
        return {"format": FORMAT} | told, arrays

    def resumed(self, description: Mapping[str, Any], arrays: Mapping[str, Array]) -> Model:
        """Return a model with what described() told of weights and counters, and the declarations of this one.

        Functions, which a file cannot hold, are thus those of this model.

        Raises:
            ValueError: the model described is another one.
        """
        own = self.described()[0]
        for name in ("format", "layers", "loss", "optimizer", "dtype"):
            was, now = description.get(name), own[name]
            if name == "optimizer":  # callbacks change its rate
                was, now = ({**(x or {}), "learning_rate": None} for x in (was, now))
            if was != json.loads(json.dumps(now)):
                raise ValueError(
                    message("Model.fit", f"the file's {name}", f"is {was}", f"{now}, as the model's")
                )
        declared = {name: self.__getstate__()[name] for name in DECLARED}
        model = type(self).__new__(type(self))
        model.__setstate__({**_decoded(description), **declared, "arrays": arrays})
        return model

    def get_state(self) -> dict[str, Any]:
        """Return copies of what training changes: weights, optimizer state and counters.

        Raises:
            RuntimeError: the model is not built.

        Example:
            >>> import fallline as fl
            >>> state = fl.Model([fl.Input(2), fl.Dense(3)]).get_state()
            >>> state["epoch"], list(state["arrays"])
            (0, ['1.kernel', '1.bias'])
        """
        network = self._built("Model.get_state")
        names = _array_names(self)
        arrays = {name: network.get_parameter(i) for i, name in enumerate(names)} | {
            f"{name}.{slot}": network.get_slot(s, i)
            for s, slot in enumerate(network.slots)
            for i, name in enumerate(names)
        }
        return {"step": network.step, "epoch": network.epoch, "row": network.row, "arrays": arrays}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a get_state() of this model or of one declared alike.

        Raises:
            RuntimeError: the model is not built.
            ValueError: the state of another model; this one is as it was.
        """
        self._restore(state, "Model.set_state", "state")

    def _restore(self, state: Mapping[str, Any], operation: str, argument: str) -> None:
        network = self._built(operation)
        missing = {"step", "epoch", "row", "arrays"} - set(state)
        if missing:
            expected = "what get_state() returned"
            raise ValueError(message(operation, argument, f"lacks {sorted(missing)}", expected))
        counters = [
            integer(operation, name, state[name], low=0, high=2**63 - 1) for name in ("step", "epoch", "row")
        ]
        arrays, names = dict(state["arrays"]), _array_names(self)
        shapes = [shape for _, _, shape in network.parameters]

        def take(name: str, shape: tuple[int, ...]) -> Array:
            if name not in arrays:
                expected = "an array for each parameter and optimizer state"
                raise ValueError(message(operation, argument, f"lacks {name!r}", expected))
            return as_weight(arrays.pop(name), shape, self.dtype, operation, name)

        parameters, *slots = (
            [take(name + end, shape) for name, shape in zip(names, shapes, strict=True)]
            for end in ("", *(f".{slot}" for slot in network.slots))
        )
        if arrays:
            raise ValueError(
                message(operation, argument, f"holds {sorted(arrays)}", "the model's arrays only")
            )
        for i, value in enumerate(parameters):
            network.set_parameter(i, value)
            for s, values in enumerate(slots):
                network.set_slot(s, i, values[i])
        network.step, network.epoch, network.row = counters

    def __getstate__(self) -> dict[str, Any]:
        """Declarations, counters and plain arrays: all that pickle, deepcopy and save() need."""
        state: dict[str, Any] = {
            "layers": list(self.layers),
            "seed": self.seed,
            "dtype": self.dtype,
            "name": self.name,
            "metadata": self.metadata,
            "optimizer": self.optimizer,
            "loss": self.loss,
            "metrics": list(self.metrics),
            "groups": self._compiled_groups,
            "inputs": self.inputs,
        }
        return state | ({"arrays": {}} if self._network is None else self.get_state())

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["layers"], seed=state["seed"], dtype=state["dtype"], name=state["name"])  # type: ignore[misc]
        self.metadata = dict(state["metadata"])
        if state["optimizer"] is not None:
            self.compile(state["optimizer"], state["loss"], state["metrics"])
            self._compiled_groups = list(state.get("groups", self._compiled_groups))  # not as of now
            if self._network is not None and self.loss is not None and self.optimizer is not None:
                self._network.compile(self.loss.spec(), self.optimizer.spec(), self._compiled_groups)
        if state["inputs"] is None:
            return
        self._check_kernels(state["inputs"], state["arrays"])
        self.build(state["inputs"])
        self._restore(state, "load_model", "path")

    def _check_kernels(self, inputs: int, arrays: Mapping[str, Array]) -> None:
        """Check the widths against the arrays at hand, before memory is taken for what a file claims."""
        width = inputs
        for i, layer in enumerate(self.layers):
            for name, shape in layer.parameter_shapes(width).items():
                array = arrays.get(f"{i}.{name}")
                if array is not None and array.shape != shape:
                    got = f"has shape {array.shape}"
                    raise ValueError(message("load_model", f"{i}.{name}", got, f"{shape}"))
            width = layer.output_width(width)


def _array_names(model: Network) -> list[str]:
    """Return a name for each array of get_weights(): its layer's place and its own name."""
    return [f"{layer}.{name}" for layer, name, _ in model._built("Model").parameters]


def _decoded(description: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name in PLAIN else decode(value) for name, value in description.items()}


def load_model(path: str | os.PathLike[str]) -> Model:
    """Return the model that Model.save() wrote; training goes on bit for bit as if never stopped.

    Nothing in the file is run. Own classes of layers, losses, ... must be defined before.

    Args:
        path: the file.

    Raises:
        ValueError: the file is cut short, damaged, or no model of fallline.
        OSError: the file cannot be read.

    Example:
        >>> import fallline as fl
        >>> fl.Model([fl.Input(2), fl.Dense(3)], name="small").save("small.safetensors")
        >>> load_model("small.safetensors").name
        'small'
    """
    description, arrays = serialization.read(path)
    if description.get("format") != FORMAT:
        got = f"has format {description.get('format')!r}"
        raise ValueError(message("load_model", "path", got, f"format {FORMAT}, or a newer fallline"))
    model = Model.__new__(Model)
    try:
        model.__setstate__(_decoded(description) | {"arrays": arrays})
    except (KeyError, TypeError) as error:
        got = f"describes a model that cannot be made ({error})"
        raise ValueError(message("load_model", "path", got, "a file written by Model.save")) from None
    return model
