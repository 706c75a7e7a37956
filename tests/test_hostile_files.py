"""Files made to hurt: they cost no more than they weigh, and are refused in one sentence."""

from __future__ import annotations

import copy
import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fallline as fl
from helpers import GRAMMAR, refuses, saved, unchanged

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*"))
ANYTHING = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def taken_apart(content):
    """The header, what it says of the model, and the bytes of the arrays."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["fallline"]), content[8 + length :]


def put_together(header, description, body=b""):
    header = {**header, "__metadata__": {**header["__metadata__"], "fallline": json.dumps(description)}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def rich():
    """A model with something of everything that a file holds."""
    layers = [
        fl.Input(3),
        fl.Embedding(4, 2, columns=[2]),
        fl.Rescale([0.5, 1.0, 2.0, 1.0]),
        fl.Residual([fl.Dense(4, "relu", kernel_regularizer=fl.L2(1e-3)), fl.BatchNormalization()]),
        fl.Maxout(3, pieces=2),
        fl.PReLU(),
        fl.Dense(2, "softmax"),
    ]
    model = fl.Model(layers, seed=3, name="rich")
    model.layers[4].group = fl.ParameterGroup(learning_rate_factor=0.5)
    model.metadata = {"who": ["me"]}
    chain = fl.Chain(
        [(fl.Adam(fl.schedules.CosineDecay(0.1, 10), average=0.9), fl.Plateau(3)), (fl.SGD(0.1), 2)]
    )
    model.compile(chain, fl.CrossEntropy(label_smoothing=0.1), metrics=["accuracy"])
    X = np.c_[np.random.default_rng(0).normal(size=(8, 2)), [0, 1, 2, 3] * 2]
    model.fit(X, [0, 1] * 4, epochs=2)
    return model


@pytest.fixture(scope="module")
def whole():
    return saved(rich())


def loads(content):
    """Whether it loads; or it is refused with what is wrong, in one sentence of the grammar, by nothing else."""
    refusal = None
    try:
        fl.load_model(content)
    except ValueError as error:
        refusal = error
    if refusal is None:
        return True
    text = str(refusal)
    assert type(refusal) is ValueError
    assert GRAMMAR.search(text), text
    assert text.startswith("load_model: path is "), text
    assert len(text) < 1000
    assert "\n" not in text
    return False


def test_the_model_of_these_tests_is_whole(whole):
    assert loads(whole)
    assert put_together(*taken_apart(whole)) != b""
    assert loads(put_together(*taken_apart(whole)))


# --- what a file costs ---


def described(layers, inputs, **more):
    """A file without arrays that says it has layers."""
    small = fl.Model([fl.Input(2), fl.Activation("linear")], seed=0)
    header, description, body = taken_apart(saved(small))
    return put_together(header, {**description, "layers": layers, "inputs": inputs, **more}, body)


def told(layer):
    """What a file says of a layer."""
    block = fl.Model(
        [fl.Input(1), layer] if not isinstance(layer, fl.Input) else [layer, fl.Activation("linear")]
    )
    return taken_apart(saved(block))[1]["layers"][0 if isinstance(layer, fl.Input) else 1]


MOST = 2**24
HUNGRY = {
    "a kernel": lambda: ([told(fl.Input(2)), {**told(fl.Dense(2)), "units": MOST}], 100),
    "its input": lambda: ([{**told(fl.Input(2)), "n": MOST}, {**told(fl.Dense(2)), "units": 500}], MOST),
    "pieces": lambda: ([{**told(fl.Maxout(2)), "units": 2**12, "pieces": 2**12}], 1000),
    "a table": lambda: (
        [{**told(fl.Embedding(2, 2)), "categories": [2**30], "units": [9]}],
        3,
    ),
    "within a block": lambda: (
        [
            {
                **told(fl.Residual([fl.Dense(1)])),
                "layers": [{**told(fl.Dense(2)), "units": n} for n in (MOST, 99)],
            }
        ],
        99,
    ),
    "moments": lambda: ([told(fl.BatchNormalization())] * 9, MOST),
    "no weights at all": lambda: ([told(fl.Rescale(0.5))] * 40, MOST),
    "a slope": lambda: ([told(fl.PReLU())] * 40, MOST),
    "thrown weights": lambda: ([{**told(fl.DropConnect(2, 0.5)), "units": MOST}], 300),
}
CHILD = """
import resource, sys
import fallline as fl
fl.load_model(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    try:
        fl.load_model(path)
    except ValueError as error:
        assert str(error).startswith("load_model: path is"), error
    else:
        raise AssertionError(path)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("what", HUNGRY)
def test_a_small_file_does_not_cost_much(what, whole, tmp_path):
    layers, inputs = HUNGRY[what]()
    content = described(layers, inputs)
    assert len(content) < 6000
    (tmp_path / "whole").write_bytes(whole)
    (tmp_path / "hungry").write_bytes(content)
    words = [sys.executable, "-c", CHILD, str(tmp_path / "whole"), str(tmp_path / "hungry")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300_000  # kB; the largest of them say that they have 64 GB


def test_wide_models_with_few_weights_come_back(tmp_path):
    """What is refused above is not what anybody has."""
    for layers in (
        [fl.Input(2**20), fl.Rescale(0.5), fl.Dropout(0.1), fl.Dense(1)],
        [fl.Input(2**22), fl.Rescale(2.0)],
    ):
        model = fl.Model(layers, seed=0)
        model.save(tmp_path / "m")
        assert fl.load_model(tmp_path / "m").inputs == model.inputs


class Counted(io.BytesIO):
    """Counts the bytes that are asked for."""

    taken = 0

    def read(self, size=-1):
        part = super().read(size)
        self.taken += len(part)
        return part


@pytest.mark.parametrize(
    "start",
    [
        b"\x1aE\xdf\xa3" * 4,
        b"PK\x03\x04" * 4,
        b"\x89PNG\r\n\x1a\n" * 2,
        bytes(16),
        struct.pack("<Q", 99) + b"[",
        b"{}",
    ],
)
def test_what_is_no_model_is_refused_after_its_first_bytes(start, tmp_path):
    file = Counted(start + bytes(10**6))
    with refuses(ValueError, "load_model: path is a Counted"):
        fl.load_model(file)
    assert file.taken <= 9
    path = tmp_path / "film"
    path.write_bytes(start)
    os.truncate(path, 2**40)  # a terabyte, without a block on the disk
    with refuses(ValueError, "load_model: path is '.*film'"):
        fl.load_model(path)


def test_a_device_without_an_end_is_refused():
    for path in ("/dev/zero", "/dev/urandom"):
        with refuses(ValueError, f"load_model: path is '{path}'"):
            fl.load_model(path)


def test_arrays_of_other_peoples_models_are_not_read():
    """A header that describes no model of fallline is the last that is read."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [250000], "data_offsets": [0, 10**6]}}).encode()
    file = Counted(struct.pack("<Q", len(header)) + header + bytes(10**6))
    with refuses(ValueError, "describes no model"):
        fl.load_model(file)
    assert file.taken == 8 + len(header)


def test_a_header_that_claims_much_is_not_believed():
    """Asked for in one piece, it would be."""
    for start in (struct.pack("<Q", 10**8) + b"{", struct.pack("<Q", 2**63) + b"{"):
        assert not loads(start)
    header, description, body = taken_apart(saved(fl.Model([fl.Input(2), fl.Dense(2)], seed=0)))
    far = {
        **header,
        "more": {"dtype": "U8", "shape": [10**12], "data_offsets": [len(body), len(body) + 10**12]},
    }
    assert not loads(put_together(far, description, body))


# --- what a file says ---


def nested(depth, start="[", end="]"):
    return start * depth + end * depth


@pytest.mark.parametrize("depth", [50, 500, 5_000, 500_000])
def test_deep_nesting_is_one_sentence(depth, whole):
    header, description, body = taken_apart(whole)
    for text in (nested(depth), nested(depth, '{"items":[[0,', "]]}"), nested(depth, '{"class":', "}")):
        inner = json.dumps(description)[:-1] + f', "layers": {text}}}'
        changed = {**header, "__metadata__": {"fallline": inner}}
        plain = json.dumps(changed).encode()
        assert not loads(struct.pack("<Q", len(plain)) + plain + body)
        outer = f'{{"a": {text}}}'.encode()
        assert not loads(struct.pack("<Q", len(outer)) + outer)
    blocks = {"class": "Dense", "units": 3}
    for _ in range(min(depth, 300)):
        blocks = {"class": "Residual", "layers": [blocks]}
    assert not loads(put_together(header, {**description, "layers": [blocks]}, body))


@pytest.mark.parametrize(
    "value", [[], {}, None, True, -1, 0, 1.5, 2**70, 1e400, float("nan"), "", "x", [[]], [None], [-1]]
)
def test_a_value_of_another_kind_is_one_sentence(value, whole):
    """At every place that the reader looks at, and within."""
    header, description, body = taken_apart(whole)
    name = next(n for n in header if n != "__metadata__")
    loaded = []
    for key in ("dtype", "shape", "data_offsets"):
        changed = copy.deepcopy(header)
        changed[name][key] = value
        assert not loads(put_together(changed, description, body))
    assert not loads(put_together({**header, name: value}, description, body))
    for key in description:
        loaded.append(loads(put_together(header, {**description, key: value}, body)))
    for i in range(len(description["layers"])):
        layers = list(description["layers"])
        layers[i] = value
        assert not loads(put_together(header, {**description, "layers": layers}, body))
    assert not all(loaded)


def places(value, here=()):
    """All places in a tree of JSON."""
    yield here
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from places(child, (*here, key))


def replaced(value, place, new):
    if not place:
        return new
    changed = copy.copy(value)
    changed[place[0]] = replaced(value[place[0]], place[1:], new)
    return changed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(0, 2**26) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["Dense", "Adam", "Chain", "Residual", "mse", "relu", "kernel", "4.0.bias", "float64"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["class", "items", "a"]), inner),
    max_leaves=6,
)  # fmt: skip


@ANYTHING
@given(st.data())
def test_any_change_of_what_it_says_is_one_sentence(whole, data):
    header, description, body = taken_apart(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([*places(description)][1:]))
        description = replaced(description, place, data.draw(JSON))
    if data.draw(st.booleans()):
        arrays = {name: entry for name, entry in header.items() if name != "__metadata__"}
        place = data.draw(st.sampled_from([*places(arrays)][1:]))
        header = {**replaced(arrays, place, data.draw(JSON)), "__metadata__": header["__metadata__"]}
    loads(put_together(header, description, body))


@ANYTHING
@given(st.data())
def test_any_damage_is_one_sentence(whole, data):
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 16))] = data.draw(st.binary(max_size=16))
    loads(bytes(content))


@ANYTHING
@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: struct.pack("<Q", len(text.encode())) + text.encode())
)
def test_anything_else_is_one_sentence(content):
    assert not loads(content)


@pytest.mark.parametrize(
    "value", [None, [], 3, {}, {"dict": 3}, {"array": "w"}, {"dict": {"rows": {"array": []}}}]
)
def test_a_damaged_backup_is_one_sentence(value, tmp_path):
    """Whatever the part says that is not the model's; and what is the model's."""
    model = fl.Model([fl.Input(2), fl.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    header, description, body = taken_apart(saved(model))
    whole = {"dict": {"rows": 4, "batch_size": 32, "first_epoch": 0, "sampler": "Shuffled()"}}
    for damaged in ({"fit": value}, {"fit": whole, "layers": value}):
        (tmp_path / "fit").write_bytes(put_together(header, {**description, **damaged}, body))
        with unchanged(model), refuses(ValueError, "fit"):
            model.fit(np.ones((4, 2)), np.ones(4), callbacks=[fl.BackupAndRestore(tmp_path / "fit")])


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_was_found_by_fuzzing_is_one_sentence(path):
    assert not loads(path.read_bytes())
