"""Layers with their weights, a loss and an optimizer: all that is one call of the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import _core, batches, initializers
from fallline.checks import as_seed, choice, integer
from fallline.data import ClassWeights, Data, as_rows, as_targets, as_weights, check_batch
from fallline.declaration import resolve
from fallline.errors import message
from fallline.frames import Names
from fallline.layers import Embedding, Input, Layer, stack
from fallline.layers.layer import activation_after
from fallline.losses import FunctionLoss, Loss
from fallline.metrics.metric import Metric, check_all, check_targets, measuring, scores
from fallline.optimizers import Course, FirstOrder, Optimizer

if TYPE_CHECKING:
    from fallline.typing import Array


class Network:
    """What a Model is between two fits. The weights exist as soon as the width of the rows is known."""

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self._declare(layers, seed, dtype, name)
        if isinstance(self.layers[0], Input):
            self.build(self.layers[0].n)

    def _declare(self, layers: Sequence[Layer], seed: int | None, dtype: Any, name: str | None) -> None:
        self.layers = stack.checked(layers)
        self.seed = as_seed("Model", seed)
        known = np.dtype(dtype).name if isinstance(dtype, type | np.dtype) else dtype
        self.dtype = choice("Model", "dtype", known, ("float32", "float64"))
        if name is not None and not isinstance(name, str):
            raise TypeError(message("Model", "name", f"is {name!r}", "a string or None"))
        self.name = name
        self.metadata: dict[str, Any] = {}
        self.notes: dict[str, Any] = {}  # of tools such as the command line, each under its name
        self.names = Names()
        self.stop_training = False
        self._unfinished: int | None = None  # where a fit with a backup began that has not come to its end
        self.optimizer: Optimizer | None = None
        self.loss: Loss | None = None
        self.metrics: tuple[Metric, ...] = ()
        self._course: Course | None = None  # of the optimizer
        self._compiled_groups: list[dict[str, Any]] = []  # groups of layers, as compile() found them
        self._network: _core.Network | None = None

    @property
    def inputs(self) -> int | None:
        """Numbers in a row that comes in, or None before the model is built."""
        return None if self._network is None else self._network.inputs

    @property
    def outputs(self) -> int | None:
        """Numbers in a row that comes out, or None before the model is built."""
        return None if self._network is None else self._network.outputs

    def build(self, inputs: int) -> None:
        """Make the weights for rows of `inputs` numbers; nothing happens if they exist for this width.

        Raises:
            ValueError: the model was built for another width.
        """
        self.adopt(self.made_for(integer("Model.build", "inputs", inputs, low=1, high=2**24), "Model.build"))

    def made_for(self, inputs: int, operation: str) -> _core.Network:
        """Return the network for rows of the width: the model's own, or a new one for adopt()."""
        if self._network is not None:
            if inputs != self._network.inputs:
                raise ValueError(
                    message(operation, "inputs", f"is {inputs}", f"{self._network.inputs}, as built")
                )
            return self._network
        network = self._blank(inputs, operation)
        for index, (layer, parameter, shape) in enumerate(network.parameters):
            rule = self.layers[layer].initializer(parameter, activation_after(self.layers, layer))
            value = initializers.draw(rule, shape, self.seed, index, operation)
            network.set_parameter(index, value.astype(self.dtype))
        return network

    def _blank(self, inputs: int, operation: str) -> _core.Network:
        """Return a network for rows of the width, compiled as the model is, whose weights are 0."""
        network = _core.Network(inputs, stack.specs(self.layers, inputs), self.dtype, self.seed)
        if self._course is not None and self.loss is not None:
            self.loss.check(self._last_activation, network.outputs, operation)
            for metric in measuring(self.metrics, self.loss, self._last_activation, network.outputs):
                metric.check(network.outputs, operation)
            network.compile(self.loss.spec(), self._course.optimizer.spec(), self._compiled_groups)
        return network

    def adopt(self, network: _core.Network, names: Names | None = None) -> None:
        """Take a network that made_for() made, and join the layers to it; and the names of what it learns."""
        self.names = names or self.names
        if network is self._network:
            return
        places: list[dict[str, int]] = [{} for _ in self.layers]
        for index, (layer, parameter, _) in enumerate(network.parameters):
            places[layer][parameter] = index
        for each, parameters in zip(self.layers, places, strict=True):
            each.bind(network, parameters)
        self._network = network

    @property
    def _computing(self) -> Sequence[Layer]:
        """The layers that the core knows: all but Input."""
        return stack.computing(self.layers)

    def _tries(self, network: _core.Network) -> bool:
        """Whether the core may try rows unchecked: not what Embedding reads, nor what the user's code may refuse."""
        return not (network.foreign or isinstance(self._computing[0], Embedding))

    @property
    def _last_activation(self) -> str:
        return self.layers[-1].last_activation() or "linear"

    def compile(self, optimizer: Any = "adam", loss: Any = "mse", metrics: Any = ()) -> None:
        """Say how to learn; the state of an earlier optimizer is lost, weights stay.

        The model learns by the object that it is given, so that a rate assigned to that counts; where another living
        model learns by it, by a copy. `model.optimizer` is what is at work.

        Args:
            optimizer: a name or an Optimizer. Default "adam".
            loss: a name, a Loss, or a function of y_true and y_pred; see FunctionLoss. Default "mse".
            metrics: names, Metric objects or functions of y_true and y_pred. Default none.

        Raises:
            ValueError: an unknown name, or a loss that does not go with the last layer.
        """
        operation = "Model.compile"
        self._refuse_while_averaged(operation)
        rule = resolve(Optimizer, optimizer, operation, "optimizer")
        if callable(loss) and not isinstance(loss, Loss | type):
            loss = FunctionLoss(loss)
        cost = resolve(Loss, loss, operation, "loss")
        cost.check(self._last_activation, self.outputs, operation)
        missing = "softmax" if cost.takes_classes else "sigmoid"
        logits = missing if cost.from_logits(self._last_activation) else None
        measured = check_all(metrics, operation, logits)
        course = Course(rule, self.seed)
        if self._network is not None:
            for metric in measuring(measured, cost, self._last_activation, self._network.outputs):
                metric.check(self._network.outputs, operation)
            self._network.compile(cost.spec(), course.optimizer.spec(), stack.groups(self.layers))
        self._compiled_groups = stack.groups(self.layers)
        if self.optimizer is not None:
            self.optimizer.left_by(self)
        self.optimizer, self.loss, self.metrics = rule.taken_by(self), cost, measured
        self._course = Course(self.optimizer, self.seed)

    def _enter(self, course: Course) -> None:
        """Go on with a stage of the optimizer; the core begins it anew."""
        if self._network is not None and self.loss is not None:
            self._network.compile(self.loss.spec(), course.optimizer.spec(), self._compiled_groups)
        self._course = course

    def predict(self, X: Any, *, batch_size: int | None = None) -> Array:
        """Return what the last layer puts out, (n, outputs), dropout off.

        Args:
            X: (n, inputs), or an iterable of such batches, labelled or not; their outputs are joined.
            batch_size: rows at a time; None leaves it to the core, the result is the same. Default None.

        Raises:
            ValueError: a wrong shape.
        """
        plain = type(X) is np.ndarray and X.ndim == 2 and X.size and batch_size is None
        if plain and self._network is not None and self._tries(self._network):
            try:
                return self._network.predict(X)
            except (TypeError, ValueError):
                pass  # what the core does not read is converted, or refused in full, below
        operation = "Model.predict"
        size = _batch_size(batch_size, operation)
        if batches.are_batches(X):
            return batches.predict(self, X, operation, "X")
        rows = as_rows(X, operation, self.dtype, self.inputs, self.names.columns)
        network = self.made_for(rows.shape[1], operation)
        self._computing[0].check_rows(rows, operation)
        self.adopt(network)
        return network.predict(rows, size)

    def evaluate(
        self, X: Any, y: Any = None, *, batch_size: int | None = None, sample_weight: Any = None
    ) -> dict[str, float]:
        """Return {"loss": ..., metric: ...} over all rows, dropout off; the loss includes the penalties.

        Args:
            X: (n, inputs), or an iterable of batches (X, y) or (X, y, sample_weight).
            y: labels, as in fit(). Default None: X gives batches.
            batch_size: rows at a time; None leaves it to the core. Default None.
            sample_weight: (n,) or None. Default None.

        Raises:
            RuntimeError: the model is not compiled.
            ValueError: wrong shapes, or labels out of range.
        """
        operation = "Model.evaluate"
        size = _batch_size(batch_size, operation)
        if y is None and batches.are_batches(X):
            batches.refuse_beside(operation, sample_weight=sample_weight)
            return batches.measure(self, X, operation, "X")
        network, data = self.data(X, y, sample_weight, operation, measured=True)
        self.adopt(network)
        return self.measure(data, size)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Read the average of the weights in their place for a while, if the optimizer keeps one.

        It is that of the moment when the block begins, and this thread's alone: others may read the weights, and
        train them. In the block nothing may train or compile the model, or set its state. Copies and files made
        meanwhile hold what is shown, as weights and as their average.

        Example:
            >>> import numpy as np
            >>> import fallline as fl
            >>> model = fl.Model([fl.Dense(1)], seed=0)
            >>> model.compile(fl.SGD(0.1, average=0.99), "mse")
            >>> _ = model.fit(np.ones((8, 2)), np.ones(8), epochs=3)
            >>> with model.averaged():
            ...     prediction = model.predict(np.ones((1, 2)))
        """
        network = self._network
        kept = self._course is not None and self._course.optimizer.average is not None
        if network is None or not kept or network.shows_average:
            yield
            return
        network.show_average()
        try:
            yield
        finally:
            network.hide_average()

    def measure(self, data: Data, batch_size: int = 0) -> dict[str, float]:
        """Return evaluate() of data that are checked already."""
        network = self._built("Model.evaluate")
        output = np.empty((len(data.x), network.outputs), self.dtype) if self.metrics else None
        loss = network.evaluate(data.x, data.y, data.weight, batch_size, output)
        return {"loss": loss} | self.scores(data, output)

    def scores(self, data: Data, output: Array | None) -> dict[str, float]:
        """Return each metric of the outputs; none are needed if there are no metrics."""
        if output is None:
            return {}
        _, loss = self._compiled("Model.evaluate")
        metrics = measuring(self.metrics, loss, self._last_activation, output.shape[1])
        return scores(metrics, data.y, output, data.weight)

    def train_on_batch(
        self, X: Any, y: Any, sample_weight: Any = None, *, class_weight: Mapping[int, float] | None = None
    ) -> float:
        """Make one update with all rows at once, and return the loss before it.

        Args:
            X: (n, inputs).
            y: labels, as in fit().
            sample_weight: (n,) or None. Default None.
            class_weight: {class: weight}, as in fit(). Default None.

        Raises:
            RuntimeError: the model is not compiled.
            ValueError: wrong shapes, or labels out of range.
        """
        operation = "Model.train_on_batch"
        optimizer, loss = self._first_order(operation)
        network = self._network
        # The core checks classes, but not the range of numbers.
        safe = loss.target_range is None or (loss.takes_classes and np.ndim(y) == 1)
        bare = sample_weight is class_weight is None
        plain = safe and type(X) is type(y) is np.ndarray and X.ndim == 2 and bare
        if plain and network is not None and self._tries(network):
            try:
                return network.train_on_batch(X, y, None, optimizer.rate(network.step))
            except (TypeError, ValueError, _core.NonFiniteLoss):
                pass  # as in predict()
        by_class = None if class_weight is None else ClassWeights(class_weight, part=True)
        network, data = self.data(X, y, sample_weight, operation, class_weight=by_class, one_batch=True)
        value = network.train_on_batch(*data, optimizer.rate(network.step))
        self.adopt(network, self.names.learned(X, y))
        return value

    def loss_and_gradients(self, X: Any, y: Any, sample_weight: Any = None) -> tuple[float, list[Array]]:
        """Return the loss of the rows and its gradient by each array of get_weights(); nothing is updated.

        Dropout is drawn as for the next update.

        Raises:
            RuntimeError: the model is not compiled.
            ValueError: wrong shapes, or labels out of range.
        """
        operation = "Model.loss_and_gradients"
        network, data = self.data(X, y, sample_weight, operation, one_batch=True)
        self.adopt(network)
        return network.loss_and_gradients(*data)

    def data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        operation: str,
        *,
        class_weight: ClassWeights | None = None,
        measured: bool = False,
        part: bool = False,
        network: _core.Network | None = None,
        names: Names | None = None,
        one_batch: bool = False,
    ) -> tuple[_core.Network, Data]:
        """Return data checked against the loss, the names and the network: those given, or the own.

        A network that is new is for adopt(); measured: against the metrics too; part: of rows that count together;
        one_batch: they are one.
        """
        _, loss = self._compiled(operation)
        network, names = network or self._network, names or self.names
        width = network.inputs if network else None
        rows = as_rows(X, operation, self.dtype, width, names.columns, y)
        if one_batch:
            check_batch(rows, operation)
        network = network or self.made_for(rows.shape[1], operation)
        self._computing[0].check_rows(rows, operation)
        targets = as_targets(y, operation, self.dtype, len(rows), network.outputs, loss, names.targets)
        if measured:
            check_targets(self.metrics, loss, targets, operation)
        factors = None
        if class_weight is not None:
            factors = class_weight.factors(targets, loss, network.outputs, operation)
        weight = as_weights(sample_weight, factors, operation, self.dtype, targets, part=part)
        return network, Data(rows, targets, weight)

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        name = "" if self.name is None else f", name={self.name!r}"
        return f"{type(self).__name__}([{layers}], seed={self.seed}, dtype={self.dtype!r}{name})"

    def _built(self, operation: str) -> _core.Network:
        if self._network is None:
            expected = "Input(n) as first layer, build(n), or a fit before"
            raise RuntimeError(message(operation, "model", "has no weights yet", expected))
        return self._network

    def _refuse_while_averaged(self, operation: str) -> None:
        if self._network is not None and self._network.shows_average:
            expected = "the end of `with model.averaged():` before"
            raise RuntimeError(
                message(operation, "model", "has its average in place of its weights", expected)
            )

    def _compiled(self, operation: str, *, training: bool = False) -> tuple[Course, Loss]:
        if training:
            self._refuse_while_averaged(operation)
        if self._course is None or self.loss is None:
            raise RuntimeError(
                message(operation, "model", "is not compiled", "compile(optimizer, loss) before")
            )
        return self._course, self.loss

    def _first_order(self, operation: str) -> tuple[FirstOrder, Loss]:
        """The optimizer, which must be one of single updates, and the loss."""
        _, loss = self._compiled(operation, training=True)
        if not isinstance(self.optimizer, FirstOrder):
            got = f"is {self.optimizer!r}"
            expected = "one of single updates, e.g. Adam(): to others each batch is another function"
            raise ValueError(message(operation, "optimizer", got, expected))
        return self.optimizer, loss


def _batch_size(value: int | None, operation: str) -> int:
    return 0 if value is None else integer(operation, "batch_size", value, low=1, high=2**31 - 1)
