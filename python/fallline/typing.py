"""Names of array types, for annotations only: numpy.typing takes a third of the time to import all of this."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Float64Array = NDArray[np.float64]
# What a model is saved to and loaded from.
Writable = str | os.PathLike[str] | bytearray | BinaryIO
Readable = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
FloatArray = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["Array", "ArrayLike", "Float64Array", "FloatArray", "Readable", "Writable"]
