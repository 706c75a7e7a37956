"""One contestant in a process of its own, asked over a pipe for one round at a time.

Thread pools and BLAS settings of one library cannot disturb another; between rounds a worker only waits, and
the driver sleeps long enough for its pool to stop spinning.
"""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FALLLINE_NUM_THREADS")
CHECK_STEPS = 8
ROUND_SECONDS = 0.3


class Worker:
    """The driver's end: starts the process, forwards calls, raises what the contestant raised."""

    def __init__(self, name: str, threads: int) -> None:
        """Start the process; `reason` says why it cannot take part, or is None."""
        for variable in THREAD_VARIABLES:
            os.environ[variable] = str(threads)
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, name, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.reason: str | None = None
        try:
            self.about: dict[str, Any] = self.ask("about")
        except RuntimeError as error:
            self.reason = str(error)

    def ask(self, call: str, *arguments: Any) -> Any:
        """Forward one call and wait for its answer."""
        self.pipe.send((call, arguments))
        try:
            answered, answer = self.pipe.recv()
        except EOFError:
            answered, answer = False, f"process ended with code {self.process.exitcode}"
        if not answered:
            raise RuntimeError(f"{self.name}: {answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.join()


class Session:
    """The worker's end: what can be asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.case: Any = None
        self.current: Any = None
        self.epochs = 1

    def about(self) -> dict[str, Any]:
        """Import the library; its versions, and what fallline chose."""
        from bench.peers import DISTRIBUTIONS

        versions = {package: importlib.metadata.version(package) for package in DISTRIBUTIONS[self.name]}
        if self.name != "fallline":
            return {"versions": versions}
        from fallline import _core

        return {"versions": versions, "config": _core.config()}

    def check(self, case_name: str) -> list[float]:
        """Mean losses of two short epochs in file order, from the shared starting weights."""
        return self.contestant(case_name, CHECK_STEPS).train(2, shuffle=False).tolist()

    def prepare(self, case_name: str) -> int:
        """Set the case up, compile, warm up, and return the epochs that fill a round."""
        self.current = None  # frees the last case before the next is made
        self.current = self.contestant(case_name)
        self.current.train(1)
        start = time.perf_counter()
        self.current.train(1)
        epochs = max(1, round(ROUND_SECONDS / (time.perf_counter() - start)))
        # One epoch alone may have been mostly fixed costs.
        start = time.perf_counter()
        self.current.train(epochs)
        self.epochs = max(1, round(epochs * ROUND_SECONDS / (time.perf_counter() - start)))
        return self.epochs

    def round(self) -> float:
        """Seconds an epoch took, over one round from the starting weights."""
        self.current.reset()
        if self.epochs > 1:
            self.current.train(max(1, self.epochs // 10))
        start = time.perf_counter()
        self.current.train(self.epochs)
        return (time.perf_counter() - start) / self.epochs

    def fit(self) -> tuple[list[float], list[float]]:
        """Seconds and mean loss of each epoch of a fit from the starting weights to the end."""
        self.current.reset()
        seconds, losses = [], []
        for _ in range(self.case.epochs):
            start = time.perf_counter()
            losses += self.current.train(1).tolist()
            seconds.append(time.perf_counter() - start)
        return seconds, losses

    def contestant(self, case_name: str, steps: int | None = None) -> Any:
        """The library with the case, or its first steps, set up in it."""
        from bench.cases import ALL
        from bench.many import CONTESTANTS as OF_MANY
        from bench.peers import CONTESTANTS

        self.case = case = ALL[case_name] if steps is None else ALL[case_name].shortened(steps)
        x, y = case.data()
        if case.models == 1:
            return CONTESTANTS[self.name](case, x, y, case.weights())
        if self.name not in OF_MANY:
            raise NotImplementedError("many networks at once are not written")
        return OF_MANY[self.name](case, x, y, [case.weights(seed) for seed in range(case.models)])


def serve(pipe: Connection, name: str, threads: int) -> None:
    """Answer calls until the driver hangs up."""
    confine(threads)
    session = Session(name)
    while True:
        try:
            call, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(session, call)(*arguments)))
        except Exception as error:  # whatever it was, the driver is told
            pipe.send((False, f"{type(error).__name__}: {error}"))


def confine(threads: int) -> None:
    """Keep this process on as many CPUs as it may have threads, one a core: JAX takes no other limit."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.setdefault(siblings.read_text() if siblings.exists() else str(cpu), cpu)
    if threads <= len(cores):
        os.sched_setaffinity(0, list(cores.values())[:threads])
