"""The hand-written stub of the extension says what the extension has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from codebase.tree import ROOT


def test_stub_matches_the_module():
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "fallline._core", "--mypy-config-file", "pyproject.toml"],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": "python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
