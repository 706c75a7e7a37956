"""Names of array types, for annotations only: numpy.typing takes a third of the time to import all of this."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Float64Array = NDArray[np.float64]
FloatArray = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["Array", "ArrayLike", "Float64Array", "FloatArray"]
