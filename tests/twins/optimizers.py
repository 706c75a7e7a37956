"""Update rules: (parameter, gradient, state, t) and hyper-parameters -> the new parameter.

`state` is a dict of arrays shaped like the parameter, empty before the first step; t is 1 on the first step.
"""

from __future__ import annotations

import numpy as np


def sgd(
    theta, g, state, t, *, learning_rate=0.01, momentum=0.0, nesterov=False, dampening=0.0, weight_decay=0.0
):
    theta = theta * (1 - learning_rate * weight_decay)
    if momentum == 0.0:
        return theta - learning_rate * g
    # the first step takes the gradient undamped
    b = g.copy() if t == 1 else momentum * state["b"] + (1 - dampening) * g
    state["b"] = b
    return theta - learning_rate * (g + momentum * b if nesterov else b)


def rmsprop(theta, g, state, t, *, learning_rate=1e-3, rho=0.9, epsilon=1e-8, weight_decay=0.0):
    s = rho * state.get("s", 0.0) + (1 - rho) * g**2
    state["s"] = s
    return theta * (1 - learning_rate * weight_decay) - learning_rate * g / (np.sqrt(s) + epsilon)


def adam(theta, g, state, t, *, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0):
    m = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    v = beta_2 * state.get("v", 0.0) + (1 - beta_2) * g**2
    state["m"], state["v"] = m, v
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return theta * (1 - learning_rate * weight_decay) - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)


def adamw(theta, g, state, t, *, weight_decay=0.01, **options):
    return adam(theta, g, state, t, weight_decay=weight_decay, **options)


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
