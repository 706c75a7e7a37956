"""Rules of the house that a program can check."""

from __future__ import annotations

import ast
import re

import pytest

from codebase.tree import CPP, PACKAGE, ROOT, code, files, files_with, label

SOURCES = [
    path
    for folder in (CPP, *(ROOT / name for name in ("python", "tests", "bench", "docs")))
    for path in files(folder, ".py", ".pyi", ".h", ".cpp", ".def")
]
LINE_BUDGET = 400


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_a_file_has_one_subject(path):
    assert len(path.read_text().splitlines()) <= LINE_BUDGET


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_nothing_is_left_for_later(path):
    marks = "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"])  # split, so that this file passes
    assert re.findall(rf"\b({marks})\b", path.read_text()) == []


@pytest.mark.parametrize("path", files(PACKAGE, ".py"), ids=label)
def test_no_assert_in_the_package(path):
    # python -O removes them
    asserts = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]
    assert asserts == []


def test_module_only_calls_the_binders():
    assert len((CPP / "bindings/module.cpp").read_text().splitlines()) <= 40


@pytest.mark.parametrize(
    "pattern", [r"PyEval_SaveThread", r"PyGILState_Ensure", r"std::j?thread\b(?!::)", r"#\s*pragma\s+omp\b"]
)
def test_happens_in_one_file(pattern):
    assert len(files_with(pattern, CPP)) == 1


@pytest.mark.parametrize("pattern", [r"std::async", r"pthread_create"])
def test_threads_start_in_no_other_way(pattern):
    assert files_with(pattern, CPP) == set()


@pytest.mark.parametrize("path", [*files(CPP, ".h", ".cpp"), ROOT / "CMakeLists.txt"], ids=label)
def test_no_compiler_switch_changes_arithmetic(path):
    text = code(path) if path.parent != ROOT else re.sub(r"#.*", "", path.read_text())
    assert re.findall(r"-ffast-math|-Ofast|-funsafe-math|fast-math", text) == []


def test_floating_point_controls_are_set_in_one_file():
    controls = (
        r"_MM_SET_(?:FLUSH|DENORMALS)_ZERO_MODE|_mm_setcsr|ldmxcsr|\bfpcr\b|\bfesetenv\b|\bfesetround\b"
    )
    assert files_with(controls, CPP) == {"cpp/runtime/arithmetic.cpp"}


# What NumPy computes by another code on another CPU, or for one number than for many; sums and products it does not.
CHOSEN = r"\bnp\.(\w*power|exp\w*|log\w*|sin|cos|tan|\w*h|cbrt|arc\w+|v?dot|inner|matmul|einsum|tensordot)\("


@pytest.mark.parametrize(
    "path", [path for path in files(PACKAGE, ".py") if path.parent.name != "cli"], ids=label
)
def test_bits_do_not_depend_on_the_code_that_numpy_chooses(path):
    tree = ast.parse(path.read_text())
    calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    products = [
        node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
    ]
    found = [call for call in calls if re.match(CHOSEN, call)] + [ast.unparse(node) for node in products]
    # the number of a cycle only has to be right to one, and is then mended
    expected = (
        ["np.log1p((self.t_mul - 1) * cycles)", "np.log(self.t_mul)"] if path.name == "cosine.py" else []
    )
    assert sorted(found) == sorted(expected)
