"""Development tasks: `nox -l` lists them, `nox -s lint` runs one."""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.options.sessions = ["lint", "typing", "tests"]
nox.options.default_venv_backend = "venv"

CPP_SOURCES = [str(path) for folder in ("cpp", "tests/cpp") for path in Path(folder).rglob("*.[hc]*")]
WHEEL_LIMIT = 3 << 20


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite; with `-- TARGET` on that SIMD target."""
    session.install(".[test]")
    target = {"FALLLINE_TARGET": session.posargs[0]} if session.posargs else {}
    session.run("pytest", env=target)


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting, idioms and spelling."""
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    session.install(*extras["lint"])
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("clang-format", "--dry-run", "-Werror", *CPP_SOURCES)
    session.run("codespell")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types, and the stub of the extension against the extension."""
    session.install(".[test]")
    session.run("mypy", "--strict", "python/fallline")
    session.run("pytest", "tests/codebase/test_stub.py")


@nox.session
def tidy(session: nox.Session) -> None:
    """Run clang-tidy over runtime, network and bindings."""
    session.install("clang-tidy", "cmake", "ninja", "pybind11>=3.0")
    pybind11 = session.run("pybind11-config", "--cmakedir", silent=True).strip()
    # omp.h comes with the compiler, and clang-tidy looks for it with Clang's own headers only
    headers = session.run("c++", "-print-file-name=include", silent=True, external=True).strip()
    check = f"clang-tidy;--warnings-as-errors=*;--extra-arg=-idirafter{headers}"
    session.run("cmake", "--preset", "tidy", f"-Dpybind11_DIR={pybind11}", f"-DCMAKE_CXX_CLANG_TIDY={check}")
    session.run("cmake", "--build", "--preset", "tidy")


@nox.session
@nox.parametrize("preset", ["sanitize", "sanitize-thread"])
def sanitize(session: nox.Session, preset: str) -> None:
    """Run the C++ tests under address, undefined-behaviour and thread sanitizers."""
    session.install("cmake", "ninja")
    session.run("cmake", "--preset", preset)
    session.run("cmake", "--build", "--preset", preset)
    session.run("ctest", "--preset", preset)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Look for model files that are not refused in one sentence, for two minutes or as `-- -max_total_time=` says."""
    session.install(".[test]", "atheris")
    session.run("python", "tests/fuzz_reader.py", "-max_total_time=120", *session.posargs, "tests/corpus")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against NumPy; with `-- peers` against torch and JAX too."""
    session.install(".[test,peers]" if "peers" in session.posargs else ".[test]")
    session.run("pytest", "bench", "--benchmark-enable", "--benchmark-autosave")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel into dist/ and check that it stays small."""
    session.install("build")
    session.run("python", "-m", "build", "--wheel")
    newest = max(Path("dist").glob("*.whl"), key=os.path.getmtime)
    size = newest.stat().st_size
    if size > WHEEL_LIMIT:
        session.error(f"{newest}: {size} bytes; expected at most {WHEEL_LIMIT}")
    session.log(f"{newest}: {size / 2**20:.2f} MiB")
