"""What `fit` takes beyond data, weights and optimizer state: a fixed amount, never a copy of the data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_MEGABYTES = 32
# VmHWM, not ru_maxrss: the latter also remembers the process that started this one.
PROGRAM = """
import json
from pathlib import Path
from bench.cases import CASES
from bench.peers import Fallline

def peak_kilobytes():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

case = CASES["mnist"]
trained = Fallline(case, *case.data(), case.weights())
data = trained.x.nbytes + trained.y.nbytes
before = peak_kilobytes()
trained.train(1)
print(json.dumps({"data": data / 2**20, "fit": (peak_kilobytes() - before) / 2**10}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_fit_of_mnist_stays_small() -> None:
    root = Path(__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=True
    )
    megabytes = json.loads(run.stdout)
    print(f"fit of the mnist case: {megabytes['fit']:.1f} MB beyond {megabytes['data']:.0f} MB of data")
    assert megabytes["fit"] <= LIMIT_MEGABYTES
