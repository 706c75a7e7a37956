"""A loss written in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fallline.checks import flag, unmasked
from fallline.errors import message
from fallline.losses.loss import Loss

if TYPE_CHECKING:
    from fallline.typing import Array, Float64Array


class FunctionLoss(Loss):
    """A Python function of y_true and y_pred that returns what each row costs, and the gradient by y_pred.

    It may be given to compile() as it is: `model.compile("adam", loss=function)`. Weights of the rows and the reduction
    are not its business. A model with such a loss runs on one thread. A file holds the function by its name only:
    compile() again after load_model().

    Args:
        function: called with y_true and y_pred (n, outputs), returns (values (n,), gradients (n, outputs)).
        classes: y_true are integer classes (n,) instead of numbers (n, outputs). Default False.
        reduction: "mean" or "sum" over the rows. Default "mean".

    Raises:
        TypeError: function cannot be called; in fit(), an answer that is no pair of arrays.
        ValueError: in fit(), an answer of the wrong shape.

    Example:
        >>> import numpy as np
        >>> import fallline as fl
        >>> def fourth_power(y_true, y_pred):
        ...     error = y_pred - y_true
        ...     return (error**4).mean(axis=1), 4 * error**3 / error.shape[1]
        >>> model = fl.Model([fl.Dense(1)], seed=0)
        >>> model.compile("sgd", loss=fourth_power)
        >>> history = model.fit(np.ones((8, 2)), np.ones(8), epochs=3)
    """

    def __init__(
        self,
        function: Any,
        *,
        classes: bool = False,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__(reduction)
        if not callable(function) or isinstance(function, type):
            got = f"is {function!r}"
            raise TypeError(message("FunctionLoss", "function", got, "a function of y_true and y_pred"))
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)  # type: ignore[misc]
        self.classes = flag("FunctionLoss", "classes", classes)

    @property
    def takes_classes(self) -> bool:  # type: ignore[override]
        """Whether y_true are integer classes."""
        return self.classes

    @property
    def classifies(self) -> bool:  # type: ignore[override]
        """Whether y_true are integer classes; what other numbers are, they must tell themselves."""
        return self.classes

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know."""
        return {
            "name": self.name,
            "reduction": self.reduction,
            "loss": self,
            "takes_classes": self.classes,
        }

    def run(self, y_true: Array, y_pred: Array) -> tuple[Float64Array, Array]:
        """Call the function and check its answer; the core calls it."""
        answer = self.function(y_true, y_pred)
        if not isinstance(answer, tuple) or len(answer) != 2:
            got = f"is a {type(answer).__name__}"
            raise TypeError(
                message(
                    "FunctionLoss", f"answer of {self.name!r}", got, "(values (n,), gradients (n, outputs))"
                )
            )
        values, gradients = (
            unmasked("FunctionLoss", f"{what} of {self.name!r}", part)
            for what, part in zip(("values", "gradients"), answer, strict=True)
        )
        for what, part, shape in (("values", values, (len(y_pred),)), ("gradients", gradients, y_pred.shape)):
            if part.shape != shape:
                raise ValueError(
                    message(
                        "FunctionLoss", f"{what} of {self.name!r}", f"have shape {part.shape}", f"{shape}"
                    )
                )
            if part.dtype.kind not in "fiub":
                raise TypeError(
                    message("FunctionLoss", f"{what} of {self.name!r}", f"have dtype {part.dtype}", "numbers")
                )
        if np.isfinite(values).all() and not np.isfinite(gradients).all():
            raise ValueError(
                message("FunctionLoss", f"gradients of {self.name!r}", "are not finite", "finite numbers")
            )
        return np.ascontiguousarray(values, np.float64), np.ascontiguousarray(gradients, y_pred.dtype)
