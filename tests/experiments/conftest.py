"""What the examples print, each run once."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from codebase.tree import ROOT

NUMBER = r"-?(?:\d[\d.,]*(?:e[+-]\d+)?|inf)"
ROW = re.compile(rf"(\S+(?: \S+)*)\s+({NUMBER}(?:\s+{NUMBER})+)")
LARGE = {"mnist_settings"}  # the others would wait for a second thread more than it helps, on a busy machine


class Printed(NamedTuple):
    """The table that an example prints, by the names of its rows, and all of it; where it drew, if it can."""

    rows: dict[str, list[float]]
    text: str
    picture: Path


@pytest.fixture(scope="session")
def printed(tmp_path_factory):
    """A function of an example's name: runs it, once a session, and returns what it printed."""

    @functools.cache
    def run(name):
        script, picture = ROOT / "docs/examples" / f"{name}.py", tmp_path_factory.mktemp(name) / "drawn.png"
        draws = "--picture" in script.read_text() and importlib.util.find_spec("matplotlib")
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script), *(["--picture", str(picture)] if draws else [])],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            cwd=picture.parent,
            env=os.environ if name in LARGE else {**os.environ, "FALLLINE_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        found = filter(None, map(ROW.fullmatch, done.stdout.splitlines()))
        rows = {row[1]: [float(number.replace(",", "")) for number in row[2].split()] for row in found}
        return Printed(rows, done.stdout, picture)

    return run
