"""Normalisation over the rows of a batch, or over the columns of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallline import initializers
from fallline.checks import flag, number
from fallline.layers.layer import Layer

if TYPE_CHECKING:
    from fallline.typing import Array, ArrayLike


class _Normalization(Layer):
    """What both share: epsilon, and the learned scale and offset."""

    def _set(self, epsilon: float, scale: bool, center: bool) -> None:
        kind = type(self).__name__
        self.epsilon = number(kind, "epsilon", epsilon, above=0)
        self.scale = flag(kind, "scale", scale)
        self.center = flag(kind, "center", center)

    def initializer(self, parameter: str, activation: str) -> Any:  # noqa: ARG002
        """Return ones for gamma and the moving variance, zeros for beta and the moving mean."""
        return initializers.Constant(1.0 if parameter in ("gamma", "moving_variance") else 0.0)

    @property
    def gamma(self) -> Array:
        """The scales (inputs,): a copy; assign to change them."""
        return self.get_parameter("gamma")

    @gamma.setter
    def gamma(self, value: ArrayLike) -> None:
        self.set_parameter("gamma", value)

    @property
    def beta(self) -> Array:
        """The offsets (inputs,): a copy; assign to change them."""
        return self.get_parameter("beta")

    @beta.setter
    def beta(self, value: ArrayLike) -> None:
        self.set_parameter("beta", value)


class BatchNormalization(_Normalization):
    """(x − mean) / √(variance + epsilon)·gamma + beta, with the moments of each column over the rows of a batch.

    Outside training moving averages take the place of the moments: after each update moving ← momentum·moving
    + (1 − momentum)·batch, with the biased variance. They are part of get_weights(), but no optimizer touches
    them. A batch is normalised as a whole, whatever its size; sample weights do not enter the moments.

    Args:
        momentum: of the moving averages, in [0, 1). Default 0.99.
        epsilon: > 0. Default 1e-3.
        scale: learn gamma. Default True.
        center: learn beta. Default True.

    Shapes:
        x (n, inputs), gamma, beta, moving_mean, moving_variance (inputs,) -> (n, inputs).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range.

    Example:
        >>> import fallline as fl
        >>> model = fl.Model([fl.Dense(8, use_bias=False), fl.BatchNormalization(), fl.Activation("relu"), fl.Dense(1)])

    References:
        Ioffe & Szegedy 2015.
    """

    def __init__(
        self, *, momentum: float = 0.99, epsilon: float = 1e-3, scale: bool = True, center: bool = True
    ) -> None:
        self._set(epsilon, scale, center)
        self.momentum = number("BatchNormalization", "momentum", momentum, low=0, below=1)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {"kind": "batch_normalization"} | self.get_config()

    @property
    def moving_mean(self) -> Array:
        """The means used outside training (inputs,): a copy; assign to change them."""
        return self.get_parameter("moving_mean")

    @moving_mean.setter
    def moving_mean(self, value: ArrayLike) -> None:
        self.set_parameter("moving_mean", value)

    @property
    def moving_variance(self) -> Array:
        """The variances used outside training (inputs,): a copy; assign to change them."""
        return self.get_parameter("moving_variance")

    @moving_variance.setter
    def moving_variance(self, value: ArrayLike) -> None:
        self.set_parameter("moving_variance", value)


class LayerNormalization(_Normalization):
    """(x − mean) / √(variance + epsilon)·gamma + beta, with the moments of each row over its columns.

    Args:
        epsilon: > 0. Default 1e-3.
        scale: learn gamma. Default True.
        center: learn beta. Default True.

    Shapes:
        x (n, inputs), gamma and beta (inputs,) -> (n, inputs).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: epsilon out of range.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> model = fl.Model([fl.Input(2), fl.LayerNormalization(epsilon=1e-9)], dtype="float64")
        >>> model.predict(np.array([[1.0, 5.0]])).round(6)
        array([[-1.,  1.]])

    References:
        Ba, Kiros & Hinton 2016.
    """

    def __init__(self, *, epsilon: float = 1e-3, scale: bool = True, center: bool = True) -> None:
        self._set(epsilon, scale, center)

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {"kind": "layer_normalization"} | self.get_config()
