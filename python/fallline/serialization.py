"""Models as safetensors files: a JSON header and plain arrays, nothing that could run.

The format: 8 bytes, little-endian, give the length of the JSON header; it tells the dtype, shape and place of
each array in the bytes that follow, and free text under "__metadata__". Any safetensors reader opens the
weights.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import Array


DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
METADATA = "__metadata__"
KEY = "fallline"
LARGEST_HEADER = 100_000_000


def write(path: str | os.PathLike[str], description: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a file that is complete or not there: beside its place, then renamed.

    Raises:
        TypeError: the description holds something that JSON does not.
        OSError: the place cannot be written.
    """
    try:
        text = json.dumps(description)
    except TypeError as error:
        raise TypeError(
            message("Model.save", "metadata", f"cannot be written ({error})", "what JSON holds")
        ) from None
    header: dict[str, Any] = {METADATA: {"format": "np", KEY: text}}
    place = 0
    plain = {name: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for name, a in arrays.items()}
    for name, array in plain.items():
        entry = {
            "dtype": NAMES[array.dtype],
            "shape": array.shape,
            "data_offsets": (place, place + array.nbytes),
        }
        header[name] = entry
        place += array.nbytes
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)

    from pathlib import Path

    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(struct.pack("<Q", len(head)))
            file.write(head)
            for array in plain.values():
                file.write(array.data if array.size else b"")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the description and the arrays of a file that write() wrote.

    Raises:
        ValueError: the file is cut short, damaged, or no model of fallline.
        OSError: the file cannot be read.
    """
    from pathlib import Path

    blob = Path(path).read_bytes()
    try:
        header, body = _header(blob)
        arrays = {name: _array(entry, body) for name, entry in header.items() if name != METADATA}
        metadata = header.get(METADATA)
        _require(
            isinstance(metadata, dict) and isinstance(metadata.get(KEY), str),
            "it describes no model of fallline",
        )
        description = json.loads(header[METADATA][KEY])
        _require(isinstance(description, dict), "its description is no JSON object")
    except (ValueError, RecursionError) as error:
        expected = "a whole safetensors file written by Model.save"
        raise ValueError(
            message("load_model", "path", f"is {os.fspath(path)!r}, and {error}", expected)
        ) from None
    return description, arrays


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _header(blob: bytes) -> tuple[dict[str, Any], memoryview]:
    _require(len(blob) >= 8, f"it has {len(blob)} bytes")
    (length,) = struct.unpack_from("<Q", blob)
    fits = length <= min(len(blob) - 8, LARGEST_HEADER)
    _require(fits, f"its header is {length} bytes long in a file of {len(blob)}")
    header = json.loads(blob[8 : 8 + length].decode())
    _require(isinstance(header, dict), "its header is no JSON object")
    body = memoryview(blob)[8 + length :]
    place = 0
    for start, stop in sorted(_extent(entry) for name, entry in header.items() if name != METADATA):
        _require(
            start == place and stop >= start, f"an array is said to take the bytes from {start} to {stop}"
        )
        place = stop
    _require(place == len(body), f"its arrays take {place} bytes where {len(body)} are")
    return header, body


def _extent(entry: Any) -> tuple[int, int]:
    offsets: Any = entry.get("data_offsets") if isinstance(entry, dict) else None
    _require(_naturals(offsets) and len(offsets) == 2, f"an array is described by {entry!r}")
    return offsets[0], offsets[1]


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(i) is int and i >= 0 for i in values)


def _array(entry: Any, body: memoryview) -> Array:
    start, stop = _extent(entry)
    shape = entry.get("shape")
    _require(entry.get("dtype") in DTYPES and _naturals(shape), f"an array is described by {entry!r}")
    dtype = DTYPES[entry["dtype"]]
    right = stop - start == math.prod(shape) * dtype.itemsize
    _require(right, f"an array of shape {shape} is said to take {stop - start} bytes")
    array: Array = np.frombuffer(body[start:stop], dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
