"""Every example of docs/examples/ runs, and finds what it says."""

from __future__ import annotations

import re
import sys

import pytest

from codebase.tree import ROOT

# name: what its last lines say
CONCLUSIONS = {
    "annealing": r"solved: annealing 100, greedy [78]\d, descent 9\d\n"
    r".*8 bits, where annealing ends at 0\.\d\d and Adam at \de-0[67]",
    "basins": r"every ball in the same valley: True, for 4\.6 times fewer evaluations\n[^!]*"
    r"learn XOR: 0, [345]\d, 5[5-9], 60\n",
    "critical_points": r"(?s)cliff +1441\.6\d\d .* 2718\.\d+\ncliff, clipped .* 0\.500\n.* at -6\.55",
    "ewa": r"window of 50: 49 days late, noise of 0\.1\d",
    "learned_sampling": r"rare: loss times 0\.[89]\d, norm² times 0\.5\d\n"
    r"[\s\S]*even: loss times (0\.9|1\.0)\d, norm² times (0\.9|1\.0)\d\n",
    "minibatch_or_full": r"batches: 29 times less work, the loss differs by 0\.00\d\d",
    "mnist_settings": r"best on the test images: ReLU",
    "quasi_newton": r"for many points take: Adam, batches",
    "regularisation": r"lower validation loss than none: L2 0\.01, L1 0\.001, dropout 0\.5, stopped early",
    "saddle_race": r"out of the saddle: AdaDelta; RMSProp; Nesterov; Adam; momentum; RMSProp, s from 1; descent\n",
    "sweep": r"best: rate 0\.3, width 16\ntest loss: members 0\.2\d\d, their mean 0\.2[0-4]\d",
    "vanishing_gradients": r"vanishes with ten layers: sigmoid, Glorot; sigmoid, N\(0, 0\.01\)\n"
    r"explodes with ten layers: tanh, N\(0, 1\)",
    "xor_alpha_sweep": r"smallest error at the rate 10\b",
}
SCRIPTS = {
    path.stem: path.read_text()
    for path in sorted((ROOT / "docs/examples").glob("*.py"))
    if "__main__" in path.read_text()
}


def test_every_example_has_a_conclusion():
    assert sorted(SCRIPTS) == sorted(CONCLUSIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONCLUSIONS)
def test_conclusion(name, printed, request):
    if "FALLLINE_DATA" in SCRIPTS[name]:
        request.getfixturevalue("mnist")
    assert re.search(CONCLUSIONS[name], printed(name).text)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, source in SCRIPTS.items() if "--picture" in source])
def test_picture(name, printed):
    pytest.importorskip("matplotlib")
    assert printed(name).picture.stat().st_size > 10000


def test_examples_are_short():
    assert {name: n for name, source in SCRIPTS.items() if (n := source.count("\n")) > 95} == {}


def test_examples_need_fallline_and_numpy_only():
    """And siblings, and matplotlib where a picture is asked for."""
    allowed = {"fallline", "numpy", "matplotlib", "moons", *sys.stdlib_module_names}
    named = re.findall(r"^\s*(?:from|import) (\w+)", "\n".join(SCRIPTS.values()), re.MULTILINE)
    assert set(named) - allowed == set()
