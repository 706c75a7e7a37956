"""Objects told wholly by their constructor's arguments: they print and save by them.

Layers, optimizers, losses, metrics, schedules, initializers and regularizers are declarations. A class is known by name
as soon as it is defined, so a new one needs no entry in any list.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from fallline.errors import message, unknown

D = TypeVar("D", bound="Declaration")

_classes: dict[str, type[Declaration]] = {}

MOST = 1000  # entries that are printed


class Declaration:
    """Base of every declared object; its arguments are attributes of the same names.

    Arguments are read-only unless a class lists them in `assignable`: a changed one would not reach a
    compiled model.
    """

    arguments: ClassVar[tuple[str, ...]] = ()
    assignable: ClassVar[frozenset[str]] = frozenset()
    # Attributes beside the arguments that are saved where they have been set.
    saved: ClassVar[tuple[str, ...]] = ()
    # Written before the class's name in files, where another kind has a class of the same name.
    namespace: ClassVar[str] = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__init__ is not object.__init__:
            code = cls.__init__.__code__  # much quicker than inspect.signature, for each class at import
            cls.arguments = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        _classes[_name_in_files(cls)] = cls

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute in self.arguments and attribute in self.__dict__ and attribute not in self.assignable:
            kind = type(self).__name__
            raise AttributeError(f"{kind}: {attribute} is read-only; expected a new {kind}(...) instead")
        super().__setattr__(attribute, value)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {argument: getattr(self, argument) for argument in self.arguments}

    def __repr__(self) -> str:
        prefix = self.namespace if type(self).__name__ in _classes else ""
        return prefix + call(self)


def call(made: object) -> str:
    """Return the call that makes an object whose arguments are attributes of the same names.

    Example:
        >>> from fallline.layers import Dense
        >>> call(Dense(3, "relu"))
        "Dense(3, activation='relu')"
    """
    told = []
    for parameter in inspect.signature(type(made)).parameters.values():
        value, needed = getattr(made, parameter.name), parameter.default is parameter.empty
        if needed or isinstance(value, np.ndarray) or value != parameter.default:
            name = "" if needed and parameter.kind is not parameter.KEYWORD_ONLY else f"{parameter.name}="
            told.append(name + written(value))
    return f"{type(made).__name__}({', '.join(told)})"


def written(value: Any) -> str:
    """Return what evaluates to a value; of many numbers the first and the last, as what cannot be evaluated."""
    if isinstance(value, np.ndarray | np.generic):
        return written(value.tolist())
    if isinstance(value, list) and len(value) > MOST:
        return f"<{len(value)} entries: {value[0]!r}, {value[1]!r}, ..., {value[-1]!r}>"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))}{',' * (len(value) == 1)})"
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if inspect.isfunction(value) or isinstance(value, LostFunction):
        return value.__name__
    return repr(value)


def _name_in_files(kind: type[Declaration]) -> str:
    """Return what a class is called in files; a user's own never stands in for one of the package."""
    own = "" if kind.__module__.partition(".")[0] == __package__ else "own."
    return own + kind.namespace + kind.__name__


def brief(text: str, most: int = 60) -> str:
    """Cut a description, such as one with a number for each column, to fit into a table."""
    return text if len(text) <= most else f"{text[: most - 4]}...)"


class LostFunction:
    """Stands in a loaded model for a Python function, which a file cannot hold."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *_: Any) -> Any:
        """Say what is missing."""
        raise RuntimeError(
            f"load_model: the function {self.__name__!r} is not in the file; expected it to be assigned "
            "again (optimizer.learning_rate) or given to compile()"
        )


def known_names(kind: type[Declaration]) -> dict[str, type[Declaration]]:
    """Return name -> class of every class of a kind that has a name of its own, not one it inherits.

    Example:
        >>> from fallline.losses import Loss
        >>> sorted(known_names(Loss))[:3]
        ['binary_cross_entropy', 'binary_focal_cross_entropy', 'cross_entropy']
    """
    named = [c for c in _classes.values() if issubclass(c, kind) and isinstance(vars(c).get("name"), str)]
    return {vars(c)["name"]: c for c in named}


def resolve(kind: type[D], value: Any, operation: str, argument: str) -> D:
    """Return value if it is of the kind, or make the one that the string names, with its defaults."""
    if isinstance(value, kind):
        return value
    if isinstance(value, str):
        known = known_names(kind)
        if value not in known:
            raise unknown(operation, argument, value, known)
        made = known[value]()
        assert_kind: D = made  # type: ignore[assignment]
        return assert_kind
    hint = f"; write {value.__name__}()" if isinstance(value, type) and issubclass(value, kind) else ""
    raise TypeError(
        message(operation, argument, f"is {value!r}", f"a name or an object of {kind.__name__}{hint}")
    )


def encode(value: Any) -> Any:
    """Return value as JSON holds it; declarations become {"class": ..., arguments}, dicts a list of pairs."""
    if isinstance(value, Declaration):
        beside = {k: getattr(value, k) for k in value.saved if f"_{k}" in vars(value)}
        return {"class": _name_in_files(type(value))} | {
            k: encode(v) for k, v in (value.get_config() | beside).items()
        }
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {"items": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, Callable):  # type: ignore[arg-type]
        return {"function": getattr(value, "__name__", type(value).__name__)}
    return value


def decode(value: Any) -> Any:
    """Return the object that encode() wrote.

    Raises:
        ValueError: a class that is not defined here, or arguments that it does not take.
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"function"}:
        return LostFunction(str(value["function"]))
    if set(value) == {"items"}:
        return {decode(key): decode(item) for key, item in value["items"]}
    kind = value.get("class")
    if kind not in _classes:
        raise unknown("load_model", "class", kind, _classes)
    arguments = {key: decode(item) for key, item in value.items() if key != "class"}
    beside = {key: arguments.pop(key) for key in _classes[kind].saved if key in arguments}
    try:
        made = _classes[kind](**arguments)
        for key, item in beside.items():
            setattr(made, key, item)
        return made
    except TypeError as error:
        raise ValueError(
            message("load_model", kind, f"is described by {arguments}", f"its arguments ({error})")
        ) from None
