"""Batches from iterables give the same bits as arrays at hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model
from streams import BATCH, Endless, Loader, cut, endless, network

# name: (what gives batches, whether it needs steps_per_epoch)
SOURCES = {
    "list": (list, False),
    "tuple": (tuple, False),
    "loader": (Loader, False),
    "generator": (endless, True),
    "endless": (Endless, True),
    "list, counted": (list, True),
}
sources = pytest.mark.parametrize("source", SOURCES)


def streamed(model, source, arrays, epochs, **options):
    make, counted = SOURCES[source]
    batches = cut(*arrays)
    steps = {"steps_per_epoch": len(batches)} if counted else {}
    return model.fit(make(batches), epochs=epochs, **steps, **options)


@sources
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batches_train_as_arrays_do(source, dtype, blobs):
    whole, stream = network(dtype=dtype), network(dtype=dtype)
    expected = whole.fit(*blobs, batch_size=BATCH, epochs=3, shuffle=False)
    history = streamed(stream, source, blobs, 3)
    assert history.history == expected.history
    assert history.epoch == expected.epoch
    assert_same_model(stream, whole)


@pytest.mark.parametrize("labels", ["classes", "one-hot", "one output"])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_kind_of_labels(labels, weighted, blobs, rng):
    x, y = blobs
    outputs = 1 if labels == "one output" else 4
    y = {"classes": y, "one-hot": np.eye(4)[y], "one output": (y > 1).astype(np.uint8)}[labels]
    weight = rng.uniform(0, 2, len(x)).astype(np.float32)
    whole, stream = network(outputs), network(outputs)
    options = {"sample_weight": weight} if weighted else {}
    expected = whole.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, **options)
    arrays = (x, y, weight) if weighted else (x, y)
    assert stream.fit(cut(*arrays), epochs=2).history == expected.history
    assert_same_model(stream, whole)
    assert stream.evaluate(cut(*arrays)) == whole.evaluate(x, y, **options)
    assert stream.evaluate(iter(cut(*arrays))) == whole.evaluate(x, y, **options)


def test_bytes_stay_bytes(rng):
    """uint8 rows are read as they are, and batches may be lists, of other dtypes, with other strides."""
    x, y = rng.integers(0, 256, (60, 8), dtype=np.uint8), rng.integers(0, 4, 60)
    models = [network(metrics=()) for _ in range(2)]
    models[0].fit(x, y, batch_size=20, shuffle=False)
    mixed = [(x[:20], y[:20]), (x[20:40].tolist(), y[20:40].tolist()), (np.asfortranarray(x[40:]), y[40:])]
    models[1].fit(mixed)
    assert_same_model(*models)


@pytest.mark.parametrize("kind", ["arrays", "list", "loader"])
def test_validation_on_batches(kind, blobs):
    x, y = blobs
    held_out = x[150:], y[150:]
    given = {"arrays": held_out, "list": cut(*held_out), "loader": Loader(cut(*held_out))}
    whole, stream = network(), network()
    options = {"batch_size": BATCH, "epochs": 3, "shuffle": False, "validation_data": held_out}
    expected = whole.fit(x[:150], y[:150], **options)
    history = stream.fit(cut(x[:150], y[:150]), epochs=3, validation_data=given[kind])
    assert history.history == expected.history
    assert_same_model(stream, whole)


def test_weights_may_come_with_some_batches_only(blobs):
    x, y = blobs
    batches = cut(x, y)
    batches[2] = (*batches[2], np.full(BATCH, 2.0))
    weight = np.ones(200)
    weight[2 * BATCH : 3 * BATCH] = 2
    whole, stream = network(), network()
    expected = whole.fit(x, y, sample_weight=weight, batch_size=BATCH, shuffle=False)
    assert stream.fit(batches).history == expected.history


@pytest.mark.parametrize("make", [list, iter, Loader], ids=["list", "generator", "loader"])
def test_predictions_are_joined(make, blobs):
    x, y = blobs
    model = network()
    expected = model.predict(x)
    for batches in (cut(x, y), cut(x)):
        assert_same_bits([model.predict(make(batches))], [expected])
    if make is not Loader:
        assert_same_bits([model.predict(make([x[:60], x[60:]]))], [expected])


def test_the_first_batch_builds_the_model(blobs):
    whole, stream = (fl.Model([fl.Dense(4, activation="softmax")], seed=1) for _ in range(2))
    for model in (whole, stream):
        model.compile("adam", "cross_entropy")
    whole.fit(*blobs, batch_size=BATCH, shuffle=False)
    stream.fit(endless(cut(*blobs)), steps_per_epoch=9)
    assert_same_model(whole, stream)


def test_a_number_of_batches_may_make_an_epoch(blobs):
    """The iteration goes on across epochs, and starts anew when it ends: 3 epochs of 6 batches are 2 of 9."""
    by_nine, by_six = network(), network()
    by_nine.fit(cut(*blobs), epochs=2)
    loader = Loader(cut(*blobs))
    history = by_six.fit(loader, epochs=3, steps_per_epoch=6)
    assert_same_bits(by_six.get_weights(), by_nine.get_weights())
    assert len(history.epoch) == 3
    assert loader.iterations == 2


def test_a_loader_starts_anew_for_each_epoch_and_no_more(blobs):
    loader = Loader(cut(*blobs))
    network().fit(loader, epochs=4)
    assert loader.iterations == 4


def test_a_generator_gives_no_batch_more_than_needed(blobs):
    given = endless(cut(*blobs))
    model, straight = network(), network()
    model.fit(given, epochs=2, steps_per_epoch=4)
    model.fit(given, epochs=1, steps_per_epoch=3)
    straight.fit(endless(cut(*blobs)), epochs=1, steps_per_epoch=11)
    assert_same_bits(model.get_weights(), straight.get_weights())


def test_schedules_are_asked_once_for_each_update(blobs):
    asked, by_hand = [], network(metrics=())
    stream = network(metrics=())
    stream.compile(fl.SGD(lambda step: asked.append(step) or 0.1 / (1 + step)), "cross_entropy")
    by_hand.compile(fl.SGD(lambda step: 0.1 / (1 + step)), "cross_entropy")
    stream.fit(cut(*blobs), epochs=2)
    by_hand.fit(*blobs, batch_size=BATCH, epochs=2, shuffle=False)
    assert_same_bits(stream.get_weights(), by_hand.get_weights())
    assert sorted(set(asked)) == list(range(18))


class Calls(fl.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def on_epoch_begin(self, epoch, logs):
        self.calls.append(("begin", epoch))

    def on_batch_end(self, batch, logs):
        self.calls.append((batch, dict(logs)))

    def on_epoch_end(self, epoch, logs):
        self.calls.append(("end", epoch, dict(logs)))


@sources
def test_callbacks_see_the_same(source, blobs):
    calls, expected = Calls(), Calls()
    network().fit(*blobs, batch_size=BATCH, epochs=2, shuffle=False, callbacks=[expected])
    streamed(network(), source, blobs, 2, callbacks=[calls])
    assert len(expected.calls) == 2 * (9 + 2)
    assert calls.calls == expected.calls


def test_threads_do_not_change_the_bits(rng):
    x, y = rng.normal(size=(900, 130)).astype(np.float32), rng.integers(0, 4, 900)
    models, histories = [], []
    for n in (1, 3):
        with fl.threads(n):
            model = fl.Model([fl.Dense(200, activation="relu"), fl.Dense(4, activation="softmax")], seed=0)
            model.compile("adam", "cross_entropy", metrics=["accuracy"])
            histories.append(
                model.fit(cut(x, y, size=300), epochs=2, validation_data=cut(x, y, size=500)).history
            )
            models.append(model)
    assert histories[0] == histories[1]
    assert_same_model(*models)


class OwnScale(fl.Layer):
    """Learned factors, in NumPy."""

    def build(self, inputs):
        self.add_parameter("factor", (inputs,), "ones")

    def forward(self, x, training):
        self.x = x
        return x * self.factor

    def backward(self, gradient):
        self.add_gradient("factor", (gradient * self.x).sum(axis=0))
        return gradient * self.factor


def squared(y_true, y_pred):
    """The values and gradients of a user's own loss."""
    return ((y_pred - y_true) ** 2).mean(axis=1), 2 * (y_pred - y_true) / y_pred.shape[1]


KINDS = {
    "own layer": ([OwnScale(), fl.Dense(4)], "adam", "mse"),
    "own loss": ([fl.Dense(4)], "adam", squared),
    "normalised": ([fl.Dense(8), fl.BatchNormalization(), fl.Dense(4)], "adam", "mse"),
    "residual": ([fl.Residual([fl.Dense(8, "tanh")]), fl.Dense(4)], "adam", "mse"),
    "averaged": ([fl.Dense(4)], fl.SGD(0.1, momentum=0.9, average=0.9, clip_norm=0.5), "mse"),
    "scheduled": ([fl.Dense(4)], fl.SGD(fl.schedules.CosineDecay(0.1, 20)), "mse"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut_after", [None, 4])
def test_every_kind_of_model(kind, cut_after, blobs, tmp_path):
    """As arrays, and the same again after a power cut within an epoch."""
    layers, optimizer, loss = KINDS[kind]
    x, y = blobs[0], np.eye(4)[blobs[1]]
    whole, stream, resumed = (fl.Model([fl.Input(8), *layers], seed=2) for _ in range(3))
    for model in (whole, stream, resumed):
        model.compile(copy.copy(optimizer), loss, metrics=["mae"])
    expected = whole.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, validation_data=(x, y))
    if cut_after is not None:

        def fail(batch, logs):
            if (stream.get_state()["epoch"], batch) == (1, cut_after):
                raise InterruptedError

        backup = fl.BackupAndRestore(tmp_path / "fit", every_batches=2)
        callbacks = [backup, fl.LambdaCallback(on_batch_end=fail)]
        with pytest.raises(InterruptedError):
            stream.fit(cut(x, y), epochs=3, validation_data=(x, y), callbacks=callbacks)
        stream = resumed
    backup = [] if cut_after is None else [fl.BackupAndRestore(tmp_path / "fit")]
    history = stream.fit(cut(x, y), epochs=3, validation_data=cut(x, y), callbacks=backup)
    assert history.history == expected.history
    assert_same_model(stream, whole)
