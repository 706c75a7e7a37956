"""Fixtures shared by all tests: threads put back, small data, MNIST, scripts in a process of their own."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import fallline as fl

for name in fl.__all__:  # some are imported when they are asked for
    getattr(fl, name)


@pytest.fixture(autouse=True)
def default_threads():
    """Every test starts and ends with the default number of threads."""
    fl.set_num_threads(None)
    yield
    fl.set_num_threads(None)


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)


@pytest.fixture
def blobs(rng):
    """(X, y): 200 points of 4 classes in 8 dimensions, float32, easy to tell apart."""
    y = rng.integers(0, 4, 200)
    x = rng.normal(size=(200, 8)) + 3 * np.eye(4, 8)[y]
    return x.astype(np.float32), y


@pytest.fixture(scope="session")
def mnist():
    """The four MNIST arrays: 60000 and 10000 images as rows of 784 bytes, and their digits."""
    root = os.environ.get("FALLLINE_DATA")
    if root is None:
        pytest.skip("FALLLINE_DATA names no folder; MNIST is read from its mnist/ subfolder")
    folder = Path(root) / "mnist"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")

    def read(name, header):
        return np.frombuffer(gzip.decompress((folder / name).read_bytes()), dtype=np.uint8, offset=header)

    return (
        read("train-images-idx3-ubyte.gz", 16).reshape(-1, 784),
        read("train-labels-idx1-ubyte.gz", 8),
        read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784),
        read("t10k-labels-idx1-ubyte.gz", 8),
    )


@pytest.fixture
def run_script(tmp_path):
    """Run Python source in a new process and return what it printed; anything but success fails the test."""

    def run(source, *, env=None, timeout=120):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source)],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
