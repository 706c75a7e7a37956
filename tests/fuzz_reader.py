"""Looks for files that load_model does not refuse in one sentence, by what they cover: `nox -s fuzz`.

What it finds belongs into tests/corpus/.
"""

from __future__ import annotations

import json
import sys

import atheris

with atheris.instrument_imports(include=["fallline"]):
    import fallline  # noqa: F401

from helpers import saved
from test_hostile_files import loads, places, put_together, replaced, rich, taken_apart

WHOLE = saved(rich())
TEXTS = [
    "",
    "1e400",
    "-1",
    "16777216",
    "true",
    "null",
    "[]",
    "{}",
    '"adam"',
    '{"class": "SGD"}',
    '{"items": [[[], 1]]}',
]


def changed(given, value):
    """A tree of JSON with something else at one place."""
    text = given.PickValueInList([*TEXTS, given.ConsumeUnicodeNoSurrogates(20)])
    try:
        new = json.loads(text)
    except ValueError:
        new = text
    return replaced(value, given.PickValueInList([*places(value)][1:]), new)


def one(data):
    """The model with changes, or the bytes as they are."""
    given = atheris.FuzzedDataProvider(data)
    if given.ConsumeBool():
        loads(given.ConsumeBytes(len(data)))
        return
    header, description, body = taken_apart(WHOLE)
    for _ in range(given.ConsumeIntInRange(1, 3)):
        description = changed(given, description) if isinstance(description, dict | list) else description
    if given.ConsumeBool():
        metadata = header.pop("__metadata__")
        header = {**changed(given, header), "__metadata__": metadata}
    loads(put_together(header, description, body))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
