"""Fifty steps beside torch, and beside optax where torch lacks the form, over random hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline import _core

STEPS = 50
SHAPES = [(3, 4), (5,)]

rates = st.floats(1e-4, 0.3)
shares = st.floats(0, 0.99)
mean_squares = st.floats(0.1, 0.999)
decays = st.floats(0, 0.3)
epsilons = st.floats(1e-8, 1e-2)
flags = st.booleans()


def examples(count):
    return settings(max_examples=count, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Peer:
    """Two optimizers of the same numbers o: ours(o), and theirs(module, o): for torch, class and arguments."""

    name: str
    numbers: dict
    ours: Callable
    theirs: Callable

    def options(self):
        return st.fixed_dictionaries(self.numbers)


TORCH = [
    Peer(
        "descent",
        {"rate": rates, "l2": decays},
        lambda o: fl.SGD(o["rate"], l2=o["l2"]),
        lambda torch, o: (torch.SGD, {"lr": o["rate"], "weight_decay": o["l2"]}),
    ),
    Peer(
        "decoupled descent",  # the same as coupled, for descent alone
        {"rate": rates, "decay": decays},
        lambda o: fl.SGD(o["rate"], weight_decay=o["decay"]),
        lambda torch, o: (torch.SGD, {"lr": o["rate"], "weight_decay": o["decay"]}),
    ),
    Peer(
        "momentum",
        {"rate": rates, "share": shares, "dampening": st.floats(0, 1), "l2": decays},
        lambda o: fl.SGD(o["rate"], momentum=o["share"], dampening=o["dampening"], l2=o["l2"]),
        lambda torch, o: (
            torch.SGD,
            {
                "lr": o["rate"],
                "momentum": o["share"],
                "dampening": o["dampening"],
                "weight_decay": o["l2"],
            },
        ),
    ),
    Peer(
        "nesterov",
        {"rate": rates, "share": st.floats(0.01, 0.99), "l2": decays},
        lambda o: fl.SGD(o["rate"], momentum=o["share"], nesterov=True, l2=o["l2"]),
        lambda torch, o: (
            torch.SGD,
            {"lr": o["rate"], "momentum": o["share"], "nesterov": True, "weight_decay": o["l2"]},
        ),
    ),
    Peer(
        "sutskever",  # the same while the rate is
        {"rate": rates, "share": shares},
        lambda o: fl.SGD(o["rate"], momentum=o["share"], momentum_style="sutskever"),
        lambda torch, o: (torch.SGD, {"lr": o["rate"], "momentum": o["share"]}),
    ),
    Peer(
        "average from the first gradient",
        {"rate": rates, "share": shares},
        lambda o: fl.SGD(o["rate"], momentum=o["share"], momentum_style="ewa_first"),
        lambda torch, o: (
            torch.SGD,
            {"lr": o["rate"], "momentum": o["share"], "dampening": o["share"]},
        ),
    ),
    Peer(
        "rmsprop",
        {"rate": rates, "rho": mean_squares, "epsilon": epsilons, "l2": decays},
        lambda o: fl.RMSProp(o["rate"], rho=o["rho"], epsilon=o["epsilon"], l2=o["l2"]),
        lambda torch, o: (
            torch.RMSprop,
            {"lr": o["rate"], "alpha": o["rho"], "eps": o["epsilon"], "weight_decay": o["l2"]},
        ),
    ),
    Peer(
        "adagrad",
        {"rate": rates, "epsilon": epsilons, "start": st.floats(0, 1), "l2": decays},
        lambda o: fl.AdaGrad(
            o["rate"], epsilon=o["epsilon"], initial_accumulator_value=o["start"], l2=o["l2"]
        ),
        lambda torch, o: (
            torch.Adagrad,
            {
                "lr": o["rate"],
                "eps": o["epsilon"],
                "initial_accumulator_value": o["start"],
                "weight_decay": o["l2"],
            },
        ),
    ),
    Peer(
        "adadelta",
        {"rate": st.floats(0.01, 2), "rho": shares, "epsilon": epsilons, "l2": decays},
        lambda o: fl.AdaDelta(o["rate"], rho=o["rho"], epsilon=o["epsilon"], l2=o["l2"]),
        lambda torch, o: (
            torch.Adadelta,
            {"lr": o["rate"], "rho": o["rho"], "eps": o["epsilon"], "weight_decay": o["l2"]},
        ),
    ),
    Peer(
        "adam",
        {
            "rate": rates,
            "beta_1": shares,
            "beta_2": mean_squares,
            "epsilon": epsilons,
            "amsgrad": flags,
            "l2": decays,
        },
        lambda o: fl.Adam(
            o["rate"],
            beta_1=o["beta_1"],
            beta_2=o["beta_2"],
            epsilon=o["epsilon"],
            amsgrad=o["amsgrad"],
            l2=o["l2"],
        ),
        lambda torch, o: (torch.Adam, adam(o) | {"amsgrad": o["amsgrad"], "weight_decay": o["l2"]}),
    ),
    Peer(
        "adamw",
        {
            "rate": rates,
            "beta_1": shares,
            "beta_2": mean_squares,
            "epsilon": epsilons,
            "amsgrad": flags,
            "decay": decays,
        },
        lambda o: fl.AdamW(
            o["rate"],
            beta_1=o["beta_1"],
            beta_2=o["beta_2"],
            epsilon=o["epsilon"],
            weight_decay=o["decay"],
            amsgrad=o["amsgrad"],
        ),
        lambda torch, o: (torch.AdamW, adam(o) | {"amsgrad": o["amsgrad"], "weight_decay": o["decay"]}),
    ),
    Peer(
        "nadam",
        {
            "rate": rates,
            "beta_1": shares,
            "beta_2": mean_squares,
            "epsilon": epsilons,
            "growth": st.floats(0, 1),
            "decay": decays,
            "decoupled": flags,
        },
        lambda o: fl.NAdam(
            o["rate"],
            beta_1=o["beta_1"],
            beta_2=o["beta_2"],
            epsilon=o["epsilon"],
            momentum_decay=o["growth"],
            **{"weight_decay" if o["decoupled"] else "l2": o["decay"]},
        ),
        lambda torch, o: (
            torch.NAdam,
            adam(o)
            | {
                "momentum_decay": o["growth"],
                "weight_decay": o["decay"],
                "decoupled_weight_decay": o["decoupled"],
            },
        ),
    ),
]


def adam(o):
    return {"lr": o["rate"], "betas": (o["beta_1"], o["beta_2"]), "eps": o["epsilon"]}


OPTAX = [
    Peer(
        "lion",
        # XLA takes tiny means for zeros, whose sign is another
        {"rate": rates, "beta_1": st.floats(0.1, 0.99), "beta_2": st.floats(0.1, 0.99), "decay": decays},
        lambda o: fl.Lion(o["rate"], beta_1=o["beta_1"], beta_2=o["beta_2"], weight_decay=o["decay"]),
        lambda optax, o: optax.lion(o["rate"], o["beta_1"], o["beta_2"], weight_decay=o["decay"]),
    ),
    Peer(
        "rmsprop",
        {
            "rate": rates,
            "rho": mean_squares,
            "epsilon": epsilons,
            "init": st.sampled_from(["zero", "one"]),
            "inside": flags,
        },
        lambda o: fl.RMSProp(
            o["rate"], rho=o["rho"], epsilon=o["epsilon"], init=o["init"], epsilon_inside=o["inside"]
        ),
        lambda optax, o: optax.rmsprop(
            o["rate"], o["rho"], o["epsilon"], float(o["init"] == "one"), eps_in_sqrt=o["inside"]
        ),
    ),
    Peer(
        "adagrad",
        {"rate": rates, "start": st.floats(0.01, 1), "epsilon": epsilons},
        lambda o: fl.AdaGrad(
            o["rate"], epsilon=o["epsilon"], initial_accumulator_value=o["start"], epsilon_inside=True
        ),
        lambda optax, o: optax.adagrad(o["rate"], o["start"], o["epsilon"]),
    ),
    Peer(
        "average of the gradients",
        {"rate": rates, "share": shares, "corrected": flags},
        lambda o: fl.SGD(
            o["rate"], momentum=o["share"], momentum_style="ewa_corrected" if o["corrected"] else "ewa"
        ),
        lambda optax, o: optax.chain(optax.ema(o["share"], debias=o["corrected"]), optax.scale(-o["rate"])),
    ),
    Peer(
        "clipping",
        {"rate": rates, "value": st.floats(0.1, 2), "norm": st.floats(0.1, 5)},
        lambda o: fl.Adam(o["rate"], clip_value=o["value"], clip_norm=o["norm"]),
        lambda optax, o: optax.chain(
            optax.clip(o["value"]), optax.clip_by_global_norm(o["norm"]), optax.adam(o["rate"])
        ),
    ),
]


def gradients(seed):
    """Fifty steps of every size, a fifth of the entries zero."""
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        scale = 10.0 ** rng.uniform(-2, 1)
        yield [scale * rng.normal(size=s) * (rng.random(s) < 0.8) for s in SHAPES]


def start(seed):
    return [np.random.default_rng([seed, 1]).normal(size=s) for s in SHAPES]


def assert_close(params, others):
    for param, other in zip(params, others, strict=True):
        np.testing.assert_allclose(param, np.asarray(other), rtol=1e-10, atol=1e-10)


def named(peer):
    return peer.name


@pytest.fixture
def torch():
    """torch on one thread, its own scalars in float64."""
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(module.float32)


@pytest.mark.parametrize("peer", TORCH, ids=named)
def test_torch(peer, torch):
    @examples(15)
    @given(options=peer.options(), seed=st.integers(0, 1000))
    def agree(options, seed):
        ours, params = peer.ours(options), start(seed)
        theirs = [torch.tensor(p, requires_grad=True) for p in params]
        make, arguments = peer.theirs(torch.optim, options)
        optimizer = make(theirs, **arguments)
        for grads in gradients(seed):
            ours.step(params, grads)
            for param, g in zip(theirs, grads, strict=True):
                param.grad = torch.tensor(g)
            optimizer.step()
            assert_close(params, [p.detach() for p in theirs])

    agree()


@pytest.mark.parametrize("peer", OPTAX, ids=named)
def test_optax(peer):
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")

    @examples(5)  # each is compiled anew
    @given(options=peer.options(), seed=st.integers(0, 1000))
    def agree(options, seed):
        ours, params = peer.ours(options), start(seed)
        theirs, optimizer = [jax.numpy.asarray(p) for p in params], peer.theirs(optax, options)
        state, update = optimizer.init(theirs), jax.jit(optimizer.update)
        for grads in gradients(seed):
            ours.step(params, grads)
            updates, state = update(grads, state, theirs)
            theirs = optax.apply_updates(theirs, updates)
            assert_close(params, theirs)

    with jax.enable_x64(True):
        agree()


def rules(peer):
    found = set()

    @examples(10)
    @given(options=peer.options())
    def collect(options):
        found.add(peer.ours(options).rule)

    collect()
    return found


def test_every_rule_has_a_peer():
    assert {rule for peer in [*TORCH, *OPTAX] for rule in rules(peer)} == set(_core.optimizers())
