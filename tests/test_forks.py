"""Processes that fork, or end, while another thread trains."""

from __future__ import annotations

import pytest

MODELS = """
import os, sys, threading, time
import numpy as np
import fallline as fl

rng = np.random.default_rng(0)
X, y = rng.normal(size=(4000, 32)).astype(np.float32), rng.integers(0, 4, 4000)

def classifier(*layers):
    model = fl.Model([fl.Input(32), fl.Dense(64, "relu"), *layers, fl.Dense(4, "softmax")], seed=0)
    model.compile(fl.SGD(0.01, momentum=0.9), "cross_entropy")
    return model

def in_child(f, seconds=30):
    '''The exit code of a child that runs f; None if it hangs.'''
    child = os.fork()
    if child == 0:
        try:
            code = f()
        except BaseException as error:
            print(type(error).__name__, error, file=sys.stderr)
            code = 99
        os._exit(code or 0)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None
"""

# The weights that a child finds are those after some whole number of steps, which the parent retraces.
FORKS = """
TIMES = {times}
busy, mine, stop = classifier(), classifier(), threading.Event()

class Stop(fl.Callback):
    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = stop.is_set()

thread = threading.Thread(target=lambda: busy.fit(X, y, epochs=10**6, callbacks=[Stop()]))
thread.start()
read, write = os.pipe()

def child():
    mine.fit(X[:500], y[:500])
    busy.predict(X)
    state = busy.get_state()
    busy.fit(X[:100], y[:100])
    if int.from_bytes(rng.bytes(1), "big") or True:
        kernel = state["arrays"]["1.kernel"].astype("float64").sum()
        os.write(write, np.array([state["step"], kernel, state["arrays"]["2.bias"][0]], "float64").tobytes())

codes = [in_child(child) for _ in range(TIMES)]
stop.set()
thread.join()
seen = np.frombuffer(b"".join(os.read(read, 24) for _ in range(codes.count(0)))).reshape(-1, 3)
retraced, steps = classifier(), {{int(step): row for step, *row in seen}}
class Compare(fl.Callback):
    compared = 0
    def on_batch_end(self, batch, logs):
        state = self.model.get_state()
        if state["step"] in steps:
            kernel, bias = steps[state["step"]]
            assert kernel == state["arrays"]["1.kernel"].astype("float64").sum(), state["step"]
            assert bias == state["arrays"]["2.bias"][0], state["step"]
            Compare.compared += 1
epochs = max(steps) // 125 + 1
retraced.fit(X, y, epochs=min(epochs, 400), callbacks=[Compare()])
print(sorted(set(codes), key=str), Compare.compared > 0)
"""


@pytest.mark.parametrize("times, threads", [(20, 2), (20, 1), pytest.param(1000, 2, marks=pytest.mark.slow)])
def test_a_child_finds_the_weights_of_one_step(times, threads, run_script):
    out = run_script(
        MODELS + FORKS.format(times=times), env={"FALLLINE_NUM_THREADS": str(threads)}, timeout=600
    )
    assert out == "[0] True\n"


def test_a_fork_inside_a_step_in_python_is_told(run_script):
    """An own layer holds the update up; the child may not use what is half changed, until it is set anew."""
    out = run_script(
        MODELS
        + """
inside, leave = threading.Event(), threading.Event()

class Slow(fl.Layer):
    def forward(self, x, training):
        if training:
            inside.set()
            leave.wait()
        return x
    def backward(self, gradient):
        return gradient

busy = classifier(Slow())
weights = busy.get_weights()
thread = threading.Thread(target=lambda: busy.fit(X, y))
thread.start()
inside.wait()

def child():
    leave.set()
    for call in (lambda: busy.predict(X), lambda: busy.fit(X, y), busy.get_weights):
        try:
            call()
            return 1
        except RuntimeError as error:
            assert "fork" in str(error) and "set_weights()" in str(error), error
    busy.set_weights(weights)
    busy.predict(X)
    busy.fit(X, y)

begun = time.monotonic()
code = in_child(child)
leave.set()
thread.join()
print(code, time.monotonic() - begun < 20)
""",
        timeout=120,
    )
    assert out == "0 True\n"


def test_a_layer_may_fork(run_script):
    out = run_script(
        MODELS
        + """
class Forking(fl.Layer):
    def forward(self, x, training):
        if training and not codes:
            codes.append(in_child(lambda: 0))
        return x
    def backward(self, gradient):
        return gradient

codes = []
classifier(Forking()).fit(X, y)
print(codes)
"""
    )
    assert out == "[0]\n"


@pytest.mark.parametrize(
    "call",
    [
        "model.fit(X, y, epochs=10**6)",
        "[model.predict(np.tile(X, (300, 1))) for _ in range(10**6)]",
        "fl.fit_many([model], X, y, epochs=10**6, verbose=0)",
        "slow.fit(X, y, epochs=10**6)",
        "[model.train_on_batch(X, y) for _ in range(10**6)]",
        "[slow.predict(X) for _ in range(10**6)]",
        "fl.minimize(lambda x: ((x**2).sum(), 2 * x), np.ones(9), optimizer=fl.LBFGS(gtol=0), max_iterations=10**9)",
        "[fl.minimize(lambda x: (x**2).sum(), x0=np.ones(9), optimizer=fl.SimulatedAnnealing()) for _ in range(99)]",
    ],
)
def test_a_daemon_thread_does_not_end_the_process(call, run_script):
    """It is parked where it needs Python, which has ended."""
    out = run_script(
        MODELS
        + f"""
class Own(fl.Layer):
    def forward(self, x, training):
        return x
    def backward(self, gradient):
        return gradient

model, slow = classifier(), classifier(Own())
threading.Thread(target=lambda: {call}, daemon=True).start()
time.sleep(0.3)
print("end")
"""
    )
    assert out == "end\n"


def test_models_work_while_the_interpreter_ends(run_script):
    out = run_script(
        """
import atexit
later = lambda: print(model.fit(X, y).history["loss"][0] > 0, model.predict(X).shape)
atexit.register(lambda: later())
"""
        + MODELS
        + """
model = classifier()
"""
    )
    assert out == "True (4000, 4)\n"


def test_a_child_trains_on_all_rows_on_threads_of_its_own(run_script):
    """Its first threads have the names of those that are gone, and the epoch that these left is over."""
    out = run_script(
        MODELS
        + """
busy, stop = classifier(), threading.Event()
class Stop(fl.Callback):
    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = stop.is_set()

thread = threading.Thread(target=lambda: busy.fit(X, y, epochs=10**6, callbacks=[Stop()]))
thread.start()
while busy._network.step < 50:
    time.sleep(0.001)

def child():
    together, locked = threading.Barrier(8), []
    def read():
        together.wait()
        for call in (lambda: busy.predict(X), lambda: busy.fit(X, y)):
            try:
                call()
            except RuntimeError as error:
                if "called from" in str(error):
                    locked.append(error)
    threads = [threading.Thread(target=read) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return bool(locked)

def child_in_the_middle():
    state = busy.get_state()
    if not state["begun"]:
        return 0
    told = classifier()
    told.set_state(state)
    busy.fit(X, y)
    told.fit(X, y)
    return 1 + all((a == b).all() for a, b in zip(told.get_weights(), busy.get_weights()))

print({in_child(child, 10) for _ in range(5)}, {in_child(child_in_the_middle) for _ in range(20)} - {0})
stop.set()
thread.join()
""",
        timeout=120,
    )
    assert out == "{0} {2}\n"
