"""Paths given on the command line."""

from __future__ import annotations

import argparse
import gzip
import zlib
from pathlib import Path

from fallline import files
from fallline.errors import message

UNPACKING = (EOFError, gzip.BadGzipFile, zlib.error)  # what a damaged .gz raises


def add_force(parser: argparse._ActionsContainer) -> None:
    """Declare the option without which no file is overwritten."""
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")


def checked_input(command: str, argument: str, path: Path) -> Path:
    """The path of a file or folder to read; ValueError where there is none."""
    if not path.expanduser().exists():
        raise ValueError(message(command, argument, f"is {str(path)!r}", "a file or folder that exists"))
    return path.expanduser()


def checked_output(command: str, path: Path, suffix: str, *, force: bool) -> Path:
    """The path of a file to write; ValueError, before any work is done, where it could not be, or only over another."""
    place = path.expanduser()

    def refuse(expected: str) -> ValueError:
        return ValueError(message(command, "--output", f"is {str(path)!r}", expected))

    if place.suffix != suffix:
        raise refuse(f"a name that ends in {suffix}")
    if place.is_dir() or not place.parent.is_dir():
        raise refuse("a file in a folder that exists")
    if place.is_file() and not force:
        raise refuse("a file that does not exist, or --force to overwrite it")
    try:
        files.check_place(place)
    except OSError as error:
        raise refuse(f"a place that can be written to ({error.strerror})") from None
    return place


def is_table(path: Path) -> bool:
    """Whether the name of a file says CSV."""
    return path.name.lower().endswith((".csv", ".csv.gz"))


def is_packed(path: Path) -> bool:
    """Whether the name of a file says gzip."""
    return path.suffix.lower() == ".gz"


def is_archive(path: Path) -> bool:
    """Whether the name of a file says .npz."""
    return path.suffix.lower() == ".npz"
