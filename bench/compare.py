"""fallline and its peers in one interleaved run: A B C D A B C D ..., medians, ratios, share of the FMA peak.

    python -m bench.compare
    python -m bench.compare --cases mnist wide --peers numpy torch --threads 1 --rounds 5
    python -m bench.compare --save now.json --against before.json

Absolute times drift by 10-20 % between runs of one machine; ratios within a run are what to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from bench.cases import CASES, MANY, Case, select
from bench.peak import fma_peak, supported
from bench.peers import CONTESTANTS
from bench.report import against_table, ratio_table, time_table
from bench.worker import Worker

SETTLE_SECONDS = 0.1
"""Idle pools spin for some tens of milliseconds after a round; nobody is measured meanwhile."""
TOLERANCE = 1e-3
"""Relative difference allowed between losses of two short epochs from the same weights."""


def main() -> int:
    """Run the comparison; returns 1 where losses disagree."""
    cases, peers = CASES | MANY, [name for name in CONTESTANTS if name != "fallline"]
    line = parser("python -m bench.compare", "fallline beside its peers", cases, peers)
    line.add_argument("--against", type=Path, metavar="JSON", help="print ratios to an earlier result")
    arguments = line.parse_args()
    workers = start(arguments)
    result = describe(workers, arguments)
    for case in select(arguments.cases, cases):
        result["cases"][case.name] = run(case, workers, result, arguments)
        print(f"{case.name} done", file=sys.stderr)
    for worker in workers:
        worker.close()
    print(heading(result))
    print(time_table(result))
    if "fallline" in result["contestants"]:
        print(ratio_table(result))
    if arguments.against:
        print(against_table(result, json.loads(arguments.against.read_text())))
    save(result, arguments)
    return int(any(case["disagree"] for case in result["cases"].values()))


def parser(
    program: str, description: str, cases: Mapping[str, Case], peers: list[str]
) -> argparse.ArgumentParser:
    """The command line of an interleaved run."""
    line = argparse.ArgumentParser(prog=program, description=description)
    line.add_argument("--cases", nargs="+", metavar="CASE", choices=cases, help=f"some of {' '.join(cases)}")
    line.add_argument(
        "--peers", nargs="*", choices=peers, default=peers, metavar="PEER", help=" ".join(peers)
    )
    line.add_argument("--threads", type=int, default=2)
    line.add_argument("--rounds", type=int, default=7)
    line.add_argument("--save", type=Path, metavar="JSON", help="write the result")
    return line


def start(arguments: argparse.Namespace) -> list[Worker]:
    """A process for fallline and each peer that can take part."""
    workers = [Worker(name, arguments.threads) for name in ("fallline", *arguments.peers)]
    for worker in workers:
        if worker.reason:
            print(f"left out: {worker.reason}", file=sys.stderr)
    return [worker for worker in workers if not worker.reason]


def save(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Write the result where it was asked for."""
    if arguments.save:
        arguments.save.write_text(json.dumps(result, indent=1) + "\n")


def describe(workers: list[Worker], arguments: argparse.Namespace) -> dict[str, Any]:
    """Where, when and with what the figures are made."""
    config = next((worker.about["config"] for worker in workers if worker.name == "fallline"), {})
    versions = {"python": platform.python_version()}
    for worker in workers:
        versions |= worker.about["versions"]
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "cpu": cpu_name(),
        "target": config.get("target", supported()[0]),
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "versions": versions,
        "contestants": [worker.name for worker in workers],
        "cases": {},
    }


def cpu_name() -> str:
    """The CPU's own name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def run(
    case: Case, workers: list[Worker], about: dict[str, Any], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Check that all compute the same losses, then time them in turn."""
    workers, disagree = prepare(case, workers)
    peak = fma_peak(about["target"], arguments.threads)
    rounds: dict[str, list[float]] = {worker.name: [] for worker in workers}
    for _ in range(arguments.rounds):
        for worker in workers:
            time.sleep(SETTLE_SECONDS)
            rounds[worker.name].append(worker.ask("round") / case.steps * 1e6)
    return {
        "flops": case.flops,
        "peak": peak,
        "disagree": disagree,
        "microseconds": {name: summary(times) for name, times in rounds.items()},
    }


def prepare(case: Case, workers: list[Worker]) -> tuple[list[Worker], dict[str, list[float]]]:
    """Set the case up in each that can; those, and whose losses differ."""
    losses = {}
    for worker in workers:
        try:
            losses[worker.name] = worker.ask("check", case.name)
            worker.ask("prepare", case.name)
        except RuntimeError as error:
            print(f"{case.name}: left out: {error}", file=sys.stderr)
    disagree = disagreeing(losses)
    if disagree:
        print(f"{case.name}: losses differ: {disagree}", file=sys.stderr)
    return [worker for worker in workers if worker.name in losses], disagree


def disagreeing(losses: dict[str, list[float]]) -> dict[str, list[float]]:
    """Contestants whose losses are not the first one's, with that one; empty where all agree."""
    if not losses:
        return {}
    first, expected = next(iter(losses.items()))
    wrong = {
        name: given
        for name, given in losses.items()
        if any(abs(a - b) > TOLERANCE * abs(b) for a, b in zip(given, expected, strict=True))
    }
    return wrong and {first: expected, **wrong}


def summary(times: list[float]) -> dict[str, float]:
    """Median and the span that holds the middle eight tenths."""
    deciles = statistics.quantiles(times, n=10, method="inclusive") if len(times) > 1 else times * 9
    return {"median": statistics.median(times), "p10": deciles[0], "p90": deciles[-1]}


def heading(result: dict[str, Any]) -> str:
    """One paragraph that says what the tables are of."""
    versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items())
    return (
        f"{result['date']}, {result['cpu']} ({result['machine']}), target {result['target']}, "
        f"{result['threads']} threads, {result['rounds']} rounds.\n{versions}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
