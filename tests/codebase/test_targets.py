"""A SIMD target is one row of targets.def, and its object file is safe to link beside the others."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import NamedTuple

import pytest

from codebase.tree import CPP, ROOT
from fallline import _core


class Row(NamedTuple):
    name: str
    flags: list[str]
    features: set[str]
    vector_bytes: int


def read_rows():
    row = re.compile(r'^FALLLINE_TARGET\((\w+), "([^"]*)", "([^"]*)", (\d+)\)$', re.MULTILINE)
    return [
        Row(name, shlex.split(flags), set(features.split()), int(size))
        for name, flags, features, size in row.findall((CPP / "kernels/targets.def").read_text())
    ]


ROWS = read_rows()
BUILT = [row for row in ROWS if row.name in _core.config()["targets"]]


def test_built_targets_are_rows():
    assert sorted(_core.config()["targets"]) == sorted(row.name for row in BUILT)
    assert "baseline" in {row.name for row in BUILT}


def test_baseline_asks_for_nothing():
    baseline = next(row for row in ROWS if row.name == "baseline")
    assert (baseline.flags, baseline.features) == ([], set())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_flag_is_tested_on_the_cpu(row):
    needed = {flag[2:] for flag in row.flags if re.fullmatch(r"-m(?!no-)[a-z0-9.]+", flag)}
    assert needed <= row.features
    assert not [flag for flag in row.flags if flag.startswith(("-march", "-mcpu", "-ffast-math"))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_feature_is_known_to_the_runtime(row):
    known = (CPP / "runtime/cpu.cpp").read_text()
    assert {feature for feature in row.features if f'"{feature}"' not in known} == set()


@pytest.fixture(scope="module")
def target_object(tmp_path_factory):
    """The object file of a row: the one `pip install .` left in build/, or else a new one."""

    def find_or_compile(row):
        left = f"build/cp*/CMakeFiles/kernels_{row.name}.dir/cpp/kernels/target.cpp.o"
        sources = max(path.stat().st_mtime for path in (CPP / "kernels").iterdir())
        newest = max(ROOT.glob(left), key=lambda path: path.stat().st_mtime, default=None)
        if newest is not None and newest.stat().st_mtime > sources:
            return newest
        compiler = next(filter(None, map(shutil.which, ["c++", "g++", "clang++"])), None)
        if compiler is None:
            pytest.skip("no C++ compiler on this machine, and no object file left by the build")
        made = tmp_path_factory.mktemp(row.name) / "target.o"
        defines = [f"-DFALLLINE_TARGET_NAME={row.name}", f"-DFALLLINE_VECTOR_BYTES={row.vector_bytes}"]
        options = [
            "-std=c++20",
            "-O3",
            "-fPIC",
            "-fvisibility=hidden",
            "-ffp-contract=off",
            "-Wno-psabi",
            "-w",
        ]
        source = CPP / "kernels/target.cpp"
        subprocess.run(
            [compiler, *options, *row.flags, *defines, f"-I{CPP}", "-c", str(source), "-o", str(made)],
            check=True,
        )
        return made

    return find_or_compile


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.name)
def test_target_object_exports_its_table_only(row, target_object):
    # A weak symbol would let the linker keep one target's code for all: an illegal instruction on older CPUs.
    if shutil.which("nm") is None:
        pytest.skip("no nm on this machine")
    listing = subprocess.run(
        ["nm", "-C", "--defined-only", "--extern-only", str(target_object(row))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    symbols = [tuple(line.split(maxsplit=2)[-2:]) for line in listing.splitlines()]
    assert symbols == [("T", f"fallline::table_{row.name}()")]
