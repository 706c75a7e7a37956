"""What all optimizers are."""

from __future__ import annotations

from typing import Any, ClassVar

from fallline.declaration import Declaration


class Optimizer(Declaration):
    """Base of optimizers: FirstOrder for those of single updates, Minimizer for those that see all rows at once."""

    name: ClassVar[str]
    # The share of the running average of the weights kept an update, where there is such an average.
    average: float | None = None

    def spec(self) -> dict[str, Any]:
        """Return what the core needs to know to make single updates; nothing, where there are none."""
        return {}
