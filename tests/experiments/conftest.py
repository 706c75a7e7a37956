"""What the examples print, each run once."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from typing import NamedTuple

import pytest

from codebase.tree import ROOT

NUMBER = r"-?(?:\d[\d.,]*(?:e[+-]\d+)?|inf)"
ROW = re.compile(rf"(\S+(?: \S+)*)\s+({NUMBER}(?:\s+{NUMBER})+)")
LARGE = {"mnist_settings"}  # the others would wait for a second thread more than it helps, on a busy machine


class Printed(NamedTuple):
    """The table that an example prints, by the names of its rows, and all of it."""

    rows: dict[str, list[float]]
    text: str


@pytest.fixture(scope="session")
def printed(tmp_path_factory):
    """A function of an example's name: runs it, once a session, and returns what it printed."""

    @functools.cache
    def run(name, *options):
        done = subprocess.run(
            [sys.executable, "-W", "error", str(ROOT / "docs/examples" / f"{name}.py"), *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=os.environ if name in LARGE else {**os.environ, "FALLLINE_NUM_THREADS": "1"},
            cwd=tmp_path_factory.mktemp(name),
        )
        assert done.returncode == 0, done.stderr
        found = filter(None, map(ROW.fullmatch, done.stdout.splitlines()))
        rows = {row[1]: [float(number.replace(",", "")) for number in row[2].split()] for row in found}
        return Printed(rows, done.stdout)

    return run
