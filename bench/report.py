"""Markdown tables of a comparison."""

from __future__ import annotations

from typing import Any

Result = dict[str, Any]


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, first column left, the others right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows)) + "\n"


def digits(value: float) -> str:
    """Three significant digits without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def time_table(result: Result) -> str:
    """Microseconds a step: median and, in brackets, the 10th to 90th percentile."""
    names = result["contestants"]
    rows = []
    for case, measured in result["cases"].items():
        times = [measured["microseconds"].get(name) for name in names]
        cells = [
            f"{digits(t['median'])} ({digits(t['p10'])}-{digits(t['p90'])})" if t else "-" for t in times
        ]
        rows.append([case, *cells])
    return table(["µs per step", *names], rows)


def ratio_table(result: Result) -> str:
    """How many times as fast as each peer fallline is, and how near to the machine's limit."""
    peers = [name for name in result["contestants"] if name != "fallline"]
    rows = []
    for case, measured in result["cases"].items():
        medians = medians_of(measured)
        if "fallline" not in medians:
            continue
        rate = measured["flops"] / medians["fallline"] * 1e6
        share = f"{rate / measured['peak']:.0%}" if measured["peak"] else "-"
        cells = [ratio(medians.get(peer), medians["fallline"]) for peer in peers]
        rows.append([case, *cells, f"{rate / 1e9:.1f}", share])
    return table(["fallline is faster than", *peers, "GFLOP/s", "of the FMA peak"], rows)


def pace_table(result: Result) -> str:
    """Microseconds a step among the first epochs of a fit and among the last, and their ratio: medians."""
    names = result["contestants"]
    rows = []
    for case, measured in result["cases"].items():
        paces = [measured["microseconds"].get(name) for name in names]
        cells = [
            f"{digits(p['first'])} → {digits(p['last'])} ({p['ratio']:.2f}x)" if p else "-" for p in paces
        ]
        rows.append([case, *cells])
    return table(["µs per step, first → last epochs", *names], rows)


def against_table(result: Result, earlier: Result) -> str:
    """Earlier times over those of this run: above 1 is faster now; the peers show the machine's own drift."""
    names = [name for name in result["contestants"] if name in earlier["contestants"]]
    rows = []
    for case, measured in result["cases"].items():
        if case in earlier["cases"]:
            now, then = medians_of(measured), medians_of(earlier["cases"][case])
            rows.append([case, *[ratio(then.get(name), now.get(name)) for name in names]])
    return table([f"faster than on {earlier['date']}", *names], rows)


def medians_of(measured: dict[str, Any]) -> dict[str, float]:
    """Median microseconds of everyone who took part."""
    return {name: times["median"] for name, times in measured["microseconds"].items()}


def ratio(slower: float | None, faster: float | None) -> str:
    """How many times, or a dash where one did not take part."""
    return f"{slower / faster:.2f}x" if slower and faster else "-"
