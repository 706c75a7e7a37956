"""Initial weights: functions of a shape and a generator, declared by name or object.

Each parameter of a model draws from its own stream, keyed by the model's seed and the parameter's place, so
that neither threads nor other layers change it. Draws are float64 and rounded to the model's dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fallline.activations import ACTIVATIONS
from fallline.checks import number
from fallline.declaration import Declaration, resolve
from fallline.errors import message

Shape = tuple[int, ...]

if TYPE_CHECKING:
    from fallline.typing import Array, Float64Array

    # np.random, too, is not imported before it is needed
    Draw = Callable[[Shape, np.random.Generator], Array]


def generator(seed: int, parameter: int) -> np.random.Generator:
    """Return the stream of one parameter (Philox: Salmon et al. 2011).

    Example:
        >>> float(generator(0, 1).random()) == float(generator(0, 1).random())
        True
    """
    return np.random.Generator(np.random.Philox(key=np.array([seed, parameter], dtype=np.uint64)))


class Initializer(Declaration):
    """Base of initializers: called with a shape (inputs, ..., units) and a generator, returns float64."""

    name: ClassVar[str]

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Float64Array:
        """Return initial values of the shape."""
        raise NotImplementedError(
            f"{type(self).__name__}: __call__ is not defined; expected a subclass to define it"
        )


class Constant(Initializer):
    """The same value everywhere.

    Args:
        value: the value. Default 0.

    Example:
        >>> Constant(0.5)((2,), generator(0, 0))
        array([0.5, 0.5])
    """

    name = "constant"

    def __init__(self, value: float = 0.0) -> None:
        self.value = number("Constant", "value", value)

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Float64Array:  # noqa: ARG002
        """Return an array filled with value."""
        return np.full(shape, self.value)


class Zeros(Constant):
    """0 everywhere. On the kernel of a hidden layer it keeps all units alike for ever."""

    name = "zeros"

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """1 everywhere."""

    name = "ones"

    def __init__(self) -> None:
        super().__init__(1.0)


class Uniform(Initializer):
    """U(low, high).

    Args:
        low: lower end. Default -0.05.
        high: upper end, above low. Default 0.05.

    Example:
        >>> bool(np.all(abs(Uniform(low=-1, high=1)((3, 2), generator(0, 0))) <= 1))
        True
    """

    name = "uniform"

    def __init__(self, low: float = -0.05, *, high: float = 0.05) -> None:
        self.low = number("Uniform", "low", low)
        self.high = number("Uniform", "high", high, above=self.low)

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Float64Array:
        """Return draws of the distribution."""
        return generator.uniform(self.low, self.high, shape)


class Normal(Initializer):
    """N(mean, std²).

    Args:
        mean: centre. Default 0.
        std: standard deviation. Default 0.05.

    Example:
        >>> Normal()((3, 2), generator(0, 0)).shape
        (3, 2)
    """

    name = "normal"

    def __init__(self, mean: float = 0.0, *, std: float = 0.05) -> None:
        self.mean = number("Normal", "mean", mean)
        self.std = number("Normal", "std", std, low=0)

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Float64Array:
        """Return draws of the distribution."""
        return generator.normal(self.mean, self.std, shape)


class _Scaled(Initializer):
    """Zero mean, and the variance gain / inputs or gain / (inputs + units)."""

    gain: ClassVar[float]
    with_units: ClassVar[bool] = False
    uniform: ClassVar[bool] = False

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Float64Array:
        """Return draws of the distribution."""
        inputs, units = shape[0], shape[-1]
        std = math.sqrt(self.gain / (inputs + units if self.with_units else inputs))
        if self.uniform:
            return generator.uniform(-math.sqrt(3) * std, math.sqrt(3) * std, shape)
        return generator.normal(0.0, std, shape)


class GlorotNormal(_Scaled):
    """N(0, 2 / (inputs + units)) (Glorot & Bengio 2010)."""

    name = "glorot_normal"
    gain = 2.0
    with_units = True


class GlorotUniform(_Scaled):
    """U(-a, a) with a = sqrt(6 / (inputs + units)) (Glorot & Bengio 2010)."""

    name = "glorot_uniform"
    gain = 2.0
    with_units = True
    uniform = True


class HeNormal(_Scaled):
    """N(0, 2 / inputs), for ReLU and its kin (He et al. 2015)."""

    name = "he_normal"
    gain = 2.0


class HeUniform(_Scaled):
    """U(-a, a) with a = sqrt(6 / inputs), for ReLU and its kin (He et al. 2015)."""

    name = "he_uniform"
    gain = 2.0
    uniform = True


class LecunNormal(_Scaled):
    """N(0, 1 / inputs) (LeCun et al. 1998, Efficient BackProp)."""

    name = "lecun_normal"
    gain = 1.0


class LecunUniform(_Scaled):
    """U(-a, a) with a = sqrt(3 / inputs) (LeCun et al. 1998, Efficient BackProp)."""

    name = "lecun_uniform"
    gain = 1.0
    uniform = True


def check(value: Any, operation: str, argument: str) -> Any:
    """Return value after checking that it is a name, an Initializer, or a function of shape and generator."""
    if value != "auto" and (isinstance(value, type) or not callable(value)):
        resolve(Initializer, value, operation, argument)
    return value


def made(value: Any, activation: str) -> Draw:
    """Return the function that a checked value means; "auto" is what the activation that follows asks for.

    Example:
        >>> made("auto", "relu"), made("auto", "tanh"), made("auto", "selu"), made("zeros", "tanh")
        (HeNormal(), GlorotUniform(), LecunNormal(), Zeros())
    """
    if value == "auto":
        value = ACTIVATIONS[activation].kernel
    if not isinstance(value, str):
        draws: Draw = value
        return draws
    return resolve(Initializer, value, "initializers.made", "value")


def draw(initializer: Draw, shape: Shape, seed: int, parameter: int, operation: str) -> Array:
    """Return the initial value of one parameter, checked for its shape."""
    value = np.asarray(initializer(shape, generator(seed, parameter)))
    if value.shape != shape:
        raise ValueError(message(operation, repr(initializer), f"returned shape {value.shape}", f"{shape}"))
    return value
