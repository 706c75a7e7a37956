"""Models as safetensors files: a JSON header and plain arrays, nothing that could run.

The format: 8 bytes, little-endian, give the length of the JSON header; it tells the dtype, shape and place of
each array in the bytes that follow, and free text under "__metadata__". Any safetensors reader opens the
weights.
"""

from __future__ import annotations

import io
import json
import math
import os
import reprlib
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fallline import files
from fallline.checks import file_path
from fallline.declaration import brief
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.typing import Array, Readable, Writable


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
# What comes of values that are not what they should be.
DAMAGED = (ArithmeticError, AttributeError, EOFError, LookupError, RecursionError, TypeError, ValueError)
AT_ONCE = 1 << 24  # bytes: what a damaged file claims to hold is not asked for in one piece


def write(path: Writable, description: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a file that is complete or not there, or into a buffer.

    Raises:
        TypeError: no path or buffer, or the description holds something that JSON does not.
        OSError: the place cannot be written.
    """
    place = _checked("Model.save", path, "write", bytearray)
    parts = _parts(description, arrays)
    if isinstance(place, bytearray):
        place[:] = b"".join(parts)
    elif isinstance(place, str):
        with files.replacing(place) as file:
            _pour(parts, file)
    else:
        _pour(parts, place)


def _checked(operation: str, path: Any, method: str, *plain: type) -> Any:
    """Return a path as a string, a buffer as it is."""
    if isinstance(path, plain) or (hasattr(path, method) and not isinstance(path, str | os.PathLike)):
        if isinstance(path, io.TextIOBase):
            got = f"is a {type(path).__name__}, for text"
            raise TypeError(message(operation, "path", got, f"a path, or a buffer to {method} bytes"))
        return path
    return file_path(operation, "path", path)


def _parts(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[bytes | memoryview]:
    """Return the pieces of the file; arrays are not copied."""
    try:
        text = json.dumps(description, default=_of_python)
    except TypeError as error:
        raise TypeError(
            message("Model.save", "metadata", f"cannot be written ({error})", "what JSON holds")
        ) from None
    header: dict[str, Any] = {METADATA: {"format": "np", KEY: text}}
    place = 0
    plain = {name: np.asarray(a, a.dtype.newbyteorder("<"), order="C") for name, a in arrays.items()}
    for name, array in plain.items():
        if array.dtype not in NAMES:
            got = f"has dtype {array.dtype}"
            raise TypeError(message("Model.save", name, got, f"one of {', '.join(map(str, NAMES))}"))
        entry = {
            "dtype": NAMES[array.dtype],
            "shape": array.shape,
            "data_offsets": (place, place + array.nbytes),
        }
        header[name] = entry
        place += array.nbytes
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return [struct.pack("<Q", len(head)), head, *(a.reshape(-1).view(np.uint8).data for a in plain.values())]


def _pour(parts: list[bytes | memoryview], file: Any) -> None:
    """Write everything, also to files that take only some of it at a time."""
    for part in parts:
        rest = memoryview(part)
        while rest:
            written = file.write(rest)
            rest = rest[len(rest) if written is None else written :]


def _of_python(value: Any) -> Any:
    """Return what JSON holds for a scalar of NumPy."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"an object of type {type(value).__name__}")


def read(path: Readable) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the description and the arrays that write() wrote.

    Raises:
        TypeError: no path, buffer or bytes.
        ValueError: the file is cut short, damaged, or no model of fallline.
        OSError: the file cannot be read.
    """
    place = _checked("load_model", path, "read", bytes, bytearray, memoryview)
    with suspicion(place, "it cannot be read"), _opened(place) as file:
        header, size = _header(file)
        metadata = header.pop(METADATA, None)
        known = isinstance(metadata, dict) and isinstance(metadata.get(KEY), str)
        _require(known, "it describes no model of fallline")
        description = json.loads(metadata[KEY])
        _require(isinstance(description, dict), "its description is no JSON object")
        body = memoryview(_taken(file, size))
        _require(len(body) == size, f"its arrays take {size} bytes where {len(body)} are")
        return description, {name: _array(entry, body) for name, entry in header.items()}


@contextmanager
def suspicion(path: Readable, otherwise: str) -> Iterator[None]:
    """Say in one sentence what is wrong with a file, whatever it is."""
    try:
        yield
    except DAMAGED as error:
        where = repr(os.fspath(path)) if isinstance(path, str | os.PathLike) else f"a {type(path).__name__}"
        got = f"is {where}, and {otherwise} ({brief(str(error), 400)})"
        raise ValueError(message("load_model", "path", got, "what Model.save has written, whole")) from error


@contextmanager
def _opened(path: Any) -> Iterator[BinaryIO]:
    """Open a path or bytes, which must hold nothing else; a file that is open may go on with other things."""
    if hasattr(path, "read"):
        yield path
        return
    from pathlib import Path

    with Path(path).open("rb") if isinstance(path, str) else io.BytesIO(path) as file:
        yield file
        _require(not file.read(1), "it goes on where its arrays end")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _taken(file: BinaryIO, size: int) -> bytearray:
    """Read so many bytes, or fewer where the file ends."""
    content = bytearray()
    while len(content) < size and (part := file.read(min(size - len(content), AT_ONCE))):
        content += part
    return content


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return what the file tells of its arrays, and how many bytes they take; reads no further than it must."""
    start = _taken(file, 9)
    _require(len(start) == 9, f"it has {len(start)} bytes")
    (length,) = struct.unpack_from("<Q", start)
    _require(start[8:] == b"{" and 2 <= length <= LARGEST_HEADER, f"it begins with {bytes(start)!r}")
    text = start[8:] + _taken(file, length - 1)
    _require(len(text) == length, f"its header takes {length} bytes where {len(text)} are")
    header = json.loads(text.decode())
    _require(isinstance(header, dict), "its header is no JSON object")
    place = 0
    for first, last in sorted(_extent(entry) for name, entry in header.items() if name != METADATA):
        _require(first == place <= last, f"an array is said to take the bytes from {first} to {last}")
        place = last
    return header, place


def _extent(entry: Any) -> tuple[int, int]:
    offsets: Any = entry.get("data_offsets") if isinstance(entry, dict) else None
    _require(_naturals(offsets) and len(offsets) == 2, f"an array is described by {reprlib.repr(entry)}")
    return offsets[0], offsets[1]


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(i) is int and 0 <= i < 2**63 for i in values)


def _array(entry: Any, body: memoryview) -> Array:
    start, stop = _extent(entry)
    shape, name = entry.get("shape"), entry.get("dtype")
    known = isinstance(name, str) and name in DTYPES and _naturals(shape)
    _require(known, f"an array is described by {reprlib.repr(entry)}")
    dtype = DTYPES[name]
    right = stop - start == math.prod(shape) * dtype.itemsize
    _require(right, f"an array of shape {reprlib.repr(shape)} is said to take {stop - start} bytes")
    array: Array = np.frombuffer(body[start:stop], dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
