"""A fit as a file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline import serialization
from fallline.errors import message

if TYPE_CHECKING:
    from fallline.model import Model
    from fallline.typing import Array

OPERATION = "BackupAndRestore"
FIT = "fit"  # the part of the file that is not the model's


def write(path: str, model: Model, state: Mapping[str, Any]) -> None:
    """Write the model and the state of its fit."""
    description, arrays = model.described()
    serialization.write(path, description | {FIT: _packed(state, arrays, FIT)}, arrays)


def read(path: str, model: Model, same: Mapping[str, Any]) -> tuple[Model, dict[str, Any]] | None:
    """Return the model as it was and the state of its fit, or None if there is no file.

    Raises:
        ValueError: the file is damaged, or of another model, or its fit differs in what must be the same.
    """
    try:
        description, arrays = serialization.read(path)
    except FileNotFoundError:
        return None
    if FIT not in description:
        raise ValueError(message(OPERATION, "path", f"is {path!r}, which holds no fit", "a file of its own"))
    try:
        state = _unpacked(description.pop(FIT), arrays)
        for name, now in same.items():
            was = description.get(name, state.get(name))
            if was != now:
                got = f"is {path!r}, of a fit whose {name} was {was}"
                raise ValueError(message(OPERATION, "path", got, f"{now}; delete the file to begin anew"))
        return model.resumed(description, arrays), state
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        got = f"is {path!r}, which is damaged ({error})"
        raise ValueError(message(OPERATION, "path", got, "a file of its own, whole")) from error


def _packed(value: Any, arrays: dict[str, Array], where: str) -> Any:
    """Return value as JSON holds it; its arrays are put beside the others under names."""
    if isinstance(value, np.ndarray):
        arrays[where] = value
        return {"array": where}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"dict": {str(key): _packed(item, arrays, f"{where}.{key}") for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return [_packed(item, arrays, f"{where}.{i}") for i, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    expected = "numbers, strings, None, arrays, and lists and dicts of them"
    raise TypeError(message(OPERATION, where, f"is {value!r}", expected))


def _unpacked(value: Any, arrays: dict[str, Array]) -> Any:
    """Return what _packed() was given, and take its arrays away from the others."""
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays.pop(value["array"])
    return {key: _unpacked(item, arrays) for key, item in value["dict"].items()}
