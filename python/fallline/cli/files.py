"""Paths given on the command line, and files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fallline.errors import message


def checked_input(command: str, argument: str, path: Path) -> Path:
    """The path of a file or folder to read; ValueError where there is none."""
    if not path.exists():
        raise ValueError(message(command, argument, f"is {str(path)!r}", "a file or folder that exists"))
    return path


def checked_output(command: str, path: Path, suffix: str) -> Path:
    """The path of a file to write; ValueError, before any work is done, where it could not be written."""
    if path.suffix != suffix:
        raise ValueError(message(command, "--output", f"is {str(path)!r}", f"a name that ends in {suffix}"))
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(message(command, "--output", f"is {str(path)!r}", "a file in a folder that exists"))
    if not os.access(path.parent, os.W_OK):
        raise ValueError(message(command, "--output", f"is {str(path)!r}", "a folder that can be written to"))
    return path


def is_table(path: Path) -> bool:
    """Whether the name of a file says CSV."""
    return path.name.lower().endswith((".csv", ".csv.gz"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which becomes `path` at the end, or is removed if anything raises."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
