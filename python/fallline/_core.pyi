"""Types of the compiled core. Checked against the built module by `mypy.stubtest`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float32] | NDArray[np.float64]
_Spec = Mapping[str, Any]

__version__: str

class NonFiniteLoss(RuntimeError): ...

class Reading:
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *args: object) -> None: ...

class Network:
    """Layers, parameters and optimizer state of one model, in one dtype.

    A layer spec is {"kind": "dense", "units", "activation", "use_bias", "kernel_l1", "kernel_l2", "bias_l1", "bias_l2"},
    {"kind": "activation", "activation"}, {"kind": "dropout", "rate"} or {"kind": "rescale", "scale", "offset"};
    "index" is the layer's place in the user's list.
    """

    def __init__(self, inputs: int, layers: Sequence[_Spec], dtype: str, seed: int) -> None: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    @property
    def foreign(self) -> bool:
        """Whether a layer or the loss is the user's own."""
    @property
    def no_row_squares(self) -> tuple[int, str] | None:
        """The first layer without gradients of single rows, and why; or None."""
    @property
    def parameters(self) -> list[tuple[int, str, tuple[int, ...]]]:
        """(layer index, "kernel" | "bias", shape) of each parameter, in the order of get_weights()."""
    @staticmethod
    def planned(inputs: int, layers: Sequence[_Spec]) -> list[tuple[int, str, tuple[int, ...]]]:
        """What `parameters` would be, found without taking memory for them."""
    @property
    def slots(self) -> list[str]:
        """Names of the optimizer's state arrays, e.g. ["m", "v"]; empty before compile()."""
    step: int
    """Updates made so far: counts the optimizer's t and keys the dropout masks."""
    epoch: int
    """Epochs finished so far: keys the shuffles."""
    row: int
    """Rows of the running epoch already used; 0 unless a trainer is at work. An epoch that is cut counts as finished."""
    def get_parameter(self, index: int) -> _Array: ...
    def set_parameter(self, index: int, value: _Array) -> None: ...
    def get_weights(self) -> list[_Array]: ...
    def get_state(self) -> tuple[list[_Array], list[list[_Array]], int, int, int]: ...
    def set_weights(self, weights: Sequence[_Array]) -> None: ...
    def set_state(
        self, weights: Sequence[_Array], slots: Sequence[Sequence[_Array]], step: int, epoch: int
    ) -> None: ...
    def reading(self) -> Reading: ...
    def show_average(self) -> None: ...
    def hide_average(self) -> None: ...
    @property
    def shows_average(self) -> bool: ...
    def compile(self, loss: _Spec, optimizer: _Spec, groups: Sequence[_Spec] = ...) -> None:
        """loss: {"name", "reduction", ...}; optimizer: {"name", "weight_decay", "l2", "clip_value", "clip_norm", ...}. Resets the slots."""
    def predict(self, x: Any, batch_size: int = 0) -> _Array: ...
    def evaluate(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        batch_size: int = 0,
        predictions: _Array | None = None,
    ) -> float:
        """Mean loss over all rows, penalties included; dropout off."""
    def add_losses(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        loss_sum: float,
        weight_sum: float,
        predictions: _Array | None = None,
    ) -> tuple[float, float]:
        """The weighted sum of losses and the sum of weights, with these rows added; dropout off."""
    def total_loss(self, loss_sum: float, weight_sum: float) -> float:
        """What evaluate() returns for rows of these sums."""
    def loss_and_gradients(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[float, list[_Array]]: ...
    def train_on_batch(self, x: Any, y: Any, sample_weight: Any, learning_rate: float) -> float: ...
    def trainer(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        batch_size: int = 32,
        sampler: Sampler | None = None,
        predictions: _Array | None = None,
        through_arena: bool = False,
    ) -> Trainer:
        """Validate the data and return the loop over it; sampler None shuffles.

        predictions (n, outputs) receives each row's training output.

        through_arena stores whole gradients before the update, as clip_norm needs; the bits are the same.
        """

class Sampler:
    """Which rows make the batches of an epoch; values has a number for each row where the kind asks for it."""

    def __init__(self, spec: _Spec, rows: int, values: Any = None) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def repeats(self) -> bool:
        """Whether an epoch may use a row several times, or never."""
    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Of each group; this and what follows of samplers that learn."""
    @property
    def norms(self) -> NDArray[np.float32]:
        """Of each row's gradient when it was last drawn; -1: never."""
    @property
    def second_moment(self) -> float: ...
    def get_state(self) -> dict[str, NDArray[np.float64]]:
        """All that draws to come depend on; empty for one that does not learn."""
    def set_state(self, state: Mapping[str, Any]) -> None: ...
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...

class Trainer:
    """Batches of consecutive epochs over one data set; holds the model's training lock until closed."""

    def __init__(self, *args: object, **kwargs: object) -> None: ...
    @property
    def batches_per_epoch(self) -> int: ...
    def run(
        self, learning_rates: NDArray[np.float64], max_epochs: int, max_batches: int, max_seconds: float
    ) -> tuple[int, NDArray[np.float64]]:
        """Train until a limit is reached, a signal is pending or learning_rates (one a batch, or a single one for all) runs out.

        Returns the number of batches done and the mean loss of each epoch finished in this call.
        Raises NonFiniteLoss before a bad batch changes any weight.
        """
    @property
    def losses(self) -> NDArray[np.float64]:
        """Of the epochs that the last run has finished, also if it raised."""
    @property
    def running_loss(self) -> float:
        """Mean loss over the rows of the unfinished epoch (nan before its first batch)."""
    @property
    def sums(self) -> tuple[float, float, float]:
        """Weighted sum of losses, sum of weights, and mean penalty of the unfinished epoch."""
    def resume(self, epoch: int, row: int, sums: Sequence[float]) -> None:
        """Go on with an epoch that another trainer has left behind so many rows, with these sums."""
    @property
    def drawn(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The row at each place of the epoch, and the weight of its loss if the sampler has factors."""
    def set_drawn(self, rows: NDArray[np.int64], weights: NDArray[Any]) -> None:
        """Tell of the places before the present one, after resume()."""
    def close(self) -> None: ...

class StreamTrainer:
    """Epochs over batches given one by one; holds the model's training lock until closed."""

    def __init__(self, network: Network) -> None: ...
    def train(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        learning_rate: float,
        predictions: _Array | None = None,
    ) -> None:
        """Make one update. Raises NonFiniteLoss before a bad batch changes any weight."""
    def finish_epoch(self) -> float:
        """End the epoch; its mean loss."""
    @property
    def running_loss(self) -> float: ...
    @property
    def batch(self) -> int:
        """Batches of the unfinished epoch so far."""
    @property
    def sums(self) -> tuple[float, float, float]: ...
    def resume(self, epoch: int, row: int, batch: int, sums: Sequence[float]) -> None: ...
    def close(self) -> None: ...

class Surface:
    """The loss of all rows as a function of the weights that learn; holds the model's training lock until closed."""

    def __init__(self, network: Network, x: Any, y: Any, sample_weight: Any = None) -> None: ...
    @property
    def size(self) -> int: ...
    def first_not_finite(self) -> str:
        """Return what is to blame for a loss that is not finite where the weights are: a layer, the labels, ..."""
    def close(self) -> None: ...

# f(x) -> value; with a second argument, an array like x, it writes the gradient there.
_Function: TypeAlias = Callable[..., float]

class Minimizer:
    """A method that looks for a minimum, and what it has learned of the function so far."""

    def __init__(self, name: str, options: Mapping[str, float | str]) -> None: ...
    def begin(self, target: Surface | _Function, x: NDArray[np.float64] | None = None) -> None:
        """Take up a function at x, or the loss of a network where it is."""
    def run(self, target: Surface | _Function, iterations: int, seconds: float) -> NDArray[np.float64]:
        """Iterate until a limit is reached, a signal is pending or there is a reason to stop; the value after each.

        A network is left at x.
        """
    @property
    def x(self) -> NDArray[np.float64]:
        """The best point so far."""
    @property
    def value(self) -> float: ...
    @property
    def reason(self) -> str:
        """Why it has stopped; empty before."""
    @property
    def values(self) -> NDArray[np.float64]:
        """After each iteration of the last run, also if it raised."""
    @property
    def evaluations(self) -> int: ...
    def get_state(self) -> dict[str, NDArray[np.float64]]: ...
    def set_state(self, state: Mapping[str, NDArray[np.float64]]) -> None: ...

_Rows = tuple[Any, Any, Any]  # x, y and sample_weight or None

class Fleet:
    """Networks that are trained at the same time, each on one thread; holds their training locks until closed.

    Data that are the same objects are checked and held once. A patience is {"of_validation", "higher_is_better",
    "restores", "epochs", "start_from", "min_delta", "baseline"}.
    """

    def __init__(self) -> None: ...
    def add_trainer(
        self,
        network: Network,
        data: _Rows,
        held_out: _Rows | None,
        patience: Mapping[str, Any] | None,
        batch_size: int,
        shuffle: bool,
        learning_rate: float | Callable[[int, int], NDArray[np.float64]],
    ) -> None:
        """A rate that changes is asked for those of `count` updates from a step on, from any thread."""
    def add_minimizer(
        self,
        network: Network,
        data: _Rows,
        held_out: _Rows | None,
        patience: Mapping[str, Any] | None,
        minimizer: Minimizer,
    ) -> None: ...
    def extend(self, job: int, epochs: int) -> None:
        """Let a network, numbered in the order of their adding, train for more epochs."""
    def run(self, seconds: float) -> None:
        """Train until no epochs are left, the time is over or a signal is pending."""
    @property
    def left(self) -> list[int]:
        """Epochs that each network has still to do."""
    def take(self, job: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Losses of the epochs since the last call: of the training rows, and of those held out."""
    def end(self, job: int) -> tuple[Literal["none", "patience", "not_finite", "optimizer"], str]:
        """What has stopped a network, and why in words."""
    def finish(self) -> None:
        """Put the best weights back."""
    def close(self) -> None: ...

def activations() -> list[str]: ...
def losses() -> list[str]: ...
def optimizers() -> dict[str, tuple[list[str], list[str]]]:
    """name -> (names of its hyper-parameters, names of its own slots)."""

def optimizer_slots(optimizer: _Spec) -> list[str]:
    """Names of the state arrays of each parameter: the rule's own, then "average" if weights are averaged."""

def optimizer_step(
    optimizer: _Spec,
    learning_rate: float,
    step: int,
    params: Sequence[_Array],
    grads: Sequence[_Array],
    slots: Sequence[Sequence[_Array]],
) -> None:
    """Update params and slots[slot][i] in place; step is 1 on the first call."""

def power(base: float | NDArray[Any], exponent: float | NDArray[Any]) -> NDArray[np.float64]:
    """Of each number by the C library; at least one of them an array."""

def cosine(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each number by the C library."""

def activate(name: str, x: _Array, out: _Array | None = None) -> _Array: ...
def matmul(
    a: _Array, b: _Array, transpose_a: bool = False, transpose_b: bool = False, out: _Array | None = None
) -> _Array: ...
def dense_forward(
    x: _Array, kernel: _Array, bias: _Array | None, activation: str, out: _Array | None = None
) -> _Array: ...
def dense_backward(
    gradient: _Array, x: _Array, output: _Array, kernel: _Array, activation: str
) -> tuple[_Array, _Array, _Array]: ...
def softmax_cross_entropy(logits: _Array, labels: Any) -> tuple[float, _Array]: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int | None) -> None:
    """None returns to the default."""

def config() -> dict[str, Any]:
    """compiler, targets (built), target (chosen), target_reason, threads, threads_reason, openmp."""

def forked() -> bool: ...

target: Literal["baseline", "avx2", "avx512"] | str
max_threads: int
