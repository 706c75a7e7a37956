"""Model: declare layers, compile, fit, predict, save."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fallline import serialization, training
from fallline.callbacks import Callback
from fallline.declaration import decode, encode
from fallline.errors import message
from fallline.history import History
from fallline.layers.layer import as_weight
from fallline.network import Network

if TYPE_CHECKING:
    from fallline.typing import Array

FORMAT = 1


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
        y: Any,
        *,
        batch_size: int = 32,
        epochs: int = 1,
        validation_data: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        verbose: Any = "auto",
    ) -> History:
        """Train, going on from where the model is.

        An interruption (Ctrl-C) leaves the model between two updates; the next fit finishes the epoch first.

        Args:
            X: (n, inputs): float32, float64 and uint8 are read in place, other numbers are converted.
            y: integer classes (n,), or numbers (n, outputs), or (n,) for one output.
            batch_size: rows in an update, >= 1; the last batch of an epoch may be smaller. Default 32.
            epochs: passes over the rows, >= 0. Default 1.
            validation_data: (X, y) or (X, y, sample_weight), evaluated after each epoch. Default None.
            validation_split: share of the rows held out for validation, the last ones. Default 0.
            sample_weight: (n,), weights of the rows, >= 0. Default None: all alike.
            class_weight: {class: weight}, multiplied with sample_weight; 1 for classes not named. "balanced":
                rows / (classes · rows of the class), of the classes that occur. Default None.
            shuffle: draw a new order for each epoch. Default True.
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
            callbacks=callbacks,
            verbose=verbose,
        )
        return training.run(self, plan)

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
        state = self.__getstate__()
        arrays = state.pop("arrays")
        serialization.write(
            path, {"format": FORMAT} | {name: encode(value) for name, value in state.items()}, arrays
        )

    def __getstate__(self) -> dict[str, Any]:
        """Declarations, counters and plain arrays: all that pickle, deepcopy and save() need."""
        network = self._network
        state: dict[str, Any] = {
            "layers": list(self.layers),
            "seed": self.seed,
            "dtype": self.dtype,
            "name": self.name,
            "metadata": self.metadata,
            "optimizer": self.optimizer,
            "loss": self.loss,
            "metrics": list(self.metrics),
            "inputs": self.inputs,
            "arrays": {},
        }
        if network is not None:
            state |= {"step": network.step, "epoch": network.epoch, "row": network.row}
            names = _array_names(self)
            state["arrays"] = {name: network.get_parameter(i) for i, name in enumerate(names)} | {
                f"{name}.{slot}": network.get_slot(s, i)
                for s, slot in enumerate(network.slots)
                for i, name in enumerate(names)
            }
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["layers"], seed=state["seed"], dtype=state["dtype"], name=state["name"])  # type: ignore[misc]
        self.metadata = dict(state["metadata"])
        if state["optimizer"] is not None:
            self.compile(state["optimizer"], state["loss"], state["metrics"])
        if state["inputs"] is None:
            return
        arrays = dict(state["arrays"])
        self._check_kernels(state["inputs"], arrays)
        self.build(state["inputs"])
        network = self._built("Model")
        for i, ((_, _, shape), name) in enumerate(zip(network.parameters, _array_names(self), strict=True)):
            network.set_parameter(i, _taken(arrays, name, shape, self.dtype))
            for s, slot in enumerate(network.slots):
                network.set_slot(s, i, _taken(arrays, f"{name}.{slot}", shape, self.dtype))
        if arrays:
            raise ValueError(
                message("load_model", "path", f"holds {sorted(arrays)}", "the model's arrays only")
            )
        network.step, network.epoch, network.row = state["step"], state["epoch"], state["row"]

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


def _taken(arrays: dict[str, Array], name: str, shape: tuple[int, ...], dtype: str) -> Array:
    if name not in arrays:
        raise ValueError(
            message("load_model", "path", f"lacks {name!r}", "an array for each parameter and state")
        )
    return as_weight(arrays.pop(name), shape, dtype, "load_model", name)


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
        state = {name: value if name == "metadata" else decode(value) for name, value in description.items()}
        model.__setstate__(state | {"arrays": arrays})
    except (KeyError, TypeError) as error:
        got = f"describes a model that cannot be made ({error})"
        raise ValueError(message("load_model", "path", got, "a file written by Model.save")) from None
    return model
