"""Parts of a stream, arrays larger than memory, fits that end by the clock."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import assert_same_bits, refuses, unchanged
from streams import BATCH, cut, network


@pytest.mark.parametrize("rows", [BATCH, 3 * BATCH, 200])
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_of_a_stream_are_one_fit(rows, weighted, blobs, rng):
    arrays = (*blobs, rng.uniform(0, 2, 200)) if weighted else blobs
    whole, parts = network(), network()
    whole.fit(*arrays[:2], batch_size=BATCH, shuffle=False, sample_weight=arrays[2] if weighted else None)
    losses = [parts.partial_fit(*part, batch_size=BATCH) for part in cut(*arrays, size=rows)]
    state, expected = parts.get_state(), whole.get_state()
    assert_same_bits(list(state["arrays"].values()), list(expected["arrays"].values()))
    assert state["step"] == expected["step"]
    assert (state["epoch"], state["begun"]) == (0, False)
    assert all(type(loss) is float for loss in losses)


def test_the_loss_of_a_part_is_that_before_its_updates(blobs):
    model, other = network(penalty=0), network(penalty=0)
    assert model.partial_fit(*blobs, batch_size=200) == other.train_on_batch(*blobs)
    means = [other.partial_fit(*part, batch_size=BATCH) for part in cut(*blobs)]
    assert model.partial_fit(*blobs, batch_size=BATCH) == pytest.approx(
        np.average(means, weights=[24] * 8 + [8])
    )


@pytest.mark.parametrize(
    "options, exception, match",
    [
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"y": [9] * 200}, ValueError, "classes"),
        ({"X": np.ones((200, 3))}, ValueError, r"\(200, 3\)"),
        ({"sample_weight": [-1.0] * 200}, ValueError, "sample_weight"),
    ],
    ids=str,
)
def test_bad_parts_of_a_stream(options, exception, match, blobs):
    model = network()
    arguments = {"X": blobs[0], "y": blobs[1], **options}
    with unchanged(model), refuses(exception, rf"^Model.partial_fit: .*{match}"):
        model.partial_fit(**arguments)


def test_a_fit_may_end_by_the_clock(blobs):
    """However short the time: between two updates, with the epochs that were finished in the History."""
    for arrays, options in ((blobs, {"batch_size": BATCH}), ((cut(*blobs),), {})):
        model = network()
        history = model.fit(*arrays, **options, epochs=10**9, max_seconds=0.2)
        assert len(history.epoch) == model.get_state()["step"] // 9
        model.fit(*blobs)


OUT_OF_CORE = """
import resource
import numpy as np
import fallline as fl

rows, columns = {rows}, 4096
with open("rows.bin", "wb") as file:
    file.truncate(rows * columns)  # a hole: no disk is used
x = np.memmap("rows.bin", np.uint8, "r", shape=(rows, columns))
y = np.arange(rows, dtype=np.uint8) % 2

class Stop(fl.Callback):
    def on_batch_end(self, batch, logs):
        self.model.stop_training = batch == 20

# Private memory; a mapped file is none. A copy of the rows would not fit.
resource.setrlimit(resource.RLIMIT_DATA, ({limit} << 20, {limit} << 20))
model = fl.Model([fl.Input(columns), fl.Dense(2, activation="softmax")], seed=0)
model.compile("sgd", "cross_entropy", metrics=["accuracy"])
{calls}
try:
    np.array(x)
except MemoryError:
    print("done")
"""


@pytest.mark.parametrize(
    "megabytes, limit, calls",
    [
        (4096, 1024, "model.fit(x, y, callbacks=[Stop()], validation_split=0.0001)"),
        (
            4096,
            1024,
            "model.fit(((x[i : i + 32], y[i : i + 32]) for i in range(0, rows, 32)), callbacks=[Stop()])",
        ),
        (256, 200, "model.fit(x, y, batch_size=512); model.evaluate(x, y); model.predict(x)"),
    ],
    ids=["4 GB, some batches", "4 GB, generator", "all rows"],
)
def test_rows_are_never_copied_as_a_whole(megabytes, limit, calls, run_script):
    source = OUT_OF_CORE.format(rows=megabytes << 8, limit=limit, calls=calls)
    stacks = {"FALLLINE_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}  # of threads are private memory too
    assert run_script(source, env=stacks) == "done\n"
