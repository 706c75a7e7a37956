"""The whole state of a model, for files, copies and ways back."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core
from fallline.checks import flag, integer
from fallline.declaration import decode, encode
from fallline.errors import message
from fallline.frames import Names
from fallline.layers import Activation, Input, stack
from fallline.layers.layer import as_weight
from fallline.network import Network
from fallline.optimizers.course import PREFIX, Course

if TYPE_CHECKING:
    from typing_extensions import Self

    from fallline.layers import Layer
    from fallline.typing import Array, ArrayLike

FORMAT = 1

# Of every model; others are its user's.
ATTRIBUTES = frozenset(vars(Network([Activation("linear")], seed=0)))
# What a script says anew each time; a file holds the rest.
DECLARED = ("layers", "name", "metadata", "optimizer", "loss", "metrics", "groups", "own")
# What a file holds as it is, without declarations in it.
PLAIN = ("metadata", "notes", "names", "groups")


class StatefulNetwork(Network):
    """A network that can tell all that its training depends on, and go back to it."""

    def described(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what save() writes: a description that JSON holds, and arrays."""
        state = self.__getstate__()
        arrays = state.pop("arrays")
        del state["own"]
        told = {name: value if name in PLAIN else encode(value) for name, value in state.items()}
        return {"format": FORMAT} | told, arrays

    def resumed(self, description: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
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
        state = self.__getstate__()
        declared = {name: state[name] for name in DECLARED}
        model = type(self).__new__(type(self))
        model.__setstate__({**decoded(description), **declared, "arrays": arrays})
        if model._course is not None and self.optimizer is not None:  # which is this one's
            model._course = Course(self.optimizer, model.seed).resumed(model._course.get_state())
            model.optimizer = self.optimizer
        return model

    def anew(self, seed: int | None = None) -> Self:
        """Return a model that is declared and compiled as this one, at another start.

        Args:
            seed: that its weights, orders and masks follow from. Default None: drawn anew.

        Example:
            >>> import fallline as fl
            >>> model = fl.Model([fl.Input(2), fl.Dense(3)], seed=0)
            >>> bool((model.anew(seed=1).get_weights()[0] != model.get_weights()[0]).all())
            True
        """
        state = {
            name: getattr(self, name) for name in ("layers", "dtype", "name", "metadata", "loss", "metrics")
        }
        optimizer = None if self.optimizer is None else self.optimizer.anew()
        model = type(self).__new__(type(self))
        model.__setstate__(
            state
            | {"seed": seed, "optimizer": optimizer, "groups": self._compiled_groups, "inputs": None}
            | {"own": _own(self)}
        )
        if isinstance(model.layers[0], Input):
            Network.build(model, model.layers[0].n)
        return model

    def get_weights(self) -> list[Array]:
        """Return copies of all weights, layer by layer: kernel (inputs, units), bias (units,), ...

        Raises:
            RuntimeError: the model is not built.
        """
        network = self._built("Model.get_weights")
        return network.get_weights()

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Write all weights, in the order of get_weights().

        Raises:
            RuntimeError: the model is not built.
            ValueError: a wrong number of arrays, or a wrong shape.
        """
        operation = "Model.set_weights"
        network = self._built(operation)
        shapes = [shape for _, _, shape in network.parameters]
        if not np.iterable(weights):
            raise TypeError(message(operation, "weights", f"is {weights!r}", "a list of arrays"))
        if len(weights) != len(shapes):
            raise ValueError(message(operation, "weights", f"has {len(weights)} arrays", f"{len(shapes)}"))
        arrays = [
            as_weight(value, shape, self.dtype, operation, f"weights[{i}]")
            for i, (value, shape) in enumerate(zip(weights, shapes, strict=True))
        ]
        network.set_weights(arrays)

    def get_state(self) -> dict[str, Any]:
        """Return copies of what training changes: weights, optimizer state and counters.

        The state of an epoch that has "begun", in a callback, has no way back into it: it counts as over.

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
        for _ in range(100):
            with network.reading():  # another thread may be training
                course, known = self._course, network.slots
                weights, slots, step, epoch, row = network.get_state()
                learnt = {} if course is None else course.get_state()
            if course is None or known == _core.optimizer_slots(course.optimizer.spec()):
                break
            time.sleep(0.001)  # a chain has compiled its next stage, and the model is about to know it
        arrays = dict(zip(names, weights, strict=True))
        for slot, values in zip(known, slots, strict=True):
            arrays |= {f"{name}.{slot}": value for name, value in zip(names, values, strict=True)}
        if network.shows_average:  # in the weights' place, it is its own average
            arrays |= {f"{name}.average": value for name, value in zip(names, weights, strict=True)}
        return {"step": step, "epoch": epoch, "begun": row > 0, "arrays": arrays | learnt}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a get_state() of this model or of one declared alike.

        Raises:
            RuntimeError: the model is not built, or shows its average.
            ValueError: the state of another model; this one is as it was.
        """
        self._refuse_while_averaged("Model.set_state")
        self._restore(state, "Model.set_state", "state")

    def _restore(self, state: Mapping[str, Any], operation: str, argument: str) -> None:
        network = self._built(operation)
        missing = {"step", "epoch", "arrays"} - set(state)
        if missing:
            expected = "what get_state() returned"
            raise ValueError(message(operation, argument, f"lacks {sorted(missing)}", expected))
        step, epoch, row = (
            integer(operation, name, state.get(name, 0), low=0, high=2**63 - 1)
            for name in ("step", "epoch", "row")  # rows used of the epoch: files had them once
        )
        begun = flag(operation, "begun", state.get("begun", row > 0))
        arrays, names = dict(state["arrays"]), _array_names(self)
        shapes = [shape for _, _, shape in network.parameters]

        def take(name: str, shape: tuple[int, ...]) -> Array:
            if name not in arrays:
                expected = "an array for each parameter and optimizer state"
                raise ValueError(message(operation, argument, f"lacks {name!r}", expected))
            return as_weight(arrays.pop(name), shape, self.dtype, operation, name)

        course, spec = self._course, {}
        if course is not None:
            course = course.resumed(
                {name: arrays.pop(name) for name in list(arrays) if name.startswith(PREFIX)}
            )
            spec = course.optimizer.spec()
        parameters, *slots = (
            [take(name + end, shape) for name, shape in zip(names, shapes, strict=True)]
            for end in ("", *(f".{slot}" for slot in _core.optimizer_slots(spec)))
        )
        if arrays:
            raise ValueError(
                message(operation, argument, f"holds {sorted(arrays)}", "the model's arrays only")
            )
        if course is not None and self._course is not None and course.stage != self._course.stage:
            self._enter(course)
        self._course = course
        network.set_state(parameters, slots, step, epoch + begun)

    def __getstate__(self) -> dict[str, Any]:
        """Declarations, counters and plain arrays: all that pickle, deepcopy and save() need."""
        state: dict[str, Any] = {
            "layers": list(self.layers),
            "seed": self.seed,
            "dtype": self.dtype,
            "name": self.name,
            "metadata": self.metadata,
            "notes": self.notes,
            "names": self.names.plain(),
            "optimizer": self.optimizer,
            "loss": self.loss,
            "metrics": list(self.metrics),
            "groups": self._compiled_groups,
            "inputs": self.inputs,
            "own": _own(self),
        }
        return state | ({"arrays": {}} if self._network is None else self.get_state())

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        # A subclass may have another constructor, compile() and build().
        vars(self).update(state.get("own", {}))
        self._declare(state["layers"], state["seed"], state["dtype"], state["name"])
        self.metadata, self.notes = dict(state["metadata"]), dict(state.get("notes", {}))
        self.names = Names.told(state.get("names", ()))
        if state["optimizer"] is not None:
            Network.compile(self, state["optimizer"], state["loss"], state["metrics"])
            self._compiled_groups = list(state.get("groups", self._compiled_groups))  # not as of now
        if state["inputs"] is None:
            return
        _check_sizes(self.layers, state["inputs"], state["arrays"])
        self.adopt(self._blank(state["inputs"], "load_model"))
        self._restore(state, "load_model", "path")


def _check_sizes(layers: Sequence[Layer], inputs: int, arrays: Mapping[str, Array]) -> None:
    """Check the weights that layers would have against the arrays at hand, before memory is taken for them."""
    widths = sum(stack.widths(layers, inputs))
    # Layers without weights keep a few numbers for each column; where many are wide, some have weights.
    most = max(2**26, 64 * sum(array.size for array in arrays.values()))
    if widths > most:
        got, expected = f"put out {widths} numbers in all", f"at most {most}, of so few weights"
        raise ValueError(message("load_model", "layers", got, expected))
    for layer, name, shape in _core.Network.planned(inputs, stack.specs(layers, inputs)):
        array = arrays.get(f"{layer}.{name}")
        if array is None or array.shape != shape:
            got = "is missing" if array is None else f"has shape {array.shape}"
            raise ValueError(message("load_model", f"{layer}.{name}", got, f"{shape}"))


def _own(model: Network) -> dict[str, Any]:
    """Return what the user, or a class of the user's, keeps in the model."""
    return {name: value for name, value in vars(model).items() if name not in ATTRIBUTES}


def _array_names(model: Network) -> list[str]:
    """Return a name for each array of get_weights(): its layer's place and its own name."""
    return [f"{layer}.{name}" for layer, name, _ in model._built("Model").parameters]


def decoded(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state that described() told of, but for its arrays."""
    state = {name: value if name in PLAIN else decode(value) for name, value in description.items()}
    state["inputs"] = integer("load_model", "inputs", state["inputs"], low=1, high=2**24)
    if "groups" in state:
        state["groups"] = stack.restored_groups(state["groups"])
    return state
