"""Interruption, threads, forks, bad numbers, and inputs of every kind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model, refuses, saved

# A job in the background of a shell begins with SIGINT ignored.
INTERRUPTED = """
    import signal
    import sys
    import numpy as np
    import fallline as fl

    signal.signal(signal.SIGINT, signal.default_int_handler)
    width, rows = {width}, {rows}
    model = fl.Model([fl.Input(width), fl.Dense(width, activation="relu"), fl.Dense(1)], seed=0)
    model.compile(fl.Adam(1e-6), "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, width)).astype(np.float32), rng.normal(size=(rows, 1))
    model.fit(x[:8], y[:8])
    print("training", flush=True)
    try:
        model.fit(x, y, batch_size={batch}, epochs=10**9, verbose=0)
    except KeyboardInterrupt:
        weights = model.get_weights()
        assert all(np.isfinite(w).all() for w in weights)
        model.save("interrupted.safetensors")
        twin = fl.load_model("interrupted.safetensors")
        for m in (model, twin):
            m.fit(x[:64], y[:64], epochs=2)
        assert all((a == b).all() for a, b in zip(model.get_weights(), twin.get_weights()))
        print("interrupted")
"""


@pytest.mark.parametrize("width, rows, batch", [(3, 4, 4), (3, 100_000, 1), (600, 4000, 1000)])
def test_ctrl_c_stops_fit_and_keeps_a_usable_model(width, rows, batch, tmp_path):
    source = "if True:" + INTERRUPTED.format(width=width, rows=rows, batch=batch)
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert process.stdout.readline() == "training\n", process.stderr.read()
        threading.Event().wait(0.3)  # let it get into the epochs
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (out, process.returncode) == ("interrupted\n", 0), err


def test_a_forked_child_trains(run_script):
    out = run_script(
        """
        import os, signal, warnings
        import numpy as np
        import fallline as fl

        warnings.simplefilter("ignore")
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(2000, 200)).astype(np.float32), rng.integers(0, 10, 2000)

        def train():
            model = fl.Model([fl.Input(200), fl.Dense(256, activation="relu"), fl.Dense(10)], seed=0)
            model.compile("adam", "cross_entropy")
            model.fit(x, y, batch_size=200, epochs=2)
            return b"".join(w.tobytes() for w in model.get_weights())

        fl.set_num_threads(2)
        parent = train()
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            os._exit(0 if train() == parent else 3)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        assert train() == parent
        print("both")
        """
    )
    assert out == "both\n"


def trainable(seed=0, width=64):
    layers = [
        fl.Input(width),
        fl.Dense(96, activation="relu"),
        fl.Dropout(0.1),
        fl.Dense(4, activation="softmax"),
    ]
    model = fl.Model(layers, seed=seed)
    model.compile(fl.Adam(0.01), "cross_entropy", metrics=["accuracy"])
    return model


def in_threads(*functions):
    """Run the functions at the same time; an exception in one of them comes out here."""
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(timeout=120)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_two_threads_train_two_models_as_if_alone(rng):
    x, y = rng.normal(size=(1500, 64)).astype(np.float32), rng.integers(0, 4, 1500)
    together, alone = [trainable(0), trainable(1)], [trainable(0), trainable(1)]
    for model in alone:
        model.fit(x, y, epochs=4)
    in_threads(*(lambda m=m: m.fit(x, y, epochs=4) for m in together))
    for a, b in zip(together, alone, strict=True):
        assert_same_model(a, b)


def test_two_threads_on_one_model_are_refused(rng):
    x, y = rng.normal(size=(300, 64)).astype(np.float32), rng.integers(0, 4, 300)
    inside, leave = threading.Event(), threading.Event()

    class Wait(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 0:
                inside.set()
                assert leave.wait(60)

    model, alone = trainable(), trainable()
    alone.fit(x, y, epochs=2)

    def disturb():
        assert inside.wait(60)
        try:
            for call in (lambda: model.fit(x, y), lambda: model.train_on_batch(x, y)):
                with refuses(RuntimeError, "train"):
                    call()
        finally:
            leave.set()

    in_threads(lambda: model.fit(x, y, epochs=2, callbacks=[Wait()]), disturb)
    assert_same_model(model, alone)
    model.fit(x, y)


def test_many_threads_may_predict_with_one_model(rng):
    x = rng.normal(size=(700, 64)).astype(np.float32)
    model = trainable()
    expected, got = model.predict(x), []
    in_threads(*(lambda: got.append(model.predict(x)) for _ in range(6)))
    for prediction in got:
        assert_same_bits([prediction], [expected])


def test_a_callback_that_raises_leaves_a_usable_model(blobs):
    x, y = blobs

    class Fail(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 1:
                raise KeyError("mine")

    model, straight = trainable(width=8), trainable(width=8)
    with pytest.raises(KeyError, match="mine"):
        model.fit(x, y, epochs=5, callbacks=[Fail()])
    model.fit(x, y, epochs=2)
    straight.fit(x, y, epochs=4)
    assert_same_model(model, straight)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_numbers_in_the_data_stop_with_the_last_good_weights(value, blobs):
    x, y = blobs
    bad = x.copy()
    bad[64 + 5, 3] = value  # in the third batch of 32
    model, good = trainable(width=8), trainable(width=8)
    for m in (model, good):
        m.fit(x, y, epochs=1, batch_size=32)
    for start in (0, 32):
        good.train_on_batch(x[start : start + 32], y[start : start + 32])
    with pytest.raises(fl.NonFiniteLoss, match=r"epoch 1, batch 2.*data"):  # both counted from 0
        model.fit(bad, y, epochs=1, batch_size=32, shuffle=False)
    assert_same_bits(model.get_weights(), good.get_weights())
    model.fit(x, y)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_an_exploding_rate_stops_with_epoch_batch_and_cause(rng):
    x, y = rng.normal(size=(64, 8)), rng.normal(size=(64, 2))
    model = fl.Model([fl.Input(8), fl.Dense(16), fl.Dense(16), fl.Dense(2)], seed=0)
    model.compile(fl.SGD(100.0), "mse")
    with pytest.raises(fl.NonFiniteLoss, match=r"epoch \d+.*batch \d+.*first in (layer|the loss)"):
        model.fit(x, y, batch_size=8, epochs=100, shuffle=False)
    weights = model.get_weights()
    assert all(np.isfinite(w).all() for w in weights)
    model.compile(fl.SGD(1e-9), "mse")
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_training_on_one_bad_batch_changes_nothing(blobs):
    x, y = blobs
    model = trainable(width=8)
    model.train_on_batch(x, y)
    before = saved(model)
    x[0, 0] = np.nan
    with pytest.raises(RuntimeError):
        model.train_on_batch(x, y)
    assert saved(model) == before


class Wrapped:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


def locked(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def mapped(x, path):
    np.save(path / "x.npy", x)
    return np.load(path / "x.npy", mmap_mode="r")


def unaligned(x):
    raw = np.zeros(x.nbytes + 1, dtype=np.uint8)
    raw[1:] = np.frombuffer(x.tobytes(), dtype=np.uint8)
    return raw[1:].view(x.dtype).reshape(x.shape)


KINDS = {
    "float64": lambda x, path: x.astype(np.float64),
    "fortran": lambda x, path: np.asfortranarray(x),
    "every second row": lambda x, path: np.repeat(x, 2, axis=0)[::2],
    "every third column": lambda x, path: np.repeat(x, 3, axis=1)[:, ::3],
    "backwards": lambda x, path: np.ascontiguousarray(x[::-1])[::-1],
    "backwards columns": lambda x, path: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "window": lambda x, path: np.pad(x, 3)[3:-3, 3:-3],
    "read-only": lambda x, path: locked(x),
    "memory map": mapped,
    "list": lambda x, path: x.tolist(),
    "unaligned": lambda x, path: unaligned(x),
    "other byte order": lambda x, path: x.astype(x.dtype.newbyteorder()),
    "array protocol": lambda x, path: Wrapped(x),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kind_of_input_trains_to_the_same_bits(kind, dtype, blobs, tmp_path):
    x, y = blobs
    results = []
    for data in (x, KINDS[kind](x, tmp_path)):
        layers = [fl.Input(8), fl.Dense(12, activation="relu"), fl.Dense(4, activation="softmax")]
        model = fl.Model(layers, seed=0, dtype=dtype)
        model.compile("adam", "cross_entropy")
        model.fit(data, y, epochs=2, batch_size=24)
        results.append([*model.get_weights(), model.predict(data)])
    assert_same_bits(*results)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint16, np.bool_, np.float16]
)
def test_whole_numbers_are_taken_as_they_are(dtype, rng):
    x = rng.integers(0, 2 if dtype is np.bool_ else 100, (60, 8)).astype(dtype)
    kept, y, results = x.copy(), rng.integers(0, 4, 60), []
    for data in (x, x.astype(np.float32)):
        model = fl.Model([fl.Input(8), fl.Rescale(1 / 100), fl.Dense(4, activation="softmax")], seed=0)
        model.compile("adam", "cross_entropy")
        model.fit(data, y, epochs=2)
        results.append([*model.get_weights(), model.predict(data)])
    assert_same_bits(*results)
    assert_same_bits([x], [kept])


def test_frames_and_series(blobs):
    pandas = pytest.importorskip("pandas")
    x, y = blobs
    frame, series = (
        pandas.DataFrame(x).astype({0: "float64"}),
        pandas.Series(y, index=range(1000, 1000 + len(y))),
    )
    results = []
    for data, labels in ((x, y), (frame, series)):
        model = trainable(width=8)
        history = model.fit(data, labels, epochs=2, validation_data=(data, labels))
        assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
        prediction = model.predict(data)
        assert type(prediction) is np.ndarray
        results.append([*model.get_weights(), prediction])
    assert_same_bits(*results)


def test_weights_that_come_out_are_copies(blobs):
    model = trainable(width=8)
    before = saved(model)
    for array in (*model.get_weights(), model.predict(blobs[0]), model.layers[1].kernel):
        array[...] = 7
    assert saved(model) == before
    weights = model.get_weights()
    model.set_weights(weights)
    weights[0][...] = 7
    assert saved(model) == before


@pytest.mark.parametrize(
    "make",
    [
        "x",
        "np.asfortranarray(x)",
        "x[:, ::2]",
        "x[::-1]",
        "np.memmap('x.bin', dtype=np.uint8, mode='w+', shape=x.shape)",
    ],
)
def test_the_data_are_never_copied_as_a_whole(make, run_script):
    """Resident memory grows by less than a quarter of the data: 120 MB of bytes, 960 MB as float64."""
    out = run_script(
        f"""
        import resource
        import numpy as np
        import fallline as fl

        x = np.ones((200_000, 600), dtype=np.uint8)
        y = np.arange(len(x)) % 3
        x = {make}
        int(x[:, 0].sum()), int(x[0].sum())
        layers = [fl.Input(x.shape[1]), fl.Rescale(1 / 255), fl.Dense(3, activation="softmax")]
        model = fl.Model(layers, seed=0)
        model.compile("adam", "cross_entropy", metrics=["accuracy"])
        model.fit(x[:256], y[:256])
        touched = sum(int(x[i : i + 1000].max()) for i in range(0, len(x), 1000))  # map every page
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        model.fit(x, y, batch_size=512)
        model.evaluate(x, y)
        model.predict(x)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    assert int(out) < 30_000
