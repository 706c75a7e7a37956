"""Which arguments may be told by their place, and what prints as it is written."""

from __future__ import annotations

import inspect
import json
import pickle

import numpy as np
import pytest

import fallline as fl
from cases import callbacks, layers, losses, metrics, minimizers, optimizers, samplers, schedules
from contracts.test_declaration_contract import INITIALIZERS, REGULARIZERS
from fallline.declaration import encode

MODULES = (
    fl, fl.callbacks, fl.constraints, fl.initializers, fl.layers, fl.losses, fl.metrics, fl.ops,
    fl.optimizers, fl.regularizers, fl.samplers, fl.schedules, fl.search,
)  # fmt: skip

# What neighbours have in the place of the first option is something else, and would pass in silence.
NO_OPTION_BY_PLACE = {
    "BackupAndRestore",  # Keras counts batches
    "BatchNormalization",  # Keras: axis; torch: the width
    "BinaryFocalCrossEntropy",  # Keras: apply_class_balancing, alpha
    "CosineDecay",  # Keras: end as a share of the first rate
    "CosineRestarts",  # Keras: t_mul
    "Embedding",  # Keras: the initializer; torch: padding_idx
    "FocalCrossEntropy",  # Keras: alpha
    "L1L2",  # either is as likely as the other
    "LBFGS",  # torch: the learning rate
    "LayerNormalization",  # Keras: axis; torch: the width
    "OneCycle",  # torch: epochs
    "PReLU",  # torch: the number of slopes
}

# What a model learns by is told apart by its kind, and Keras has the first two in the same places.
SUBJECTS = {"Model.compile": ["optimizer", "loss", "metrics"]}


def public():
    """Name -> every class, function and method of the package that a user calls."""
    found = {}
    for module in MODULES:
        for name in getattr(module, "__all__", vars(module)):
            thing = getattr(module, name)
            if not getattr(thing, "__module__", "").startswith("fallline") or name.startswith("_"):
                continue
            if inspect.isfunction(thing):
                found[name] = thing
            elif inspect.isclass(thing) and not issubclass(thing, Exception):
                methods = {m: f for m, f in vars(thing).items() if inspect.isfunction(f) and m[0] != "_"}
                found |= {name: thing} | {f"{name}.{method}": code for method, code in methods.items()}
    # what Model inherits is its own to those who call it
    methods = inspect.getmembers(fl.Model, inspect.isfunction)
    found |= {f"Model.{method}": code for method, code in methods if method[0] != "_"}
    return sorted(found.items())


def by_place(thing):
    """Parameters that may be told by their place, without self."""
    parameters = inspect.signature(thing).parameters.values()
    return [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]


everything = pytest.mark.parametrize("name, thing", public(), ids=lambda v: v if isinstance(v, str) else "")


def test_the_public_things_are_found():
    names = dict(public())
    assert {"Dense", "Model.fit", "minimize", "fit_many", "matmul", "StepDecay", "AWSGD", "F1"} <= set(names)
    assert set(names) >= NO_OPTION_BY_PLACE | set(SUBJECTS)


@everything
def test_at_most_one_option_is_told_by_its_place(name, thing):
    options = [p for p in by_place(thing) if p.default is not p.empty]
    if name in SUBJECTS:
        assert [p.name for p in options] == SUBJECTS[name]
        return
    assert len(options) <= (name not in NO_OPTION_BY_PLACE), [p.name for p in options]
    assert not any(isinstance(p.default, bool) for p in options), "what is True by its place?"


@everything
def test_what_has_no_default_is_told_by_its_place(name, thing):
    named_only = [p for p in inspect.signature(thing).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert [p.name for p in named_only if p.default is p.empty] == []


# As their neighbours' users write them: each meant something else here.
OTHER_PLACES = [
    lambda: fl.SGD(0.1, 0.9, False, 1e-4),
    lambda: fl.SGD(0.1, 0.9),
    lambda: fl.Adam(1e-3, (0.9, 0.999)),
    lambda: fl.AdamW(1e-3, 0.01),
    lambda: fl.RMSProp(1e-3, 0.9),
    lambda: fl.LBFGS(1),
    lambda: fl.schedules.CosineDecay(0.1, 1000, 0.1),
    lambda: fl.schedules.CosineRestarts(0.1, 1000, 2.0),
    lambda: fl.schedules.ExponentialDecay(0.1, 1000, 0.9),
    lambda: fl.schedules.InverseTimeDecay(0.1, 1000, 0.5),
    lambda: fl.schedules.PolynomialDecay(0.1, 1000, 0.0, 2.0),
    lambda: fl.schedules.OneCycle(0.1, 100, 10),
    lambda: fl.EarlyStopping("val_loss", 0, 5),
    lambda: fl.ReduceLROnPlateau("val_loss", 0.1, 10, 1),
    lambda: fl.ModelCheckpoint("best", "val_loss", 0),
    lambda: fl.BackupAndRestore("backup", 100),
    lambda: fl.CSVLogger("log.csv", ";"),
    lambda: fl.CrossEntropy(0.1, "sum"),
    lambda: fl.FocalCrossEntropy(0.25, 2.0),
    lambda: fl.FocalCrossEntropy(0.25),
    lambda: fl.BinaryFocalCrossEntropy(False, 0.25),
    lambda: fl.Huber(1.0, "sum"),
    lambda: fl.metrics.AUC(200),
    lambda: fl.metrics.F1("macro", 0.5),
    lambda: fl.L1L2(0.01),
    lambda: fl.L1L2(0.01, 0.01),
    lambda: fl.BatchNormalization(1),
    lambda: fl.LayerNormalization(64),
    lambda: fl.PReLU(64),
    lambda: fl.Dense(3, "relu", True),
    lambda: fl.Embedding(10, 4, 1),
    lambda: fl.minimize(abs, 1.0, ()),
]


@pytest.mark.parametrize("make", OTHER_PLACES)
def test_the_places_of_neighbours_are_refused(make):
    with pytest.raises(TypeError, match="positional argument"):
        make()


def test_an_elastic_net_of_defaults_is_none():
    regularizer = fl.L1L2()
    assert (regularizer.l1, regularizer.l2) == (0.0, 0.0)
    assert fl.L1L2(l2=0.5).l1 == 0.0


# --- what prints as it is written ---

NAMES = {name: thing for module in reversed(MODULES) for name, thing in vars(module).items()} | {
    f.__name__: f for f in (schedules.square_root, callbacks.nothing, callbacks.falling)
}


def declared():
    """An object of every row of the tables."""
    for table in (layers, optimizers, samplers, schedules):
        yield from (case.make(**options) for case, options in table.VARIANTS)
    yield from (case.make(**options) for case, options, _ in metrics.VARIANTS)
    yield from (make(**options) for make, options, *_ in (*INITIALIZERS, *REGULARIZERS))
    yield from (loss for loss, *_ in losses.TORCH)
    yield from (case() for case in minimizers.MINIMIZERS)
    yield fl.MSE("sum")
    yield fl.FunctionLoss(callbacks.nothing, classes=True)
    yield fl.metrics.FunctionMetric(callbacks.nothing)
    yield fl.Dense(3, "relu", kernel_regularizer=fl.L1(0.1, proximal=True), kernel_constraint=fl.MaxNorm(2.0))
    yield fl.Rescale(np.linspace(0.1, 1, 784), np.float64(0.5))
    yield fl.SGD(fl.schedules.Constant(0.25), momentum=np.float32(0.5))
    yield fl.Chain([(fl.Adam(0.01), 5), (fl.SGD(0.1), fl.Plateau(3, min_delta=0.1)), fl.LBFGS(history=4)])
    yield fl.ParameterGroup(0.1, weight_decay=0.0, trainable=False)
    yield fl.metrics.Recall(zero_division=float("nan"))
    yield fl.metrics.Accuracy(float(np.float32(0.1)))


@pytest.mark.parametrize("made", list(declared()), ids=lambda made: type(made).__name__)
def test_it_prints_as_it_is_written(made):
    again = eval(repr(made), dict(NAMES))
    assert type(again) is type(made)
    assert json.dumps(encode(again)) == json.dumps(encode(made))
    assert repr(again) == repr(made)


@pytest.mark.parametrize("case", callbacks.CALLBACKS, ids=lambda case: case.name)
def test_callbacks_print_as_they_are_written(case, tmp_path):
    made = case.make(**case.options(tmp_path))
    again = eval(repr(made), dict(NAMES))
    assert type(again) is case.make
    assert repr(again) == repr(made) == repr(pickle.loads(pickle.dumps(made)))
    attributes = [{k: repr(v) for k, v in vars(c).items() if k != "_call"} for c in (again, made)]
    assert attributes[0] == attributes[1]


def test_own_callbacks_print_as_they_are_written():
    class Own(fl.Callback):
        def __init__(self, every, *, loud=False):
            self.other = every

    class Plain(fl.Callback):
        pass

    with pytest.raises(TypeError, match="argument"):
        Plain(3)
    assert repr(Own(3, loud=True)) == "Own(3, loud=True)"
    assert repr(fl.EarlyStopping("loss", patience=3)) == "EarlyStopping('loss', patience=3)"


def test_many_numbers_are_told_in_brief_and_never_as_a_few():
    text = repr(fl.samplers.Weighted(np.arange(1, 2001)))
    assert text == "Weighted(<2000 entries: 1.0, 2.0, ..., 2000.0>)"
    with pytest.raises(SyntaxError):
        eval(text, dict(NAMES))


def test_models_print_as_they_are_written():
    model = fl.Model([fl.Input(3), fl.Dense(2, "tanh"), fl.Dropout(0.5)], seed=7, dtype="float64", name="net")
    again = eval(repr(model), dict(NAMES))
    assert repr(again) == repr(model)
    assert again.name == "net"
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    assert "name" not in repr(fl.Model([fl.Dense(1)]))


def test_a_schedule_is_told_from_an_initializer():
    assert repr(fl.schedules.Constant(0.1)) == "schedules.Constant(0.1)"
    assert repr(fl.Constant(0.1)) == "Constant(value=0.1)"
