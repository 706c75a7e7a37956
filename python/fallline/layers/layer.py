"""What all layers share: what they tell the core, their width, their weights; and layers written in NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from fallline import _core, initializers, regularizers
from fallline.checks import flag, integer, unmasked
from fallline.declaration import Declaration
from fallline.errors import message
from fallline.layers.group import ParameterGroup

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike


class OwnParameter(NamedTuple):
    """A parameter of a layer written in Python."""

    name: str
    shape: tuple[int, ...]
    initializer: Any
    penalties: Mapping[str, Any]
    trainable: bool


class Layer(Declaration):
    """Base of layers, and of a user's own layer in NumPy.

    A layer is a declaration; a model works on copies, so one can be used in many models, at one place of each. Its
    weights are those of the model it belongs to: `model.layers[0].kernel`.

    A layer of your own defines forward(x, training) and, to be trained through, backward(gradient);
    build(inputs) if it has parameters or changes the width. It must keep its constructor's arguments as
    attributes of the same names: it is copied and saved by them. A model with such a layer runs on one
    thread; rows of a prediction may come in pieces, those of a training batch come together.

    Attributes:
        group: how its parameters learn, a ParameterGroup or None; read by compile().
        trainable: False freezes its parameters from the next compile() on.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> class Scale(fl.Layer):
        ...     def build(self, inputs):
        ...         self.add_parameter("factor", (inputs,), "ones")
        ...     def forward(self, x, training):
        ...         self.x = x
        ...         return x * self.factor
        ...     def backward(self, gradient):
        ...         self.add_gradient("factor", (gradient * self.x).sum(axis=0))
        ...         return gradient * self.factor
        >>> model = fl.Model([fl.Input(3), Scale(), fl.Dense(1)], seed=0)
        >>> model.layers[1].factor
        array([1., 1., 1.], dtype=float32)
    """

    saved = ("group",)
    # True for a layer that is an activation and nothing else.
    is_activation: ClassVar[bool] = False

    _network: _core.Network | None = None
    _parameters: Mapping[str, int] = {}
    _declared: Mapping[str, OwnParameter] = {}
    _values: Mapping[str, Array] = {}
    _gradients: dict[str, Array]
    _running = False
    _width: int | None = None
    _group: ParameterGroup | None = None

    # --- what the model asks ---

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know: {"kind": ..., numbers}."""
        penalties = {k: v for own in self._declared.values() for k, v in own.penalties.items()}
        return {"kind": "foreign", "layer": self, "units": self._width, **penalties}

    def stages(self) -> list[dict[str, Any]]:
        """Return the specs of the core's layers that make this one; they run one after the other."""
        return [self.spec()]

    def output_width(self, inputs: int) -> int:
        """Return how many numbers come out of a row of `inputs` numbers."""
        self._declared = {}
        width = self.build(inputs)
        kind = type(self).__name__
        self._width = inputs if width is None else integer(f"{kind}.build", "returned width", width, low=1)
        return self._width

    def check_rows(self, rows: Array, operation: str) -> None:
        """Check what the first layer alone can know of rows: what the numbers in them stand for."""

    def last_activation(self) -> str | None:
        """Return the activation that the layer ends with, or None if it hands on what came in."""
        return None

    def initializer(self, parameter: str, activation: str) -> Any:
        """Return the initializer of a parameter, given the activation that follows the layer's product."""
        return initializers.made(self._declared[parameter].initializer, activation)

    def groups(self) -> list[tuple[str, ParameterGroup]]:
        """Return (start of their names, group) of the parameters that do not learn as the optimizer says."""
        return [] if self.group is None else [("", self.group)]

    def bind(self, network: _core.Network, parameters: Mapping[str, int]) -> None:
        """Join the layer to its model's network; parameters maps names to places in get_weights()."""
        self._network, self._parameters = network, parameters

    # --- how its parameters learn ---

    @property
    def group(self) -> ParameterGroup | None:
        """How the parameters learn, if not as the optimizer says."""
        return self._group

    @group.setter
    def group(self, value: Any) -> None:
        if value is not None and not isinstance(value, ParameterGroup):
            got = f"is {value!r}"
            raise TypeError(message(type(self).__name__, "group", got, "a ParameterGroup or None"))
        self._group = value

    @property
    def trainable(self) -> bool:
        """Whether the parameters learn."""
        return self._group is None or self._group.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        group = self._group or ParameterGroup()
        trainable = flag(type(self).__name__, "trainable", value)
        self._group = ParameterGroup(
            group.learning_rate_factor, weight_decay=group.weight_decay, trainable=trainable
        )

    # --- weights ---

    def get_parameter(self, name: str) -> Array:
        """Return a copy of one weight array, by name.

        Raises:
            RuntimeError: the layer has no weights yet.
            ValueError: the layer has no weights of the name.
        """
        network, index = self._place(name)
        return network.get_parameter(index)

    def set_parameter(self, name: str, value: ArrayLike) -> None:
        """Write one weight array, by name.

        Raises:
            RuntimeError: the layer has no weights yet.
            ValueError: no weights of the name, or a wrong shape.
        """
        network, index = self._place(name)
        shape = network.parameters[index][2]
        network.set_parameter(index, as_weight(value, shape, network.dtype, type(self).__name__, name))

    def _place(self, name: str) -> tuple[_core.Network, int]:
        kind = type(self).__name__
        if self._network is None:
            expected = (
                "a layer of a built model, e.g. model.layers[0] after model.build(n) or model.fit(X, y)"
            )
            raise RuntimeError(message(kind, name, "does not exist yet", expected))
        if name not in self._parameters:
            raise ValueError(message(kind, name, "does not exist", f"one of {list(self._parameters)}"))
        return self._network, self._parameters[name]

    def __getstate__(self) -> dict[str, Any]:
        return {
            k: v
            for k, v in self.__dict__.items()
            if k not in ("_network", "_parameters", "_values", "_gradients")
        }

    # --- a layer of the user's own ---

    def build(self, inputs: int) -> int | None:
        """Declare parameters for rows of `inputs` numbers; return the width of the result, or None for the same."""

    def forward(self, x: Array, training: bool) -> Array:
        """Return the rows that come out, for x (n, inputs); training is False in predict() and evaluate()."""
        raise NotImplementedError(
            f"{type(self).__name__}.forward: is not defined; expected a subclass to define it"
        )

    def backward(self, gradient: Array) -> Array:
        """Return the gradient by x of the last training forward(), from that by its result.

        Gradients by the parameters are handed to add_gradient().
        """
        raise NotImplementedError(
            f"{type(self).__name__}.backward: is not defined; expected a subclass to define it"
        )

    def add_parameter(
        self,
        name: Any,
        shape: Any,
        initializer: Any = "zeros",
        *,
        regularizer: regularizers.Regularizer | str | None = None,
        trainable: bool = True,
    ) -> None:
        """Declare a parameter, in build(); it is then an attribute of the name, and one of get_weights().

        Args:
            name: not yet an attribute of the layer.
            shape: one or two numbers.
            initializer: as for Dense. Default "zeros".
            regularizer: a penalty, or None. Default None.
            trainable: False for what no optimizer changes. Default True.
        """
        operation = f"{type(self).__name__}.add_parameter"
        taken = isinstance(name, str) and (name in self._declared or hasattr(self, name))
        if not isinstance(name, str) or not name.isidentifier() or taken:
            expected = "an identifier that is not yet an attribute of the layer"
            raise ValueError(message(operation, "name", f"is {name!r}", expected))
        if not isinstance(shape, tuple) or len(shape) not in (1, 2):
            raise ValueError(message(operation, "shape", f"is {shape!r}", "a tuple of one or two numbers"))
        sides = tuple(integer(operation, "shape", side, low=1, high=2**24) for side in shape)
        own = OwnParameter(
            name,
            sides,
            initializers.check(initializer, operation, "initializer"),
            regularizers.spec(name, regularizers.check(regularizer, operation, "regularizer")),
            flag(operation, "trainable", trainable),
        )
        self._declared = {**self._declared, name: own}

    def add_gradient(self, name: str, value: ArrayLike) -> None:
        """Give the gradient of one parameter, in backward()."""
        operation = f"{type(self).__name__}.add_gradient"
        if not self._running:
            raise RuntimeError(message(operation, "name", f"is {name!r}", "a call from backward() alone"))
        if name not in self._declared:
            raise ValueError(message(operation, "name", f"is {name!r}", f"one of {list(self._declared)}"))
        own = self._declared[name]
        self._gradients[name] = as_weight(value, own.shape, "float64", operation, name)

    def __getattr__(self, name: str) -> Any:
        if name in self._declared:
            return self._values[name] if self._running else self.get_parameter(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._declared:
            if self._running:
                expected = "its value to stay during forward() and backward()"
                raise RuntimeError(message(type(self).__name__, name, "is assigned", expected))
            self.set_parameter(name, value)
        else:
            super().__setattr__(name, value)

    def declared_parameters(self) -> list[tuple[str, tuple[int, ...], bool]]:
        """Return (name, shape, trainable) of each parameter declared by add_parameter(); the core asks."""
        return [(own.name, own.shape, own.trainable) for own in self._declared.values()]

    def run_forward(self, x: Array, values: list[Array], training: bool, width: int) -> Array:
        """Run forward() with these values of the parameters; the core calls it."""
        self._values, self._running = dict(zip(self._declared, values, strict=True)), True
        try:
            y = self.forward(x, training)
        finally:
            self._running = False
        return as_weight(y, (len(x), width), x.dtype.name, f"{type(self).__name__}.forward", "result")

    def run_backward(self, gradient: Array, inputs: int) -> tuple[Array, list[Array]]:
        """Run backward(); return what it returned and the gradients it gave; the core calls it."""
        self._gradients, self._running = {}, True
        try:
            dx = self.backward(gradient)
        finally:
            self._running = False
        operation = f"{type(self).__name__}.backward"
        missing = [
            own.name for own in self._declared.values() if own.trainable and own.name not in self._gradients
        ]
        if missing:
            raise ValueError(
                message(operation, "gradients", f"of {missing} are missing", "add_gradient(name, value)")
            )
        gradients = [self._gradients.get(own.name, np.zeros(own.shape)) for own in self._declared.values()]
        result = as_weight(dx, (len(gradient), inputs), gradient.dtype.name, operation, "result")
        for name, array in zip(("result", *self._declared), (result, *gradients), strict=True):
            if not np.isfinite(array).all():
                raise ValueError(message(operation, name, "is not finite", "finite numbers"))
        return result, gradients


def as_weight(value: ArrayLike, shape: tuple[int, ...], dtype: str, operation: str, argument: str) -> Array:
    """Return value as a contiguous array of the model's dtype, checked for its shape."""
    array = unmasked(operation, argument, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(message(operation, argument, f"has dtype {array.dtype}", "numbers"))
    if array.shape != shape:
        raise ValueError(message(operation, argument, f"has shape {array.shape}", f"{shape}"))
    return np.ascontiguousarray(array, dtype)


def activation_after(layers: Sequence[Layer], index: int) -> str:
    """Return the activation that follows a layer's product: its own, or that of an activation layer."""
    own = layers[index].last_activation() or "linear"
    after = next((x for x in layers[index + 1 :] if x.last_activation()), None)
    if own == "linear" and after is not None and after.is_activation:
        return after.last_activation() or "linear"
    return own
