"""One row per sampler: class, arguments to try, how likely each row is, bad arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fallline import samplers as s

# Classes of the rows of the tests, in no order; the groups are other ones.
CLASSES = np.array([0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0])
GROUPS = np.array([2, 0, 1, 1, 2, 2, 2, 0, 4, 4, 2, 2])  # nobody is in 3
WEIGHTS = np.array([1.0, 0.0, 3.0, 0.5, 2.0, 0.25, 8.0, 0.0, 0.0, 1.0, 1.0, 0.0])
N = len(CLASSES)


def alike():
    return np.full(N, 1 / N)


def balanced(over="classes", unbiased=False):
    groups = CLASSES if isinstance(over, str) else np.asarray(over)
    counts = np.bincount(groups)
    return 1 / np.count_nonzero(counts) / counts[groups]


def weighted(weights, unbiased=False):
    return np.asarray(weights, float) / np.sum(weights)


@dataclass(frozen=True)
class SamplerCase:
    make: type
    variants: tuple[dict, ...]
    probability: Callable | None  # (**options) -> of each row, for independent draws; None: each row once
    bad: tuple[tuple[dict, type, str], ...] = ()
    learns: bool = False

    @property
    def name(self):
        return self.make.__name__


OVER = (
    ({"over": "rows"}, ValueError, "over"),
    ({"over": 3}, TypeError, "over"),
    ({"over": None}, TypeError, "over"),
    ({"over": [0.5, 1.0]}, TypeError, "over"),
    ({"over": [[0, 1]]}, TypeError, "over"),
    ({"over": []}, TypeError, "over"),
    ({"over": [0, -1]}, ValueError, "over"),
    ({"over": [0, 2]}, ValueError, "over"),
)
UNBIASED = (({"unbiased": 1}, TypeError, "unbiased"), ({"unbiased": None}, TypeError, "unbiased"))

SAMPLERS = [
    SamplerCase(s.Shuffled, ({},), None),
    SamplerCase(s.Sequential, ({},), None),
    SamplerCase(s.WithReplacement, ({},), alike),
    SamplerCase(
        s.Balanced,
        ({}, {"unbiased": True}, {"over": GROUPS}, {"over": GROUPS.tolist(), "unbiased": True}),
        balanced,
        bad=(*OVER, *UNBIASED, ({"over": "examples"}, ValueError, "over")),
    ),
    SamplerCase(
        s.Weighted,
        (
            {"weights": WEIGHTS},
            {"weights": np.arange(1, N + 1)},
            {"weights": np.arange(1, N + 1).tolist(), "unbiased": True},
        ),
        weighted,
        bad=(
            ({"weights": 1.0}, TypeError, "weights"),
            ({"weights": "many"}, TypeError, "weights"),
            ({"weights": [[1.0]]}, TypeError, "weights"),
            ({"weights": []}, ValueError, "weights"),
            ({"weights": [1.0, -1.0]}, ValueError, "weights"),
            ({"weights": [0.0, 0.0]}, ValueError, "weights"),
            ({"weights": [1.0, np.nan]}, ValueError, "weights"),
            ({"weights": [1.0, np.inf]}, ValueError, "weights"),
            ({"weights": [1.0, 0.0], "unbiased": True}, ValueError, "weights"),
            *(({"weights": [1.0], **options}, exception, match) for options, exception, match in UNBIASED),
        ),
    ),
    SamplerCase(
        s.AWSGD,
        (
            {},
            {"over": "examples", "learning_rate": 2.0},
            {"over": GROUPS, "mix": 0.5},
            {"mix": 0.0, "clip": None, "normalize": False, "learning_rate": 0.02},
        ),
        None,
        bad=(
            *OVER,
            ({"learning_rate": -0.1}, ValueError, "learning_rate"),
            ({"learning_rate": "a"}, TypeError, "learning_rate"),
            ({"mix": -0.1}, ValueError, "mix"),
            ({"mix": 1.1}, ValueError, "mix"),
            ({"mix": None}, TypeError, "mix"),
            ({"clip": 0.0}, ValueError, "clip"),
            ({"clip": "a"}, TypeError, "clip"),
            ({"normalize": 1}, TypeError, "normalize"),
        ),
        learns=True,
    ),
]
VARIANTS = [(case, options) for case in SAMPLERS for options in case.variants]


def label(value):
    if isinstance(value, SamplerCase):
        return value.name
    if isinstance(value, dict):
        return ",".join(f"{k}={'...' if np.ndim(v) else v}" for k, v in value.items()) or "default"
    return getattr(value, "__name__", str(value))
