"""What all optimizers are."""

from __future__ import annotations

import copy
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

from fallline.declaration import Declaration

if TYPE_CHECKING:
    from typing_extensions import Self


class Optimizer(Declaration):
    """Base of optimizers: FirstOrder for those of single updates, Minimizer for those that see all rows at once."""

    name: ClassVar[str]
    # The share of the running average of the weights kept an update, where there is such an average.
    average: float | None = None
    # The model that learns by this object; no other living one may, or a rate assigned for one would be both's.
    _model: weakref.ref[Any]

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know to make single updates; nothing, where there are none."""
        return {}

    def anew(self) -> Self:
        """Return an optimizer declared alike, which has learned nothing and is nobody's."""
        return copy.copy(self)

    def taken_by(self, model: object) -> Self:
        """Return this object for a model to learn by, or one declared alike where another living model does."""
        mine = weakref.ref(model)
        other = vars(self).setdefault("_model", mine)()  # of two threads one is the first
        if other is not None and other is not model:
            return self.anew().taken_by(model)
        self._model = mine
        return self

    def left_by(self, model: object) -> None:
        """Take note that a model learns by another optimizer from now on."""
        held = vars(self).get("_model")
        if held is not None and held() is model:
            del self._model

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_model"}
