"""Every public class and function is documented as a user needs it."""

from __future__ import annotations

import inspect

import pytest

import fallline as fl

# base classes and what is never made by a user: no example of their own
BASES = {
    fl.Layer,
    fl.Loss,
    fl.Metric,
    fl.Optimizer,
    fl.FirstOrder,
    fl.Minimizer,
    fl.Regularizer,
    fl.samplers.Sampler,
    fl.NonFiniteLoss,
    fl.Diagnosis,
    fl.Basin,
    fl.Minima,
    fl.Minimum,
    fl.ModelBasin,
    fl.MultiStart,
}


def public():
    """(name, object) of every public class and function, of the package and its documented modules."""
    found = {}
    for module in (fl, fl.ops, fl.initializers, fl.metrics, fl.samplers, fl.schedules):
        for name, value in vars(module).items():
            is_code = inspect.isclass(value) or inspect.isfunction(value)
            if is_code and not name.startswith("_") and value.__module__.startswith("fallline"):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return sorted(found.items())


everything = pytest.mark.parametrize("name, thing", public(), ids=lambda v: v if isinstance(v, str) else "")
classes = pytest.mark.parametrize(
    "name, thing",
    [(n, t) for n, t in public() if inspect.isclass(t)],
    ids=lambda v: v if isinstance(v, str) else "",
)


def test_all_is_complete():
    assert sorted(fl.__all__) == sorted(set(fl.__all__))
    for name in fl.__all__:
        assert getattr(fl, name) is not None
    public_names = {
        n
        for n, v in vars(fl).items()
        if not n.startswith("_") and getattr(v, "__module__", "").startswith("fallline")
    }
    assert public_names <= set(fl.__all__)


@everything
def test_the_first_line_is_a_sentence(name, thing):
    doc = inspect.getdoc(thing)
    assert doc, name
    assert doc.splitlines()[0].rstrip().endswith((".", ":", "...")) or "." in doc.split("\n\n")[0]


def own_arguments(thing):
    target = thing.__init__ if inspect.isclass(thing) else thing
    if inspect.isclass(thing) and "__init__" not in vars(thing):
        return []
    return [p for p in inspect.signature(target).parameters if p not in ("self", "args", "kwargs", "options")]


def is_api(thing):
    """Whether a user calls it with arguments to look up."""
    return thing.__module__.split(".")[1] in (
        "layers", "optimizers", "losses", "metrics", "regularizers", "schedules", "callbacks", "model", "ops",
        "runtime", "averages", "diagnosis", "samplers", "search"
    )  # fmt: skip


@everything
def test_every_argument_is_explained(name, thing):
    if not is_api(thing):
        return
    doc = inspect.getdoc(thing) or ""
    for argument in own_arguments(thing):
        assert f"{argument}:" in doc, f"{name}: {argument} is not explained"


@everything
def test_there_is_an_example(name, thing):
    if thing not in BASES and is_api(thing):
        assert "Example" in inspect.getdoc(thing), name
        assert ">>>" in inspect.getdoc(thing), name


@classes
def test_layers_give_shapes(name, thing):
    if issubclass(thing, fl.Layer) and thing is not fl.Layer:
        assert "Shapes:" in inspect.getdoc(thing), name


@classes
def test_what_raises_says_so(name, thing):
    kinds = (fl.Layer, fl.Optimizer, fl.Callback, fl.schedules.Schedule, fl.Model)
    if issubclass(thing, kinds) and thing not in (*kinds[:-1], *BASES, fl.Activation):
        assert "Raises:" in inspect.getdoc(thing), name


@classes
def test_optimizers_cite_their_paper(name, thing):
    if issubclass(thing, fl.Optimizer) and thing not in {*BASES, fl.Chain}:
        assert "References:" in inspect.getdoc(thing), name


@classes
def test_public_methods_are_documented(name, thing):
    for method, value in vars(thing).items():
        if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert inspect.getdoc(getattr(thing, method)), f"{name}.{method}"
