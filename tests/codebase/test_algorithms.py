"""docs/algorithms.md is complete, and everything that it names exists."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

import fallline as fl
from codebase.tree import ROOT
from fallline.activations import ACTIVATIONS

PAGE = (ROOT / "docs/algorithms.md").read_text()
CODE = re.findall(r"`([^`]+)`", PAGE)
TESTS = sorted({token for token in CODE if "::" in token})
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
IN_ROWS = {token for row in ROWS for token in re.findall(r"`([^`]+)`", row[1]) if "::" not in token}
IN_TEXT = {token for token in CODE if re.match(r"[A-Z]\w*[.(]", token)}
BASE_KINDS = (fl.Optimizer, fl.Layer, fl.Loss, fl.Regularizer, fl.samplers.Sampler, fl.schedules.Schedule)
KINDS = (*BASE_KINDS, fl.constraints.MaxNorm)
BASES = {*BASE_KINDS, fl.FirstOrder, fl.Minimizer, fl.losses.FunctionLoss}


def public():
    """Classes of KINDS that users make."""
    modules = (fl, fl.schedules, fl.samplers)
    return {
        value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, KINDS) and not name.startswith("_")
    }


@pytest.mark.parametrize("named", TESTS)
def test_a_named_test_exists(named):
    path, name = named.split("::")
    tree = ast.parse((ROOT / "tests" / path).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("expression", sorted(IN_ROWS | IN_TEXT))
def test_a_named_class_takes_the_arguments(expression):
    eval(expression, vars(fl).copy())


@pytest.mark.parametrize("kind", sorted(public() - BASES, key=lambda kind: kind.__name__))
def test_every_algorithm_has_a_row(kind):
    assert kind.__name__ in {re.match(r"(?:schedules\.|samplers\.)?(\w+)", token)[1] for token in IN_ROWS}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_has_a_row(name):
    assert f'`Activation("{name}")`' in PAGE


def test_every_experiment_is_on_the_page():
    """At least one test of each file, and each example."""
    files = [path.name for path in (ROOT / "tests/experiments").glob("test_*.py")]
    assert {name for name in files if f"experiments/{name}::" not in PAGE} == set()
    examples = [path for path in (ROOT / "docs/examples").glob("*.py") if "__main__" in path.read_text()]
    assert {path.name for path in examples if f"(examples/{path.name})" not in PAGE} == set()
