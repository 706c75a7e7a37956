"""Where the files of the checkout are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CPP = ROOT / "cpp"
PACKAGE = ROOT / "python" / "fallline"


def files(folder: Path, *suffixes: str) -> list[Path]:
    """Files below the folder with one of the suffixes, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes)


def label(path: Path) -> str:
    """Path relative to the checkout, as the name of a test."""
    return path.relative_to(ROOT).as_posix()


def code(path: Path) -> str:
    """The C++ text without its comments, line numbers kept."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), path.read_text(), flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def files_with(pattern: str, folder: Path) -> set[str]:
    """C++ files below the folder whose code matches the pattern."""
    return {label(path) for path in files(folder, ".h", ".cpp") if re.search(pattern, code(path))}
