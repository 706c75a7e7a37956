"""Teams of threads on machines that have no threads, or no CPUs, to spare."""

from __future__ import annotations

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
