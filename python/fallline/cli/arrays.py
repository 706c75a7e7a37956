"""Data sets as arrays: the bundled digits, IDX files (the format of MNIST) and .npz archives."""

from __future__ import annotations

import gzip
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.cli.files import UNPACKING, is_packed
from fallline.cli.tasks import Kind
from fallline.errors import message
from fallline.extras import require

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True)
class Rows:
    """Rows of numbers (n, columns), uint8 where they are pixels, and what is to be learned from each (n,)."""

    x: NDArray[Any]
    y: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def answers(self) -> NDArray[Any]:
        """The targets (n,), numbers or text; ValueError where the data has none."""
        if self.y is None:
            raise ValueError(message("train", "data", "has no labels", "one for each row"))
        return self.y

    def take(self, indices: NDArray[np.intp]) -> Rows:
        """The rows at the indices, as copies."""
        return Rows(self.x[indices], self.answers[indices])


@dataclass(frozen=True)
class Dataset:
    """Rows to learn from, rows to test on where the data sets some apart, and names where it has any."""

    name: str
    train: Rows
    test: Rows | None = None
    kind: Kind | None = None  # where the format tells what its labels mean
    columns: tuple[str, ...] | None = None
    target: str | None = None
    has_index: bool = False  # a first column without a name, which is in no row

    def __post_init__(self) -> None:
        if self.test is not None and self.test.x.shape[1] != self.train.x.shape[1]:
            got, expected = f"have shape {self.test.x.shape}", f"(*, {self.train.x.shape[1]}) as for training"
            raise ValueError(message(self.name, "test rows", got, expected))


def read_digits() -> Dataset:
    """1797 scans of handwritten digits, 8 x 8 pixels of 0 to 16, every fifth one kept for the test."""
    datasets = require("sklearn.datasets", "demo", "train")
    images, labels = datasets.load_digits(return_X_y=True)
    digits = Rows(images.astype(np.uint8), labels)
    test, train = np.split(np.random.default_rng(0).permutation(len(digits)), [len(digits) // 5])
    return Dataset("digits", digits.take(train), digits.take(test), kind="classification")


def read_idx_folder(folder: Path) -> Dataset:
    """Images and labels named as in MNIST, plain or .gz: train-images..., train-labels..., t10k-... or test-..."""
    train = _find_idx(folder, "train")
    test = _find_idx(folder, "t10k") or _find_idx(folder, "test")
    if train is None:
        train, test = test, None
    if train is None:
        raise ValueError(
            message(str(folder), "folder", "holds no IDX files", "train-images... and train-labels...")
        )
    return Dataset(folder.resolve().name, train, test, kind="classification")


def _find_idx(folder: Path, part: str) -> Rows | None:
    images, labels = (_find_one(folder, f"{part}-{kind}") for kind in ("images", "labels"))
    if images is None:
        return None
    return _rows(str(images), read_idx(images), None if labels is None else read_idx(labels))


def _find_one(folder: Path, stem: str) -> Path | None:
    """The one file of that stem; an unpacked one before its .gz."""
    found = sorted(path for path in folder.glob(f"*{stem}*") if path.is_file())
    found = [path for path in found if not is_packed(path)] or found
    if len(found) > 1:
        raise ValueError(
            message(str(folder), stem, f"is {' and '.join(path.name for path in found)}", "one file")
        )
    return found[0] if found else None


def read_idx(path: Path) -> NDArray[Any]:
    """The array that an IDX file holds."""
    try:
        content = gzip.decompress(path.read_bytes()) if is_packed(path) else path.read_bytes()
    except UNPACKING as error:
        raise ValueError(message(str(path), "file", f"is damaged ({error})", "gzip")) from None
    # The header: two zero bytes, the element type, the number of axes, then each axis as a big-endian uint32.
    start = 4 + 4 * content[3] if len(content) > 3 else 4
    is_idx = len(content) >= start > 4 and content[:2] == b"\0\0" and content[2] in _IDX_TYPES
    if not is_idx:
        raise ValueError(message(str(path), "file", f"starts with {content[:4]!r}", "an IDX file"))
    dtype = np.dtype(_IDX_TYPES[content[2]])
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], ">u4"))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            message(str(path), "file", f"has {len(content)} bytes", f"{expected} for shape {shape}")
        )
    return (
        np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    )


def read_npz(path: Path) -> Dataset:
    """The arrays X, y or x_train, y_train, x_test, y_test of an .npz archive, in upper or lower case."""
    if not zipfile.is_zipfile(path):
        raise ValueError(message(str(path), "file", "is not a zip archive", "an .npz of plain arrays"))
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name.lower(): archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy have many for damaged files
        raise ValueError(
            message(str(path), "file", f"cannot be read ({error})", "an .npz of plain arrays")
        ) from None

    def part(x: str, y: str) -> Rows | None:
        return _rows(f"{path}, {x}", arrays[x], arrays.get(y)) if x in arrays else None

    train = part("x_train", "y_train") or part("x", "y")
    test = part("x_test", "y_test")
    if train is None:
        train, test = test, None
    if train is None:
        names = ", ".join(arrays) or "nothing"
        raise ValueError(message(str(path), "archive", f"holds {names}", "X and y, or x_train and y_train"))
    return Dataset(path.stem, train, test)


def _rows(operation: str, x: NDArray[Any], y: NDArray[Any] | None) -> Rows:
    """Flatten x to (n, columns) and y to (n,), and check every number to be finite."""
    if x.ndim < 2 or x.size == 0:
        raise ValueError(
            message(operation, "data", f"has shape {x.shape}", "(rows, columns), neither of them 0")
        )
    if x.dtype.kind not in "biuf":
        raise ValueError(message(operation, "data", f"has dtype {x.dtype}", "numbers"))
    x = x.reshape(len(x), -1)
    if x.dtype not in (np.uint8, np.float32, np.float64):
        x = x.astype(np.float64)
    _require_finite(operation, "data", x)
    if y is not None:
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if y.dtype.kind not in "biufSU":
            raise ValueError(message(operation, "labels", f"have dtype {y.dtype}", "numbers or text"))
        y = np.char.decode(y, "utf-8") if y.dtype.kind == "S" else y
        if y.shape != (len(x),):
            raise ValueError(
                message(operation, "labels", f"have shape {y.shape}", f"({len(x)},), one for each row")
            )
        _require_finite(operation, "labels", y)
    return Rows(x, y)


def _require_finite(operation: str, argument: str, array: NDArray[Any]) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = f"{argument} at row {at[0]}" + "".join(f", column {i}" for i in at[1:])
        raise ValueError(message(operation, where, f"is {array[at]}", "a finite number"))
