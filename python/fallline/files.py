"""Files that are written whole or not at all, wherever their path leads."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for bytes that takes the place of the one at the path when the block has ended.

    Links are followed; mode, owner and attributes of an old file are kept. What is no plain file (a device, a pipe) is
    written to as it is.

    Raises:
        OSError: the place cannot be written; the error names the path.
    """
    with _naming(path):
        old = _writable(path)
        target = _target(path)
        # What /proc tells of an open file that was deleted is no path.
        plain = old is None or (stat.S_ISREG(old.st_mode) and target.exists())
        with _beside(target, old) if plain else open(path, "wb") as file:  # noqa: PTH123
            yield file


def check_place(path: str | os.PathLike[str]) -> None:
    """Check that replacing() could write to the path, if make_folder() was called before; nothing is changed.

    Raises:
        OSError: it could not; the error names the path.
    """
    with _naming(path):
        if _writable(path) is None:
            _check_within(_target(path).parent)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Check that files could be written into a folder, which may be missing yet; nothing is changed.

    Raises:
        OSError: they could not; the error names the path.
    """
    with _naming(path):
        _check_within(_target(path))


def _check_within(folder: Path) -> None:
    while not folder.exists():
        folder = folder.parent
    _refuse_unless(folder.is_dir(), errno.ENOTDIR)
    _refuse_unless(_may(folder, os.W_OK | os.X_OK), errno.EACCES)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make the folder of a file, and those around it, where they are missing.

    Raises:
        OSError: it cannot be made; the error names the path.
    """
    with _naming(path):
        _target(path).parent.mkdir(parents=True, exist_ok=True)


def can_be_read_back(path: str | os.PathLike[str]) -> bool:
    """Whether what will be written to the path stays there: not where a device or a pipe is."""
    return not os.path.exists(path) or os.path.isfile(path)  # noqa: PTH110, PTH113


def delete(path: str | os.PathLike[str]) -> None:
    """Delete the file that a path leads to, if there is one; links stay."""
    with _naming(path):
        _target(path).unlink(missing_ok=True)


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let errors of the system name the path that the user knows."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _refuse_unless(condition: bool, code: int) -> None:
    if not condition:
        raise OSError(code, os.strerror(code))


def _may(path: str | os.PathLike[str], what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def _writable(path: str | os.PathLike[str]) -> os.stat_result | None:
    """Return the status of what is there, which must be no folder and not be write-protected; None for nothing."""
    try:
        old = os.stat(path)  # noqa: PTH116 (pathlib drops a slash at the end)
    except FileNotFoundError:
        _refuse_unless(not os.fspath(path).endswith(os.sep), errno.EISDIR)
        return None
    _refuse_unless(not stat.S_ISDIR(old.st_mode), errno.EISDIR)
    _refuse_unless(_may(path, os.W_OK), errno.EACCES)
    return old


def _target(path: str | os.PathLike[str]) -> Path:
    """Return where a link leads in the end; a relative path stays one, as folders above may be closed to us."""
    from pathlib import Path

    target = Path(path)
    while target.is_symlink():
        target = target.parent / target.readlink()
    return target


@contextmanager
def _beside(target: Path, old: os.stat_result | None) -> Iterator[BinaryIO]:
    """Open a file in the folder of the target, which takes its place at the end."""
    temporary = target.with_name(f".fallline-{os.urandom(8).hex()}.tmp")
    mode = 0o666 if old is None else 0o600  # nobody reads it before it is as private as the old one
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if old is None or _made_alike(temporary, target, old):
            temporary.replace(target)
        else:
            _copy_into(target, temporary)
    finally:
        temporary.unlink(missing_ok=True)


def _made_alike(temporary: Path, target: Path, old: os.stat_result) -> bool:
    """Give a file the owner, attributes and mode of the old one; return False where the owner cannot be given."""
    new = temporary.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(temporary, old.st_uid, old.st_gid)
        except PermissionError:
            return False
    if hasattr(os, "listxattr"):  # among them lists of who may read
        with suppress(OSError):
            for name in os.listxattr(target):
                os.setxattr(temporary, name, os.getxattr(target, name))
    temporary.chmod(stat.S_IMODE(old.st_mode))
    return True


def _copy_into(target: Path, source: Path) -> None:
    """Overwrite a file, so that it stays whose it is."""
    import shutil

    with source.open("rb") as content, target.open("r+b") as file:
        shutil.copyfileobj(content, file)
        file.truncate()
