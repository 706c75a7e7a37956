"""The process: threads, target and configuration."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fallline import _core
from fallline.checks import integer
from fallline.terminal import say


def get_num_threads() -> int:
    """Return the most threads that a call may use; small work uses fewer.

    Example:
        >>> get_num_threads() >= 1
        True
    """
    return _core.get_num_threads()


def set_num_threads(n: int | None) -> None:
    """Set the most threads that a call may use; results do not depend on it.

    Inside a block of threads(), the setting ends with the block.

    Args:
        n: the number, 1 to 4096, or None for the default, which respects FALLLINE_NUM_THREADS or else affinity,
            cgroup quota and OMP_NUM_THREADS.

    Example:
        >>> set_num_threads(1)
        >>> get_num_threads()
        1
        >>> set_num_threads(None)
    """
    n = _checked("set_num_threads", n)
    with _lock:
        _settings[-1].n = n
        _core.set_num_threads(n)


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Use at most n threads inside a with block, in the whole process.

    Of blocks that overlap, in several threads say, the one that was entered last counts; when all have ended, the
    setting is that from before them.

    Args:
        n: the number, 1 to 4096, or None for the default.

    Example:
        >>> with threads(1):
        ...     get_num_threads()
        1
    """
    setting = _Setting(_checked("threads", n))
    with _lock:
        _settings.append(setting)
        _core.set_num_threads(setting.n)
    try:
        yield
    finally:
        with _lock:
            _settings.remove(setting)
            _core.set_num_threads(_settings[-1].n)


@dataclass(eq=False)
class _Setting:
    """The number of threads that set_num_threads or a block of threads() asks for."""

    n: int | None
    thread: int = field(default_factory=threading.get_ident)


_settings = [_Setting(None)]  # that of the process, then those of the blocks at work, the latest last
_lock = threading.Lock()


def _leave_blocks_of_others() -> None:
    """In the child of a fork, where no other thread is left to end its block."""
    _settings[1:] = [setting for setting in _settings[1:] if setting.thread == threading.get_ident()]
    _core.set_num_threads(_settings[-1].n)
    _lock.release()


os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_leave_blocks_of_others
)


def _checked(operation: str, n: int | None) -> int | None:
    return None if n is None else integer(operation, "n", n, low=1, high=_core.max_threads)


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
        say(f"{name:<{width}}  {text}")
    return settings
