"""The hand-written stub of the extension says what the extension has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from codebase.tree import ROOT

# pybind11's classes have a metaclass of its own
NOT_IN_THE_STUB = """
fallline._core.Fleet
fallline._core.Minimizer
fallline._core.Network
fallline._core.Reading
fallline._core.Sampler
fallline._core.StreamTrainer
fallline._core.Surface
fallline._core.Trainer
"""


def test_stub_matches_the_module(tmp_path):
    pytest.importorskip("mypy")
    allowed = tmp_path / "allowed"
    allowed.write_text(NOT_IN_THE_STUB)
    options = ["--allowlist", str(allowed), "--mypy-config-file", "pyproject.toml"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "fallline._core", *options],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": "python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
