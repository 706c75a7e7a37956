"""What is shown to the user, whatever standard output and error are: a terminal, a file, nothing."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a text; letters that the terminal does not have are spelt out.

    Example:
        >>> say("R² 0.98")
        R² 0.98
    """
    try:
        print(text)  # noqa: T201
    except UnicodeEncodeError:
        print(text.encode("ascii", "backslashreplace").decode())  # noqa: T201


def has_errors() -> bool:
    """Tell whether there is a standard error to write to; servers and frozen programs may have none."""
    return sys.stderr is not None and not getattr(sys.stderr, "closed", False)


def someone_watches() -> bool:
    """Tell whether standard error is a terminal."""
    return has_errors() and bool(getattr(sys.stderr, "isatty", bool)())
