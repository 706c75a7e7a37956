"""`import fallline` is light: NumPy, itself, and what is small in the standard library."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "asyncio",
    "concurrent",
    "ctypes",
    "http",
    "multiprocessing",
    "sqlite3",
    "ssl",
    "unittest",
    "urllib",
    "xml",
}
BEYOND_NUMPY = """
import sys
import numpy
before = set(sys.modules)
import fallline
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_import_brings_in_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", BEYOND_NUMPY], capture_output=True, text=True, check=True)
    new = set(done.stdout.split())
    assert "fallline" in new
    assert {name for name in new if name not in sys.stdlib_module_names} == {"fallline"}
    assert new & HEAVY == set()


def test_import_is_silent():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import fallline"], capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_what_is_rarely_needed_is_imported_when_it_is_asked_for():
    code = """
import sys
import fallline as fl
late = {"fallline.search", "fallline.fleet"}
assert not late & set(sys.modules)
assert "minimize" in dir(fl) and "fit_many" in dir(fl)
assert fl.minimize is fl.search.minimize and callable(fl.fit_many)
from fallline import multi_start
assert late <= set(sys.modules)
assert not hasattr(fl, "minimise")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
