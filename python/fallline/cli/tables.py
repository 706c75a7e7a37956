"""CSV files as data sets: columns found by name, every cell a number but the target's."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from fallline.cli.arrays import Dataset, Rows
from fallline.errors import message, unknown

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
_ROWS_AT_ONCE = 8192  # rows held as text before they become numbers


def read_csv(path: Path, target: str | None, columns: Sequence[str] | None = None) -> Dataset:
    """Read a CSV file, plain or .gz, separated by commas, semicolons or tabs.

    A first row without any number in it, or with one of the names asked for, names the columns; without one
    they are "0", "1", ...

    Args:
        path: The file.
        target: The column to learn; may be absent, or have gaps, when `columns` is given.
        columns: The columns to read, in this order; all but the target by default.

    Raises:
        ValueError: A column is missing or holds text, a cell is empty, a row is too long or too short.
    """
    try:
        with _open(path) as file:
            return _read(path, file, target, columns)
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(message(str(path), "file", f"cannot be read ({error})", "CSV in UTF-8")) from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _read(path: Path, file: TextIO, target: str | None, columns: Sequence[str] | None) -> Dataset:
    first_line = file.readline()
    file.seek(0)
    reader = csv.reader(file, delimiter=max(",;\t", key=first_line.count), skipinitialspace=True)
    first = [cell.strip() for cell in next(reader, [])]
    if not first:
        raise ValueError(message(str(path), "file", "starts with an empty line", "the names of the columns"))
    has_header = _is_header(first, [*(columns or ()), *([] if target is None else [target])])
    names = first if has_header else [str(i) for i in range(len(first))]
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise ValueError(message(str(path), "columns", f"hold {repeated[0]!r} twice", "different names"))

    wanted = columns or [name for name in names if name != target]
    if columns and not has_header and len(names) == len(columns):
        names = list(columns)  # a bare table of just these columns
    for name in wanted if columns or target is None else [target, *wanted]:
        if name not in names:
            raise unknown(str(path), "column", name, names)
    if not wanted:
        raise ValueError(message(str(path), "columns", f"are {target!r} alone", "others to predict it from"))

    table = _Table(
        path, names, wanted, target if target in names else None, may_have_gaps=columns is not None
    )
    if not has_header:
        table.add(first, 1)
    for row in reader:
        if row:
            table.add(row, reader.line_num)
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    return Dataset(name, table.finish(), columns=tuple(wanted), target=target)


class _Table:
    """Rows of text on their way to arrays, a block at a time."""

    def __init__(
        self,
        path: Path,
        names: Sequence[str],
        wanted: Sequence[str],
        target: str | None,
        *,
        may_have_gaps: bool,
    ) -> None:
        self._path, self._wanted, self._target = path, wanted, target
        self._width = len(names)
        self._at_wanted = [names.index(name) for name in wanted]
        self._at_target = None if target is None else names.index(target)
        self._may_have_gaps = may_have_gaps
        self._cells: list[list[str]] = []
        self._lines: list[int] = []
        self._blocks: list[NDArray[np.float64]] = []
        self._answers: list[str] = []

    def add(self, row: Sequence[str], line: int) -> None:
        if len(row) != self._width:
            raise ValueError(
                message(str(self._path), f"line {line}", f"has {len(row)} cells", str(self._width))
            )
        self._cells.append([row[i] for i in self._at_wanted])
        self._lines.append(line)
        if self._at_target is not None:
            answer = row[self._at_target].strip()
            if answer.lower() in _MISSING and not self._may_have_gaps:
                raise self._error(line, str(self._target), answer, "a value to learn")
            self._answers.append(answer)
        if len(self._cells) == _ROWS_AT_ONCE:
            self._convert()

    def finish(self) -> Rows:
        """The features, and the target as numbers if all are, otherwise as text, or None if it has gaps."""
        if self._cells:
            self._convert()
        if not self._blocks:
            raise ValueError(message(str(self._path), "rows", "are missing", "one at least below the names"))
        x = np.concatenate(self._blocks)
        if not self._answers or any(answer.lower() in _MISSING for answer in self._answers):
            return Rows(x, None)
        try:
            y: NDArray[Any] = np.array(self._answers, dtype=np.float64)
        except ValueError:
            return Rows(x, np.array(self._answers))
        if not np.isfinite(y).all():
            raise ValueError(
                message(str(self._path), f"column {self._target!r}", "holds inf", "finite numbers")
            )
        return Rows(x, y)

    def _convert(self) -> None:
        try:
            block = np.array(self._cells, dtype=np.float64)
        except ValueError:
            block = np.array([[np.nan]])
        if not np.isfinite(block).all():
            raise self._first_bad_cell()
        self._blocks.append(block)
        self._cells, self._lines = [], []

    def _first_bad_cell(self) -> ValueError:
        for row, line in zip(self._cells, self._lines, strict=True):
            for cell, name in zip(row, self._wanted, strict=True):
                if cell.strip().lower() in _MISSING:
                    return self._error(line, name, cell, "a number: fill in or drop what is missing")
                if not _is_number(cell):
                    return self._error(
                        line, name, cell, "a number: drop the column, or code its text as numbers"
                    )
                if not np.isfinite(float(cell)):
                    return self._error(line, name, cell, "a finite number")
        raise AssertionError("every cell of the block is a finite number")

    def _error(self, line: int, column: str, cell: str, expected: str) -> ValueError:
        return ValueError(
            message(str(self._path), f"line {line}, column {column!r}", f"is {cell!r}", expected)
        )


def _is_header(row: Sequence[str], names: Sequence[str]) -> bool:
    is_named = any(name in row and not _is_number(name) for name in names)
    return is_named or not any(_is_number(cell) for cell in row)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
