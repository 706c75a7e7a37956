"""Update rules: (parameter, gradient, state, t) and hyper-parameters -> the new parameter.

`state` is a dict of arrays shaped like the parameter, empty before the first step; t is 1 on the first step.
"""

from __future__ import annotations

import functools

import numpy as np


def decaying(rule):
    """A rule gives the step to subtract; here it meets the parameter, and both kinds of decay."""

    @functools.wraps(rule)
    def updated(theta, g, state, t, *, weight_decay=0.0, l2=0.0, **options):
        rate = options.get("learning_rate", rule.__kwdefaults__["learning_rate"])
        return theta - rate * weight_decay * theta - rule(g + l2 * theta, state, t, **options)

    return updated


@decaying
def sgd(
    g,
    state,
    t,
    *,
    learning_rate=0.01,
    momentum=0.0,
    nesterov=False,
    dampening=0.0,
    momentum_style="classical",
):
    if momentum == 0.0:
        return learning_rate * g
    b = state.get("b", np.zeros_like(g))
    if momentum_style == "classical":
        # the first step takes the gradient undamped
        b = state["b"] = g.copy() if t == 1 else momentum * b + (1 - dampening) * g
        return learning_rate * (g + momentum * b if nesterov else b)
    if momentum_style == "sutskever":
        state["b"] = momentum * b - learning_rate * g
        return -state["b"]
    b = state["b"] = momentum * b + (1 - momentum) * g
    if momentum_style == "ewa_first" and t == 1:
        b = state["b"] = g.copy()
    return learning_rate * (b / (1 - momentum**t) if momentum_style == "ewa_corrected" else b)


def root_mean(v, epsilon, inside):
    return np.sqrt(v + epsilon) if inside else np.sqrt(v) + epsilon


@decaying
def adagrad(
    g,
    state,
    t,
    *,
    learning_rate=0.01,
    epsilon=1e-10,
    initial_accumulator_value=0.0,
    epsilon_inside=False,
):
    s = state["s"] = state.get("s", initial_accumulator_value) + g**2
    return learning_rate * g / root_mean(s, epsilon, epsilon_inside)


@decaying
def rmsprop(g, state, t, *, learning_rate=1e-3, rho=0.9, epsilon=1e-8, init="zero", epsilon_inside=False):
    start = {"zero": 0.0, "first": g**2, "one": 1.0}[init]
    s = state["s"] = rho * state.get("s", start) + (1 - rho) * g**2
    return learning_rate * g / root_mean(s, epsilon, epsilon_inside)


@decaying
def adadelta(g, state, t, *, learning_rate=1.0, rho=0.95, epsilon=1e-6):
    s = state["s"] = rho * state.get("s", 0.0) + (1 - rho) * g**2
    u = state.get("u", 0.0)
    delta = np.sqrt(u + epsilon) / np.sqrt(s + epsilon) * g
    state["u"] = rho * u + (1 - rho) * delta**2
    return learning_rate * delta


def moments(g, state, beta_1, beta_2):
    state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    state["v"] = beta_2 * state.get("v", 0.0) + (1 - beta_2) * g**2
    return state["m"], state["v"]


@decaying
def adam(
    g,
    state,
    t,
    *,
    learning_rate=1e-3,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-8,
    amsgrad=False,
    epsilon_hat=False,
):
    m, v = moments(g, state, beta_1, beta_2)
    if amsgrad:
        v = state["largest"] = np.maximum(state.get("largest", 0.0), v)
    correction = np.sqrt(1 - beta_2**t)
    root = (np.sqrt(v) + epsilon) / correction if epsilon_hat else np.sqrt(v) / correction + epsilon
    return learning_rate * m / (1 - beta_1**t) / root


def adamw(theta, g, state, t, *, weight_decay=0.01, **options):
    return adam(theta, g, state, t, weight_decay=weight_decay, **options)


@decaying
def nadam(g, state, t, *, learning_rate=2e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, momentum_decay=4e-3):
    m, v = moments(g, state, beta_1, beta_2)
    mu = beta_1 * (1 - 0.5 * 0.96 ** (momentum_decay * np.arange(1, t + 2)))
    ahead = (1 - mu[t - 1]) / (1 - np.prod(mu[:t])) * g + mu[t] / (1 - np.prod(mu)) * m
    return learning_rate * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


@decaying
def lion(g, state, t, *, learning_rate=1e-4, beta_1=0.9, beta_2=0.99):
    m = state.get("m", 0.0)
    state["m"] = beta_2 * m + (1 - beta_2) * g
    return learning_rate * np.sign(beta_1 * m + (1 - beta_1) * g)


def run(rule, theta, gradients, **options):
    """The parameter after one step for each gradient."""
    theta, state = np.array(theta, dtype=np.float64), {}
    for t, g in enumerate(gradients, start=1):
        theta = rule(theta, np.asarray(g, dtype=np.float64), state, t, **options)
    return theta


def clip_by_value(gradients, limit):
    return [np.clip(g, -limit, limit) for g in gradients]


def clip_by_norm(gradients, limit):
    """Scale all gradients together so that their joint norm is at most `limit`."""
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients))
    return [g * min(1.0, limit / norm) if norm > 0 else g for g in gradients]
