"""Threads, targets and configuration of the process."""

from __future__ import annotations

import os

import numpy as np
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


@pytest.mark.parametrize(
    "n, exception", [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)]
)
def test_bad_numbers_of_threads(n, exception):
    before = fl.get_num_threads()
    with refuses(exception, "set_num_threads"):
        fl.set_num_threads(n)
    assert fl.get_num_threads() == before


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


@pytest.mark.parametrize("value", ["0", "-2", "many", "2x", ""])
def test_a_bad_variable_is_named_or_ignored(value, run_script):
    out = run_script(
        """
        import fallline as fl
        try:
            assert fl.get_num_threads() == 1 or not "{value}"
        except ValueError as error:
            assert "FALLLINE_NUM_THREADS" in str(error) and "{value}" in str(error), error
        """.replace("{value}", value),
        env={"FALLLINE_NUM_THREADS": value},
    )
    assert out == ""


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
    out = run_script(
        """
        try:
            import fallline
        except ImportError as error:
            print(error)
        """,
        env={"FALLLINE_TARGET": "avx3"},
    )
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


def test_arithmetic_is_not_changed_for_others():
    """No flush-to-zero: denormal numbers survive in NumPy and in the kernels after training."""
    exec(SMALL_TRAINING, {})
    tiny = np.array([np.finfo(np.float32).smallest_subnormal], dtype=np.float32)
    assert (tiny * np.float32(1)).item() > 0
    assert fl.ops.activate("relu", tiny).item() > 0
    one = np.ones((1, 1), dtype=np.float32)
    assert fl.ops.matmul(tiny[None], one).item() > 0
