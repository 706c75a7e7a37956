"""The process: threads, target and configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fallline import _core
from fallline.checks import integer


def get_num_threads() -> int:
    """Return the most threads that a call may use; small work uses fewer.

    Example:
        >>> get_num_threads() >= 1
        True
    """
    return _core.get_num_threads()


def set_num_threads(n: int | None) -> None:
    """Set the most threads that a call may use; results do not depend on it.

    Args:
        n: the number, >= 1, or None for the default, which respects affinity, cgroup quota and
            OMP_NUM_THREADS.

    Example:
        >>> set_num_threads(1)
        >>> get_num_threads()
        1
        >>> set_num_threads(None)
    """
    _core.set_num_threads(None if n is None else integer("set_num_threads", "n", n, low=1))


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Use at most n threads inside a with block, in the whole process.

    Args:
        n: the number, >= 1, or None for the default.

    Example:
        >>> with threads(1):
        ...     get_num_threads()
        1
    """
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def show_config() -> dict[str, Any]:
    """Print and return version, compiler, target and why, threads and why, OpenMP runtimes in the process.

    Example:
        >>> show_config()["threads"] >= 1  # doctest: +ELLIPSIS
        version ...
        True
    """
    settings = {"version": _core.__version__} | _core.config()
    width = max(map(len, settings))
    for name, value in settings.items():
        text = ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
        print(f"{name:<{width}}  {text}")  # noqa: T201
    return settings
