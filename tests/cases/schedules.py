"""One row per schedule: class, arguments to try, twin, hand-computed rates, peers, bad arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from fallline import schedules as s

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class ScheduleCase:
    make: type
    variants: tuple[dict, ...]
    twin: Callable  # (step, **options) -> rate, in plain Python
    numbers: tuple[tuple[dict, dict[int, float]], ...]  # (options, {step: rate})
    bad: tuple[tuple[dict, type, str], ...]
    torch: Callable | None = None  # (lr_scheduler, optimizer, **options) -> the peer's scheduler
    optax: Callable | None = None  # (optax, **options) -> the peer's function of the step
    peers: tuple[dict, ...] = field(default=())  # arguments that the peers have too; default: all variants


def bad_numbers(argument, *wrong):
    """Rows for values out of range, and for what is no number."""
    values = [(v, ValueError) for v in (*wrong, NAN, INF)] + [("a", TypeError), (None, TypeError)]
    return tuple(({argument: value}, exception, argument) for value, exception in values)


def bad_counts(argument):
    rows = ((0, ValueError), (-3, ValueError), (1.5, TypeError), ("a", TypeError), (True, TypeError))
    return tuple(({argument: value}, exception, argument) for value, exception in rows)


def one_cycle(t, peak, steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4, anneal="cos"):
    first, top, last = peak / div_factor, pct_start * steps - 1, steps - 1
    t = min(t, last)
    low, away = first, 1 - t / top if top > 0 else 0.0
    if t > top:
        low, away = first / final_div_factor, (t - top) / (last - top)
    share = 1 - away if anneal == "linear" else (1 + math.cos(math.pi * away)) / 2
    return low + (peak - low) * share


def restarts(t, initial, steps, end=0.0, t_mul=1.0, m_mul=1.0):
    length, height = float(steps), initial - end
    while t >= length:  # cycle after cycle
        t, length, height = t - length, length * t_mul, height * m_mul
    return end + height * (1 + math.cos(math.pi * t / length)) / 2


def cosine(t, initial, steps, end=0.0):
    return end + (initial - end) * (1 + math.cos(math.pi * min(t, steps) / steps)) / 2


def polynomial(t, initial, steps, end=0.0, power=1.0):
    return end + (initial - end) * (1 - min(t, steps) / steps) ** power


def warmup(t, schedule, steps, start=0.0):
    rate = schedule if callable(schedule) else lambda _: schedule
    return start + (rate(0) - start) * t / steps if t < steps else rate(t - steps)


def piecewise(t, boundaries, values):
    place = sum(t >= b for b in boundaries)
    value, begin = values[place], (0, *boundaries)[place]
    return value(t - begin) if callable(value) else value


def square_root(step):
    return 0.1 / math.sqrt(1 + step)


SCHEDULES = [
    ScheduleCase(
        s.Constant,
        variants=({"rate": 0.05}, {"rate": 0.0}),
        twin=lambda t, rate: rate,
        numbers=(({"rate": 0.05}, {0: 0.05, 10**9: 0.05}),),
        bad=bad_numbers("rate", -0.1),
        torch=lambda lr, optimizer, rate: lr.ConstantLR(optimizer, factor=1.0),
        optax=lambda optax, rate: optax.constant_schedule(rate),
    ),
    ScheduleCase(
        s.StepDecay,
        variants=({"initial": 0.1, "factor": 0.5, "every": 5}, {"initial": 0.2, "factor": 0.1, "every": 20}),
        twin=lambda t, initial, factor, every=1: initial * factor ** (t // every),
        numbers=(
            # the rates of CS231n: halved every 5, or a tenth every 20
            (
                {"initial": 0.8, "factor": 0.5, "every": 5},
                {0: 0.8, 4: 0.8, 5: 0.4, 9: 0.4, 10: 0.2, 15: 0.1},
            ),
            ({"initial": 1.0, "factor": 0.1, "every": 20}, {19: 1.0, 20: 0.1, 40: 0.01}),
        ),
        bad=(*bad_numbers("initial", -0.1), *bad_numbers("factor", 0.0, -0.5), *bad_counts("every")),
        torch=lambda lr, optimizer, initial, factor, every: lr.StepLR(optimizer, every, factor),
        optax=lambda optax, initial, factor, every: optax.exponential_decay(
            initial, every, factor, staircase=True
        ),
    ),
    ScheduleCase(
        s.ExponentialDecay,
        variants=({"initial": 0.1, "factor": 0.97}, {"initial": 0.1, "factor": 0.5, "every": 70}),
        twin=lambda t, initial, factor, every=1: initial * factor ** (t / every),
        numbers=(
            ({"initial": 0.4, "factor": math.exp(-0.1)}, {0: 0.4, 10: 0.4 / math.e, 50: 0.4 * math.exp(-5)}),
            ({"initial": 0.4, "factor": 0.25, "every": 100}, {50: 0.2, 100: 0.1}),
        ),
        bad=(*bad_numbers("initial", -0.1), *bad_numbers("factor", 0.0, -0.5), *bad_counts("every")),
        torch=lambda lr, optimizer, initial, factor, every=1: lr.ExponentialLR(
            optimizer, factor ** (1 / every)
        ),
        optax=lambda optax, initial, factor, every=1: optax.exponential_decay(initial, every, factor),
    ),
    ScheduleCase(
        s.InverseTimeDecay,
        variants=({"initial": 0.1, "decay": 0.01}, {"initial": 0.1, "decay": 0.0}),
        twin=lambda t, initial, decay: initial / (1 + decay * t),
        numbers=(({"initial": 0.6, "decay": 0.5}, {0: 0.6, 1: 0.4, 2: 0.3, 4: 0.2, 10: 0.1}),),
        bad=(*bad_numbers("initial", -0.1), *bad_numbers("decay", -0.1)),
    ),
    ScheduleCase(
        s.PolynomialDecay,
        variants=(
            {"initial": 0.1, "steps": 60},
            {"initial": 0.1, "steps": 90, "power": 2.0},
            {"initial": 0.1, "steps": 90, "power": 0.5, "end": 0.01},
        ),
        twin=polynomial,
        numbers=(
            ({"initial": 1.0, "steps": 4}, {0: 1.0, 1: 0.75, 2: 0.5, 4: 0.0, 9: 0.0}),
            (
                {"initial": 1.0, "steps": 4, "end": 0.2, "power": 2},
                {0: 1.0, 1: 0.65, 2: 0.4, 4: 0.2, 9: 0.2},
            ),
        ),
        bad=(
            *bad_numbers("initial", -0.1),
            *bad_counts("steps"),
            *bad_numbers("end", -0.1),
            *bad_numbers("power", 0.0, -1.0),
        ),
        torch=lambda lr, optimizer, initial, steps, power=1.0: lr.PolynomialLR(optimizer, steps, power),
        optax=lambda optax, initial, steps, power=1.0: optax.polynomial_schedule(initial, 0.0, power, steps),
        peers=({"initial": 0.1, "steps": 60}, {"initial": 0.1, "steps": 90, "power": 2.0}),
    ),
    ScheduleCase(
        s.CosineDecay,
        variants=({"initial": 0.1, "steps": 101}, {"initial": 0.1, "steps": 80, "end": 0.02}),
        twin=cosine,
        numbers=(
            ({"initial": 1.0, "steps": 6}, {0: 1.0, 2: 0.75, 3: 0.5, 4: 0.25, 6: 0.0, 60: 0.0}),
            ({"initial": 1.0, "steps": 6, "end": 0.2}, {0: 1.0, 2: 0.8, 3: 0.6, 6: 0.2, 7: 0.2}),
        ),
        bad=(*bad_numbers("initial", -0.1), *bad_counts("steps"), *bad_numbers("end", -0.1)),
        # torch's goes up again after its last step
        torch=lambda lr, optimizer, initial, steps, end=0.0: lr.CosineAnnealingLR(optimizer, steps, end),
        optax=lambda optax, initial, steps, end=0.0: optax.cosine_decay_schedule(
            initial, steps, end / initial
        ),
        peers=({"initial": 0.1, "steps": 300}, {"initial": 0.1, "steps": 200, "end": 0.02}),
    ),
    ScheduleCase(
        s.CosineRestarts,
        variants=(
            {"initial": 0.1, "steps": 30},
            {"initial": 0.1, "steps": 10, "end": 0.01, "t_mul": 2.0},
            {"initial": 0.1, "steps": 7, "t_mul": 1.5, "m_mul": 0.5},
            {"initial": 0.1, "steps": 1, "t_mul": 3.0},
            {"initial": 0.1, "steps": 12, "end": 0.02, "m_mul": 0.8},
        ),
        twin=restarts,
        numbers=(
            ({"initial": 1.0, "steps": 2}, {0: 1.0, 1: 0.5, 2: 1.0, 3: 0.5, 10**6: 1.0}),
            (
                {"initial": 1.0, "steps": 2, "t_mul": 2, "m_mul": 0.5, "end": 0.2},
                {0: 1.0, 1: 0.6, 2: 0.6, 4: 0.4, 6: 0.4, 10: 0.3, 14: 0.3},
            ),
        ),
        bad=(
            *bad_numbers("initial", -0.1),
            *bad_counts("steps"),
            *bad_numbers("end", -0.1),
            *bad_numbers("t_mul", 0.5, 0.0),
            *bad_numbers("m_mul", 0.0, -1.0),
        ),
        torch=lambda lr, optimizer, initial, steps, t_mul=1, end=0.0: lr.CosineAnnealingWarmRestarts(
            optimizer, steps, int(t_mul), end
        ),
        peers=(
            {"initial": 0.1, "steps": 30},
            {"initial": 0.1, "steps": 10, "end": 0.01, "t_mul": 2.0},
            {"initial": 0.1, "steps": 1, "t_mul": 3.0},
        ),
    ),
    ScheduleCase(
        s.OneCycle,
        variants=(
            {"peak": 0.1, "steps": 300},
            {"peak": 0.1, "steps": 300, "anneal": "linear"},
            {"peak": 0.1, "steps": 320, "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 100.0},
            {"peak": 0.1, "steps": 310, "pct_start": 0.001},
            {"peak": 0.1, "steps": 40, "pct_start": 1.0},
            {"peak": 0.1, "steps": 10, "pct_start": 0.1},
            {"peak": 0.1, "steps": 1},
        ),
        twin=one_cycle,
        numbers=(
            (
                {"peak": 1.0, "steps": 10, "anneal": "linear", "final_div_factor": 4.0},
                {0: 0.04, 1: 0.52, 2: 1.0, 9: 0.01, 50: 0.01},
            ),
            ({"peak": 1.0, "steps": 11, "pct_start": 6 / 11}, {0: 0.04, 5: 1.0, 10: 4e-6}),
        ),
        bad=(
            *bad_numbers("peak", -0.1),
            *bad_counts("steps"),
            *bad_numbers("pct_start", -0.1, 1.1),
            *bad_numbers("div_factor", 0.0, -2.0),
            *bad_numbers("final_div_factor", 0.0, -2.0),
            ({"anneal": "cosine"}, ValueError, "anneal"),
            ({"anneal": None}, TypeError, "anneal"),
        ),
        torch=lambda lr, optimizer, peak, steps, anneal="cos", **factors: lr.OneCycleLR(
            optimizer, peak, total_steps=steps, anneal_strategy=anneal, cycle_momentum=False, **factors
        ),
        peers=(
            {"peak": 0.1, "steps": 300},
            {"peak": 0.1, "steps": 300, "anneal": "linear"},
            {"peak": 0.1, "steps": 320, "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 100.0},
            {"peak": 0.1, "steps": 310, "pct_start": 0.001},
        ),
    ),
    ScheduleCase(
        s.Warmup,
        variants=(
            {"schedule": s.CosineDecay(0.1, 100), "steps": 20},
            {"schedule": 0.1, "steps": 7, "start": 0.01},
            {"schedule": square_root, "steps": 30, "start": 0.3},
            {"schedule": s.Warmup(s.StepDecay(0.2, 0.5, every=10), 3), "steps": 5},
        ),
        twin=warmup,
        numbers=(
            (
                {"schedule": s.StepDecay(0.8, 0.5, every=2), "steps": 4},
                {0: 0, 1: 0.2, 3: 0.6, 4: 0.8, 5: 0.8, 6: 0.4},
            ),
            ({"schedule": 0.5, "steps": 2, "start": 0.1}, {0: 0.1, 1: 0.3, 2: 0.5, 99: 0.5}),
        ),
        bad=(
            *bad_numbers("schedule", -0.1),
            ({"schedule": s.Constant}, TypeError, "write Constant"),
            *bad_counts("steps"),
            *bad_numbers("start", -0.1),
        ),
        optax=lambda optax, schedule, steps, start=0.0: optax.warmup_cosine_decay_schedule(
            start, schedule.initial, steps, steps + schedule.steps, schedule.end
        ),
        peers=(
            {"schedule": s.CosineDecay(0.1, 100), "steps": 20},
            {"schedule": s.CosineDecay(0.1, 200, end=0.03), "steps": 50, "start": 0.01},
        ),
    ),
    ScheduleCase(
        s.Piecewise,
        variants=(
            {"boundaries": (30, 100), "values": (0.1, 0.01, 0.001)},
            {"boundaries": (30, 31), "values": (s.CosineDecay(0.1, 50), 0.2, s.StepDecay(0.1, 0.5, every=9))},
            {"boundaries": (64,), "values": (0.05, square_root)},
            {"boundaries": (), "values": (0.05,)},
        ),
        twin=piecewise,
        numbers=(
            (
                {"boundaries": [2, 5], "values": [0.3, s.StepDecay(0.8, 0.5, every=2), 0.1]},
                {0: 0.3, 1: 0.3, 2: 0.8, 3: 0.8, 4: 0.4, 5: 0.1, 6: 0.1},
            ),
        ),
        bad=(
            ({"boundaries": 3}, TypeError, "boundaries"),
            ({"boundaries": [0, 3]}, ValueError, r"boundaries\[0\]"),
            ({"boundaries": [4, 4]}, ValueError, r"boundaries\[1\]"),
            ({"boundaries": [4, 3]}, ValueError, r"boundaries\[1\]"),
            ({"boundaries": [1.5, 3]}, TypeError, r"boundaries\[0\]"),
            ({"boundaries": [1, 2, 3]}, ValueError, "values"),
            ({"values": 0.1}, TypeError, "values"),
            ({"values": [0.1, 0.2]}, ValueError, "3, one more"),
            ({"values": [0.1, -0.2, 0.1]}, ValueError, r"values\[1\]"),
            ({"values": [0.1, 0.2, "a"]}, TypeError, r"values\[2\]"),
            ({"values": [0.1, 0.2, s.CosineDecay]}, TypeError, r"values\[2\].*write CosineDecay"),
        ),
        optax=lambda optax, boundaries, values: optax.join_schedules(
            [optax.constant_schedule(v) for v in values], list(boundaries)
        ),
        peers=({"boundaries": (30, 100), "values": (0.1, 0.01, 0.001)},),
    ),
]


def holds_functions(options):
    values = (options.get("schedule"), *options.get("values", ()))
    return any(callable(value) and not isinstance(value, s.Schedule) for value in values)


VARIANTS = [(case, options) for case in SCHEDULES for options in case.variants]


def label(value):
    """A short id of a row for pytest."""
    if isinstance(value, ScheduleCase):
        return value.make.__name__
    if isinstance(value, dict):
        return ",".join(f"{k}={getattr(v, '__name__', v)}" for k, v in value.items())
    return value if isinstance(value, str) else None
