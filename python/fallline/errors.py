"""The one grammar of error messages: operation, argument, what it got, what was expected."""

from __future__ import annotations

from collections.abc import Iterable


def message(operation: str, argument: str, got: str, expected: str) -> str:
    """Compose an error text.

    Example:
        >>> message("Dense", "units", "is 0", "an integer >= 1")
        'Dense: units is 0; expected an integer >= 1'
    """
    return f"{operation}: {argument} {got}; expected {expected}"


def unknown(operation: str, argument: str, got: object, known: Iterable[str]) -> ValueError:
    """Return the error for a name that nobody knows, with the nearest known one.

    Example:
        >>> raise unknown("Dense", "activation", "rellu", ["relu", "tanh"])
        Traceback (most recent call last):
        ...
        ValueError: Dense: activation is 'rellu'; expected one of 'relu', 'tanh' (did you mean 'relu'?)
    """
    import difflib

    names = sorted(known)
    near = difflib.get_close_matches(str(got).lower(), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return ValueError(
        message(operation, argument, f"is {got!r}", f"one of {', '.join(map(repr, names))}{hint}")
    )
