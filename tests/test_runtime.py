"""Threads, targets and configuration of the process."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import fallline as fl
from fallline import _core
from helpers import refuses

SMALL_TRAINING = """
import hashlib
import numpy as np
import fallline as fl
rng = np.random.default_rng(0)
x, y = rng.normal(size=(300, 40)), rng.integers(0, 3, 300)
model = fl.Model([fl.Input(40), fl.Dense(50, activation="tanh"), fl.Dense(3, activation="softmax")], seed=0)
model.compile("adam", "cross_entropy")
loss = model.fit(x, y, epochs=3).history["loss"][-1]
"""
THREADS = "import fallline as fl; print(fl.get_num_threads())"
TARGETS = _core.config()["targets"]


def test_threads_are_set_and_put_back():
    default = fl.get_num_threads()
    assert 1 <= default <= len(os.sched_getaffinity(0))
    fl.set_num_threads(5)
    assert fl.get_num_threads() == 5
    with fl.threads(2):
        assert fl.get_num_threads() == 2
        with pytest.raises(KeyError), fl.threads(3):
            raise KeyError
        assert fl.get_num_threads() == 2
    assert fl.get_num_threads() == 5
    fl.set_num_threads(None)
    assert fl.get_num_threads() == default


@pytest.mark.parametrize("n", [0, -1, 4097, 2**40, 1.5, "2", True])
def test_bad_numbers_of_threads_change_nothing(n):
    exception = ValueError if type(n) is int else TypeError
    fl.set_num_threads(5)
    with refuses(exception, "^set_num_threads: n is "):
        fl.set_num_threads(n)
    with refuses(exception, "^threads: n is "), fl.threads(n):
        pass
    assert fl.get_num_threads() == 5


def test_the_default_respects_affinity(run_script):
    core = min(os.sched_getaffinity(0))
    assert run_script(f"import os; os.sched_setaffinity(0, {{{core}}}); {THREADS}") == "1\n"


@pytest.mark.parametrize(
    "env", [{"OMP_NUM_THREADS": "1"}, {"FALLLINE_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "1,4"}]
)
def test_the_default_respects_the_environment(env, run_script):
    assert run_script(THREADS, env=env) == "1\n"


def test_our_own_variable_comes_first(run_script):
    assert run_script(THREADS, env={"OMP_NUM_THREADS": "1", "FALLLINE_NUM_THREADS": "3"}) == "3\n"


IMPORT_ERROR = """
try:
    import fallline
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize("value", ["0", "-2", "many", "2x", "2.0", "5000", "9" * 30])
def test_a_nonsensical_number_of_threads_is_one_error_at_import(value, run_script):
    message = f"fallline: FALLLINE_NUM_THREADS is '{value}'; expected a whole number from 1 to 4096\n"
    assert run_script(IMPORT_ERROR, env={"FALLLINE_NUM_THREADS": value}) == message


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_variable_says_nothing(value, run_script):
    assert run_script(THREADS, env={"FALLLINE_NUM_THREADS": value}) == run_script(THREADS)


def test_a_block_gives_the_default_back_as_a_default(run_script):
    """A default that changes later is followed, after a block and within one of None."""
    out = run_script(
        """
        import os
        import fallline as fl
        fl.set_num_threads(4)
        with fl.threads(None):
            os.environ["FALLLINE_NUM_THREADS"] = "3"
            print(fl.get_num_threads())
        print(fl.get_num_threads())
        fl.set_num_threads(None)
        with fl.threads(7):
            os.environ["FALLLINE_NUM_THREADS"] = "5"
        print(fl.get_num_threads())
        """
    )
    assert out.split() == ["3", "4", "5"]


def test_set_inside_a_block_ends_with_it():
    fl.set_num_threads(6)
    with fl.threads(2):
        fl.set_num_threads(3)
        with fl.threads(5):
            fl.set_num_threads(None)
        assert fl.get_num_threads() == 3
    assert fl.get_num_threads() == 6


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_blocks_that_overlap_end_in_any_order(order):
    fl.set_num_threads(9)
    blocks = [fl.threads(n) for n in (2, 3, 4)]
    for block in blocks:
        block.__enter__()
    at_work = [2, 3, 4]
    for i in order:
        assert fl.get_num_threads() == at_work[-1]
        blocks[i].__exit__(None, None, None)
        at_work.remove(i + 2)
    assert fl.get_num_threads() == 9


def test_many_threads_enter_and_leave_blocks():
    def enter_and_leave(n):
        for _ in range(200):
            with fl.threads(n), fl.threads(n + 1):
                fl.get_num_threads()

    fl.set_num_threads(7)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enter_and_leave, [1, 2, 3, 4]))
    assert fl.get_num_threads() == 7


def test_blocks_of_other_threads_end_in_a_forked_child(run_script):
    run_script(
        """
        import os, threading
        import fallline as fl

        before, inside, leave = fl.get_num_threads(), threading.Event(), threading.Event()

        def elsewhere():
            with fl.threads(before + 2):
                inside.set()
                leave.wait()

        thread = threading.Thread(target=elsewhere, daemon=True)
        with fl.threads(before + 1):
            thread.start()
            inside.wait()
            child = os.fork()
            if child == 0:
                os._exit(fl.get_num_threads() != before + 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert fl.get_num_threads() == before + 2
            leave.set()
            thread.join()
        assert fl.get_num_threads() == before
        """
    )


def test_a_block_is_left_in_a_forked_child(run_script):
    out = run_script(
        """
        import os
        import fallline as fl
        fl.set_num_threads(6)
        with fl.threads(2):
            child = os.fork()
        if child == 0:
            os._exit(fl.get_num_threads())
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        """
    )
    assert out == "6\n"


def test_show_config_tells_and_prints(capsys):
    config = fl.show_config()
    printed = capsys.readouterr().out
    assert {"version", "compiler", "targets", "target", "target_reason", "threads", "threads_reason"} <= set(
        config
    )
    assert config["version"] == fl.__version__ == _core.__version__
    assert config["target"] in config["targets"]
    assert config["target"] == _core.target
    for key in ("version", "compiler", "target", "threads"):
        assert f"{config[key]}" in printed


def test_threads_reason_follows_what_was_set():
    fl.set_num_threads(3)
    assert _core.config()["threads"] == 3


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_trains(target, run_script):
    """Each target of this build that the CPU has gives nearly the same loss; the others say why not."""
    if target not in supported():
        out = run_script(
            """
            try:
                import fallline
            except ImportError as error:
                print("FALLLINE_TARGET" in str(error))
            """,
            env={"FALLLINE_TARGET": target},
        )
        assert out == "True\n"
        return
    out = run_script(SMALL_TRAINING + "\nprint(fl._core.target, loss)", env={"FALLLINE_TARGET": target})
    name, loss = out.split()
    assert name == target
    scope: dict = {}
    exec(SMALL_TRAINING, scope)
    assert float(loss) == pytest.approx(scope["loss"], rel=1e-4)


def supported():
    """Targets whose CPU features this machine lists."""
    from pathlib import Path

    flags = set()
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("flags"):
            flags = set(line.split(":")[1].split())
    needs = {
        "baseline": set(),
        "avx2": {"avx2", "fma"},
        "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
    }
    return {name for name in TARGETS if needs.get(name, {name}) <= flags}


def test_the_best_target_is_chosen():
    if "FALLLINE_TARGET" in os.environ:
        assert _core.target == os.environ["FALLLINE_TARGET"]
    else:
        assert _core.target == [t for t in TARGETS if t in supported()][-1]


def test_an_unknown_target_lists_the_known_ones(run_script):
    out = run_script(IMPORT_ERROR, env={"FALLLINE_TARGET": "avx3"})
    assert "FALLLINE_TARGET" in out
    assert "avx3" in out
    assert all(target in out for target in supported())


def test_import_is_light(run_script):
    """Nothing heavy comes along: no progress bars, plots, thread pools or peers."""
    out = run_script(
        """
        import sys
        import numpy
        before = set(sys.modules)
        import fallline
        new = {name.partition(".")[0] for name in set(sys.modules) - before}
        heavy = "tqdm sklearn matplotlib pandas torch scipy concurrent multiprocessing asyncio".split()
        print(sorted(new & set(heavy)))
        """
    )
    assert out == "[]\n"


def test_the_extension_says_whether_it_was_forked(run_script):
    out = run_script(
        """
        import os
        from fallline import _core
        assert not _core.forked()
        if os.fork() == 0:
            os._exit(10 + _core.forked())
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        """
    )
    assert out == "11\n"
