"""A model is read while it learns: by other threads, from inside its step, beside its average."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, assert_same_model, refuses


def classifier(optimizer="adam", *layers, seed=0, **options):
    model = fl.Model([fl.Dense(64, "relu"), *layers, fl.Dense(4, "softmax")], seed=seed, **options)
    model.compile(optimizer, "cross_entropy")
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(4000, 32)).astype(np.float32), rng.integers(0, 4, 4000)


class Passing(fl.Layer):
    """Passes everything on, in Python."""

    def forward(self, x, training):
        return x

    def backward(self, gradient):
        return gradient


FITS = {
    "fit": lambda m, X, y: m.fit(X, y, epochs=12),
    "one long run": lambda m, X, y: m.fit(X, y, epochs=12, verbose=0, batch_size=8),
    "stream": lambda m, X, y: m.fit([(X[i : i + 50], y[i : i + 50]) for i in range(0, 4000, 50)], epochs=12),
    "partial_fit": lambda m, X, y: [m.partial_fit(X, y) for _ in range(12)],
    "train_on_batch": lambda m, X, y: [m.train_on_batch(X[i : i + 50], y[i : i + 50]) for i in range(3000)],
    "AWSGD": lambda m, X, y: m.fit(X, y, epochs=12, sampler=fl.samplers.AWSGD("classes")),
    "fit_many": lambda m, X, y: fl.fit_many([m], X, y, epochs=12, verbose=0),
    "metrics and validation": lambda m, X, y: m.fit(X, y, epochs=12, validation_split=0.2),
}
OPTIMIZERS = {
    "L-BFGS": lambda: fl.LBFGS(max_iterations=40),
    "chain": lambda: fl.Chain([("adam", 4), (fl.LBFGS(), 8)]),
}


def beside(train, *readers):
    """Run each reader again and again, on a thread of its own, while train() runs; return how often."""
    over, errors, counts = threading.Event(), [], [0] * len(readers)

    def loop(place, read):
        try:
            while not over.is_set():
                read()
                counts[place] += 1
        except BaseException as error:
            errors.append(error)
            over.set()

    threads = [threading.Thread(target=loop, args=item) for item in enumerate(readers)]
    for thread in threads:
        thread.start()
    try:
        train()
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert errors == []
    return counts


@pytest.mark.parametrize("way", [*FITS, *OPTIMIZERS])
def test_a_fit_goes_on_beside_readers_with_the_same_bits(way, data):
    X, y = data
    train = FITS.get(way, lambda m, X, y: m.fit(X, y))
    make = lambda: classifier(OPTIMIZERS.get(way, lambda: "adam")())  # noqa: E731
    alone, watched = make(), make()
    for model in (alone, watched):
        model.build(32)
    train(alone, X, y)
    readers = (
        lambda: watched.predict(X[:200]),
        lambda: watched.evaluate(X[:200], y[:200]),
        watched.get_weights,
        lambda: watched.save(io.BytesIO()),
        lambda: watched.loss_and_gradients(X[:50], y[:50]),
    )
    counts = beside(lambda: train(watched, X, y), *readers)
    assert min(counts) > 0
    assert_same_model(watched, alone)


def test_a_fit_with_layers_in_python_goes_on_beside_readers(data):
    X, y = data
    alone, watched = (classifier("adam", Passing()) for _ in range(2))
    for model in (alone, watched):
        model.build(32)
    alone.fit(X, y, epochs=4)
    beside(lambda: watched.fit(X, y, epochs=4), lambda: watched.predict(X[:50]), watched.get_weights)
    assert_same_model(watched, alone)


def test_what_is_read_is_of_one_step():
    """Each update halves all weights: every array of a state tells the same step."""
    model = fl.Model([fl.Input(40), *(fl.Dense(40, use_bias=False) for _ in range(30))], seed=0)
    model.compile(fl.SGD(0.5, weight_decay=1.0), "mse")
    model.set_weights([np.full_like(w, 2.0**100) for w in model.get_weights()])
    seen = []

    def look():
        state = model.get_state()
        kernels = np.array([w for name, w in state["arrays"].items() if name.endswith("kernel")])
        seen.append({state["step"], *(100 - np.log2(kernels)).ravel()})

    x, y = np.zeros((1, 40), np.float32), np.zeros((1, 40), np.float32)

    def train():
        for _ in range(60):
            model.train_on_batch(x, y)
            time.sleep(0.001)

    beside(train, look, lambda: model.save(io.BytesIO()))
    assert len(seen) > 5
    assert {len(steps) for steps in seen} == {1}
    assert len(set().union(*seen)) > 2


@pytest.mark.parametrize("threads", [1, 2])
def test_a_reader_waits_no_longer_than_an_update(threads, rng):
    X, y = rng.normal(size=(20_000, 64)).astype(np.float32), rng.integers(0, 4, 20_000)
    model, over = classifier(), threading.Event()
    model.build(64)
    counts = []

    class Stop(fl.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = over.is_set()

    with fl.threads(threads):
        fit = threading.Thread(target=lambda: model.fit(X, y, epochs=10**6, callbacks=[Stop()]))
        fit.start()
        for _ in range(20):
            model.predict(X[:10])
            counts.append(model._network.epoch)
        over.set()
        fit.join(60)
    assert not fit.is_alive()
    assert counts[-1] < 200  # twenty answers did not take hundreds of epochs


def test_a_call_from_inside_a_step_is_refused_at_once(data):
    X, y = data

    def refused(call):
        model = None

        class Calling(Passing):
            def forward(self, x, training):
                if training:
                    call(model)
                return x

        model = classifier("adam", Calling())
        model.build(32)
        before = model.get_weights()
        with refuses(RuntimeError, "inside an update"):
            model.fit(X, y)
        assert_same_bits(model.get_weights(), before)

    refused(lambda m: m.predict(X))
    refused(lambda m: m.evaluate(X, y))
    refused(lambda m: m.get_weights())
    refused(lambda m: m.set_weights(m.get_weights()))


def test_a_loss_that_calls_its_model_is_refused(data):
    X, _ = data
    model = fl.Model([fl.Dense(1)], seed=0)
    model.compile("sgd", lambda t, p: model.predict(X) and None)
    with refuses(RuntimeError, "inside an update"):
        model.fit(X, X[:, 0])


@pytest.mark.parametrize("call", ["fit", "partial_fit", "train_on_batch", "compile", "fit_many"])
def test_a_fit_inside_a_fit_says_so(call, data):
    X, y = data
    model = classifier()
    calls = {
        "fit": lambda: model.fit(X, y),
        "partial_fit": lambda: model.partial_fit(X, y),
        "train_on_batch": lambda: model.train_on_batch(X, y),
        "compile": lambda: model.compile("sgd", "cross_entropy"),
        "fit_many": lambda: fl.fit_many([model], X, y, verbose=0),
    }
    with refuses(RuntimeError, "in a fit that this is called from"):
        model.fit(X, y, callbacks=[fl.LambdaCallback(on_epoch_end=lambda epoch, logs: calls[call]())])
    model.fit(X, y)


def test_the_average_is_seen_by_its_thread_alone(data):
    X, y = data
    model = classifier(fl.Adam(0.01, average=0.9))
    model.fit(X, y)
    weights = model.get_weights()
    with model.averaged():
        shown = model.get_weights()
        assert (shown[0] != weights[0]).any()
        seen = []
        other = threading.Thread(target=lambda: seen.append((model.get_weights(), model.predict(X))))
        other.start()
        other.join()
        assert (model.predict(X) != seen[0][1]).any()
    assert_same_bits(seen[0][0], weights)
    assert_same_bits([model.predict(X)], [seen[0][1]])


def test_a_fit_goes_on_while_another_thread_looks_at_its_average(data):
    X, y = data
    alone, watched = (classifier(fl.Adam(0.01, average=0.9)) for _ in range(2))
    for model in (alone, watched):
        model.build(32)
    alone.fit(X, y, epochs=10, validation_split=0.2)

    def look():
        with watched.averaged():
            first = watched.get_weights()
            assert_same_bits(watched.get_weights(), first)
            watched.predict(X[:20])

    [count] = beside(lambda: watched.fit(X, y, epochs=10, validation_split=0.2), look)
    assert count > 0
    assert_same_model(watched, alone)


def test_readers_never_see_the_average_of_validation(data):
    X, y = data
    model = classifier(fl.Adam(0.5, average=0.999))
    model.fit(X, y)
    validation = (np.repeat(X, 20, axis=0), np.repeat(y, 20))
    with model.averaged():
        average = model.evaluate(*validation)["loss"]
    before = model.get_weights()[0]
    seen = []
    model.compile(fl.SGD(0.0, average=0.5), "cross_entropy")
    model.fit(X, y)
    assert average > 0
    beside(
        lambda: model.fit(X, y, epochs=5, validation_data=validation),
        lambda: seen.append((model.get_weights()[0] == before).all()),
    )
    assert seen
    assert all(seen)


def test_best_weights_come_back_beside_readers(run_script):
    out = run_script(
        """
import threading
import numpy as np
import fallline as fl
rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 32)).astype(np.float32), rng.integers(0, 4, 200)
models = [fl.Model([fl.Input(32), fl.Dense(256, "relu"), fl.Dense(4, "softmax")], seed=s) for s in range(8)]
for model in models:
    model.compile(fl.Adam(0.05), "cross_entropy")
over = threading.Event()
def look():
    while not over.is_set():
        for model in models:
            model.get_state()
for _ in range(2):
    threading.Thread(target=look, daemon=True).start()
stop = fl.EarlyStopping(patience=20)
for _ in range(15):
    fl.fit_many(models, X, y, epochs=4, validation_data=(X, y[::-1].copy()), early_stopping=stop, verbose=0)
over.set()
print("end")
""",
        timeout=60,
    )
    assert out == "end\n"


def test_an_average_inside_an_average_is_the_same(data):
    model = classifier(fl.Adam(0.01, average=0.9))
    model.fit(*data)
    with model.averaged():
        shown = model.get_weights()
        with model.averaged():
            assert_same_bits(model.get_weights(), shown)
        assert_same_bits(model.get_weights(), shown)
