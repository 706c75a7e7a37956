"""Learning curves as a picture: the loss, and the accuracy or absolute error, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fallline.files import replacing

_INK = "#2b2b2b"
_PALE = "#8a8a8a"
_COLOURS = {"": "#9aa7b4", "val_": "#c8553d"}  # training in the background, what counts in front
_WORDS = {"": "training", "val_": "validation"}
_TITLES = {"loss": "loss", "accuracy": "accuracy", "mae": "mean absolute error"}


def draw(history: Mapping[str, Sequence[float]], path: Path, title: str) -> Path | None:
    """Write the curves of a history as a PNG and return its path; None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    panels = [name for name in _TITLES if name in history]
    figure = Figure(figsize=(4.6 * len(panels), 3.4), dpi=160, layout="constrained")
    figure.suptitle(title, x=0.012, ha="left", color=_INK, fontsize=12, fontweight="bold")
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, name, history)
    with replacing(path) as file:
        figure.savefig(file, format="png", facecolor="white")
    return path


def _panel(axes: Any, name: str, history: Mapping[str, Sequence[float]]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    curves = {prefix: history[prefix + name] for prefix in _COLOURS if prefix + name in history}
    for prefix, values in curves.items():
        epochs = range(1, len(values) + 1)
        colour = _COLOURS[prefix]
        axes.plot(epochs, values, color=colour, linewidth=1.8, solid_capstyle="round", label=_WORDS[prefix])
        axes.plot(epochs[-1], values[-1], "o", color=colour, markersize=4)
    axes.set_title(_TITLES[name], loc="left", color=_PALE, fontsize=10)
    axes.set_xlabel("epoch", color=_PALE, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    if name == "accuracy":
        is_narrow = min(map(min, curves.values())) > 0.95
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1 if is_narrow else 0))
    if name == "loss":
        axes.legend(frameon=False, fontsize=9, labelcolor=_INK)
    axes.grid(axis="y", color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_PALE, labelsize=8.5, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#d0d0d0")
