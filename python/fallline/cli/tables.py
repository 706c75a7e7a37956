"""CSV files as data sets: columns found by name, every cell a number but the target's."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from fallline.cli.arrays import Dataset, Rows
from fallline.cli.files import UNPACKING, is_packed
from fallline.cli.tasks import ALONE, Kind, is_number, text_among_numbers
from fallline.errors import message, unknown

_MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?"})
_UNNAMED = ("", "Unnamed: 0")  # an index, as pandas writes it, and reads it again
_CODE = re.compile(r"[+-]?(0\d|\d{16})")  # digits that a number would lose
_ROWS_AT_ONCE = 8192  # rows held as text before they become numbers


def read_csv(
    path: Path,
    target: str | None,
    kind: Kind | None = None,
    *,
    columns: Sequence[str] | None = None,
    may_lack_answers: bool = False,
) -> Dataset:
    """Read a CSV file, plain or .gz, separated by commas, semicolons or tabs; blank lines are passed over.

    A first row without any number in it, or with one of the names asked for, names the columns; without one
    they are "0", "1", ...

    Args:
        path: The file.
        target: The column to learn.
        kind: What the target is; told from it by default.
        columns: The columns to read, in this order; all but the target, and an index without a name, by default.
        may_lack_answers: The target may be absent, or have gaps.

    Raises:
        ValueError: A column is missing or holds text, a cell is empty, a row is too long or too short.
    """
    try:
        with _open(path) as file:
            return _read(path, file, target, kind, columns, may_lack_answers=may_lack_answers)
    except (UnicodeDecodeError, csv.Error, *UNPACKING) as error:
        raise ValueError(message(str(path), "file", f"cannot be read ({error})", "CSV in UTF-8")) from None


def _open(path: Path) -> TextIO:
    if is_packed(path):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _lines(file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is not blank, and its number."""
    reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
    for row in reader:
        if len(row) > 1 or any(cell.strip() for cell in row):
            yield reader.line_num, row


def _delimiter(file: TextIO) -> str:
    """What cuts the first lines into the same number of cells, the most; or else the first line into the most."""

    def widths(delimiter: str) -> tuple[bool, int]:
        file.seek(0)
        found = [len(row) for _, row in islice(_lines(file, delimiter), 5)] or [0]
        return len(set(found)) == 1 and found[0] > 1, found[0]

    best = max(",;\t", key=widths)
    file.seek(0)
    return best


def _read(
    path: Path,
    file: TextIO,
    target: str | None,
    kind: Kind | None,
    columns: Sequence[str] | None,
    *,
    may_lack_answers: bool,
) -> Dataset:
    lines = _lines(file, _delimiter(file))
    number, first = next(lines, (0, []))
    first = [cell.strip() for cell in first]
    if not first:
        raise ValueError(message(str(path), "file", "is empty", "the names of the columns, and rows below"))
    has_header = _is_header(first, [*(columns or ()), *([] if target is None else [target])])
    names = first if has_header else [str(i) for i in range(len(first))]
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise ValueError(message(str(path), "columns", f"hold {repeated[0]!r} twice", "different names"))

    has_index = has_header and names[0] in _UNNAMED and names[0] != target
    wanted = columns or [name for name in names[has_index:] if name != target]
    if columns and not has_header and len(names) == len(columns):
        names = list(columns)  # a bare table of just these columns
    for name in wanted if may_lack_answers or target is None else [target, *wanted]:
        if name not in names:
            raise unknown(str(path), "column", name, names)
    if not wanted:
        raise ValueError(message(str(path), "columns", f"are {target!r} alone", "others to predict it from"))

    table = _Table(path, names, wanted, target if target in names else None, may_have_gaps=may_lack_answers)
    if not has_header:
        table.add(first, number)
    for number, row in lines:
        table.add(row, number)
    name = re.sub(r"\.csv(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    return Dataset(name, table.finish(kind), columns=tuple(wanted), target=target, has_index=has_index)


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
        self._answered: list[int] = []  # their lines

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
            self._answered.append(line)
        if len(self._cells) == _ROWS_AT_ONCE:
            self._convert()

    def finish(self, kind: Kind | None) -> Rows:
        """The features, and the target as numbers if all are, otherwise as text, or None if it has gaps."""
        if self._cells:
            self._convert()
        if not self._blocks:
            raise ValueError(message(str(self._path), "rows", "are missing", "one at least below the names"))
        x = np.concatenate(self._blocks)
        if not self._answers or any(answer.lower() in _MISSING for answer in self._answers):
            return Rows(x, None)
        if not all(map(is_number, self._answers)) or any(map(_CODE.match, self._answers)):
            text = np.array(self._answers)
            if (row := text_among_numbers(text, kind)) is not None:
                raise self._error(self._answered[row], str(self._target), self._answers[row], ALONE)
            return Rows(x, text)
        y: NDArray[Any] = np.array(self._answers, dtype=np.float64)
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
                if not is_number(cell):
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
    is_named = any(name in row and not is_number(name) for name in names)
    return is_named or not any(is_number(cell) for cell in row)
