"""Optional dependencies, imported where they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType


def require(module: str, extra: str, operation: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Args:
        module: dotted name of the module, e.g. "sklearn.datasets".
        extra: name of the extra of fallline that installs it, e.g. "demo".
        operation: what needs it, for the message.

    Raises:
        ImportError: the module is not installed.

    Example:
        >>> require("json", "demo", "train").__name__
        'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{operation}: {package} cannot be imported ({error}); expected it installed, e.g. by "
            f"pip install 'fallline[{extra}]'",
            name=package,
        ) from error
