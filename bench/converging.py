"""Fits that converge, fallline and its peers in one interleaved run: a step of the last epochs beside one of the first.

    python -m bench.converging
    python -m bench.converging --cases linear_adam_b1 mnist_adam_b64 --peers torch --threads 1 --rounds 3

Where units die and classes get separated, moments fade until they are subnormal, and processors take up to a hundred
times as long over such numbers. The command returns 1 where fallline becomes slower in the end.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from bench.cases import CONVERGING, Case, select
from bench.compare import SETTLE_SECONDS, describe, heading, parser, prepare, save, start
from bench.report import pace_table
from bench.worker import Worker

WINDOW = 3
"""Epochs at each end of a fit that count, without the very first, which sets up: a moment takes 800 steps to fade."""
LIMIT = 1.05
"""How much longer a step of fallline may take in the end."""


def main() -> int:
    """Run the fits; returns 1 where losses disagree or fallline became slower."""
    line = parser("python -m bench.converging", "fits that converge", CONVERGING, ["torch", "jax"])
    arguments = line.parse_args()
    workers = start(arguments)
    result = describe(workers, arguments)
    for case in select(arguments.cases, CONVERGING):
        result["cases"][case.name] = run(case, workers, arguments.rounds)
        print(f"{case.name} done", file=sys.stderr)
    for worker in workers:
        worker.close()
    print(heading(result))
    print(pace_table(result))
    save(result, arguments)
    if slow := slower(result):
        print(f"slower in the end than {LIMIT}x: {', '.join(slow)}", file=sys.stderr)
    return int(bool(slow) or any(case["disagree"] for case in result["cases"].values()))


def run(case: Case, workers: list[Worker], rounds: int) -> dict[str, Any]:
    """Check that all compute the same losses, then let each fit in turn."""
    workers, disagree = prepare(case, workers)
    fits: dict[str, list[Any]] = {worker.name: [] for worker in workers}
    for _ in range(rounds):
        for worker in workers:
            time.sleep(SETTLE_SECONDS)
            fits[worker.name].append(worker.ask("fit"))
    return {
        "disagree": disagree,
        "microseconds": {
            name: pace([seconds for seconds, _ in given], case.steps) for name, given in fits.items()
        },
        "losses": {name: given[-1][1] for name, given in fits.items()},
    }


def pace(fits: list[list[float]], steps: int) -> dict[str, float]:
    """Microseconds of a step at either end, and their ratio within a fit, from the seconds of each epoch: medians."""
    first = [statistics.median(seconds[1 : 1 + WINDOW]) / steps * 1e6 for seconds in fits]
    last = [statistics.median(seconds[-WINDOW:]) / steps * 1e6 for seconds in fits]
    ratios = [b / a for a, b in zip(first, last, strict=True)]
    return {
        key: statistics.median(each) for key, each in (("first", first), ("last", last), ("ratio", ratios))
    }


def slower(result: dict[str, Any]) -> list[str]:
    """The cases in which a step of fallline takes longer in the end than it may."""
    paces = {name: case["microseconds"].get("fallline") for name, case in result["cases"].items()}
    return [name for name, pace in paces.items() if pace and pace["ratio"] > LIMIT]


if __name__ == "__main__":
    sys.exit(main())
