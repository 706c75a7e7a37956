"""Dependencies point one way, in C++ and in Python."""

from __future__ import annotations

import ast
import re

import pytest

from codebase.tree import CPP, PACKAGE, code, files, files_with, label

CPP_RINGS = ["kernels", "runtime", "minimizers", "network", "bindings"]

# From the innermost ring outwards; a module imports only from rings before its own.
PYTHON_RINGS = [
    {"_core", "errors", "typing", "extras", "terminal"},
    {"checks", "classes", "declaration"},
    {"files", "frames"},
    {"runtime", "ops"},
    {"activations", "averages", "constraints", "regularizers", "schedules"},
    {"initializers"},
    {"layers", "optimizers", "losses", "metrics"},
    {"data", "summary"},
    {"batches", "samplers"},
    {"network"},
    {"callbacks", "history", "progress", "serialization"},
    {"diagnosis", "state"},
    {"training"},
    {"model"},
    {"fleet"},
    {"search"},
    {"__init__"},
    {"cli"},
    {"__main__"},
]


@pytest.mark.parametrize("path", files(CPP, ".h", ".cpp"), ids=label)
def test_cpp_includes_point_inwards(path):
    ring = path.relative_to(CPP).parts[0]
    for name in re.findall(r'#\s*include\s*"([^"]+)"', code(path)):
        included = next((c for c in (path.parent / name, CPP / name) if c.exists()), None)
        assert included is not None, f"{label(path)} includes {name!r}, which is not below cpp/"
        inner = included.resolve().relative_to(CPP).parts[0]
        assert CPP_RINGS.index(inner) <= CPP_RINGS.index(ring), f"{ring} includes {name!r} of {inner}"


@pytest.mark.parametrize(
    "ring, pattern",
    [
        ("bindings", r"pybind11|Python\.h"),
        ("runtime", r"\bomp\.h|\bomp_\w+\("),
        ("kernels", r"vector_size|ext_vector_type|immintrin\.h|arm_neon\.h|\b_mm\d*_\w+"),
    ],
)
def test_only_one_ring_knows(ring, pattern):
    assert files_with(pattern, CPP) == files_with(pattern, CPP / ring)


def imported_modules(path):
    """fallline's own modules that the file imports, at the top or inside functions; not those for types only."""
    package = ("fallline", *path.relative_to(PACKAGE).parent.parts)
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "fallline" and len(parts) > 1:
                yield parts[1] if is_module(parts[1]) else "__init__"


def is_module(name):
    return (PACKAGE / name).is_dir() or any(PACKAGE.glob(f"{name}.py*"))


def ring_of(module):
    return next((i for i, ring in enumerate(PYTHON_RINGS) if module in ring), None)


@pytest.mark.parametrize("path", files(PACKAGE, ".py"), ids=label)
def test_python_imports_point_inwards(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert ring_of(own) is not None, f"{own} is in no ring: add it to PYTHON_RINGS"
    for name in imported_modules(path):
        assert name == own or ring_of(name) < ring_of(own), f"{own} imports {name}"
