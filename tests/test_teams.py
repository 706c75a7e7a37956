"""Teams of threads on machines that have no threads, or no CPUs, to spare."""

from __future__ import annotations

import os

import pytest

CALLS = """
import os, resource, sys, threading
import numpy as np
import fallline as fl

rng = np.random.default_rng(0)
x, y = rng.normal(size=(1500, 64)).astype(np.float32), rng.integers(0, 10, 1500)

def model(optimizer="adam"):
    m = fl.Model([fl.Input(64), fl.Dense(128, "relu"), fl.Dense(10, "softmax")], seed=0)
    m.compile(optimizer, "cross_entropy")
    return m

def results():
    '''The bytes that come out of every kind of call that large work spreads over a team.'''
    trained, batches, down, many = model(), model(), model(fl.LBFGS()), [model() for _ in range(4)]
    trained.fit(x, y, batch_size=256, epochs=2)
    batches.train_on_batch(x, y)
    batches.fit(((x[i:i + 500], y[i:i + 500]) for i in (0, 500, 1000)))
    down.fit(x, y, epochs=2)
    fl.fit_many(many, x, y, epochs=1, verbose=0)
    theta = np.ones(10**6)
    fl.Adam().step([theta], [np.full(10**6, 2.0)])
    loss, gradients = trained.loss_and_gradients(x, y)
    numbers = [trained.predict(x), np.array([trained.evaluate(x, y)["loss"], loss]), *gradients, theta]
    numbers += [w for m in (trained, batches, down, *many) for w in m.get_weights()]
    numbers.append(fl.ops.matmul(x.T, x))
    return b"".join(n.tobytes() for n in numbers)

def own_threads():
    return len(os.listdir("/proc/self/task"))
"""

NOT_GRANTED = """
GRANTED = {granted}
with fl.threads(1):
    alone = results()
if os.getuid() == 0:  # whom this limit does not bind
    uid = 200_000 + os.getpid()
    os.setgid(uid)
    try:
        os.setuid(uid)
    except OSError:
        sys.exit(print("cannot be tried"))
elif GRANTED > 0:  # other processes of the user count too
    sys.exit(print("cannot be tried"))
hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
resource.setrlimit(resource.RLIMIT_NPROC, (own_threads() + GRANTED if os.getuid() > 200_000 else 1, hard))
leave = threading.Event()
try:
    others = [threading.Thread(target=leave.wait, daemon=True) for _ in range(GRANTED + 1)]
    for other in others:
        other.start()
except RuntimeError:
    pass
else:
    sys.exit(print("cannot be tried"))
finally:
    leave.set()
for other in others[:GRANTED]:
    other.join()
fl.set_num_threads(6)
for _ in range(3):
    assert results() == alone
resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
assert results() == alone
print("as alone")
"""


@pytest.mark.parametrize("granted", [0, 1, 2, 5, 9])
def test_work_goes_on_where_the_system_grants_fewer_threads(granted, run_script):
    out = run_script(CALLS + NOT_GRANTED.replace("{granted}", str(granted)))
    if out == "cannot be tried\n":
        pytest.skip("the limit of processes does not bind here")
    assert out == "as alone\n"


SMALL_CALLS = """
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2000, 64)).astype(np.float32), rng.integers(0, 10, 2000)
calls = {
    "fit": lambda m: m.fit(x, y, batch_size=64),
    "partial_fit": lambda m: m.partial_fit(x, y),
    "predict": lambda m: m.predict(x),
    "evaluate": lambda m: m.evaluate(x, y),
    "loss_and_gradients": lambda m: m.loss_and_gradients(x, y),
    "fit_many": lambda m: fl.fit_many([small_model() for _ in range(8)], x[:400], y[:400], verbose=0),
}

def small_model():
    m = fl.Model([fl.Input(64), fl.Dense(10, "softmax")], seed=0)
    m.compile("adam", "cross_entropy")
    return m
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_the_first_call_on_a_small_job_begins_with_one_thread(run_script):
    out = run_script(
        CALLS
        + SMALL_CALLS
        + """
for name in "predict", "evaluate", "loss_and_gradients", "fit_many":
    before = own_threads()
    calls[name](model())
    print(own_threads() - before)
fl.set_num_threads(2)  # who asks for them gets them
model().predict(x)
print(own_threads() - before)
""",
        env={"FALLLINE_NUM_THREADS": "", "OMP_NUM_THREADS": ""},
    )
    assert out.split() == ["0", "0", "0", "0", "1"]


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_short_calls_on_a_busy_machine_are_no_slower_by_default(run_script):
    out = run_script(
        CALLS
        + SMALL_CALLS
        + """
import statistics, subprocess, time
busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
try:
    for name, call in calls.items():
        models, seconds = {1: model(), None: model()}, {1: [], None: []}
        for _ in range(60):
            for threads in models:
                with fl.threads(threads):
                    begun = time.perf_counter()
                    call(models[threads])
                    seconds[threads].append(time.perf_counter() - begun)
        print(name, statistics.median(seconds[None]) / statistics.median(seconds[1]))
finally:
    for process in busy:
        process.kill()
""",
        env={"FALLLINE_NUM_THREADS": "", "OMP_NUM_THREADS": ""},
    )
    slower = {name: float(ratio) for name, ratio in (line.split() for line in out.splitlines())}
    assert len(slower) == 6
    assert max(slower.values()) < 3, slower
