"""Apply a saved network to new rows and write its answers as a CSV."""

from __future__ import annotations

import argparse
import codecs
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fallline as fl
from fallline.cli.arrays import Rows, read_idx, read_idx_folder, read_npz
from fallline.cli.files import add_force, checked_input, checked_output, is_archive, is_table
from fallline.cli.tables import read_csv
from fallline.cli.tasks import Task
from fallline.files import replacing

SUMMARY = "Apply a saved network to new rows and write its answers as a CSV."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fallline predict`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .safetensors file that fallline saved")
    parser.add_argument(
        "data",
        type=Path,
        metavar="DATA",
        help="a .csv, an .npz, an IDX file or a folder of them (its test images)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("predictions.csv"),
        metavar="PATH",
        help="default: predictions.csv",
    )
    add_force(parser)


def run(options: argparse.Namespace) -> int:
    """Write class and probability, or value, of each row; score them where the data holds the answers."""
    output = checked_output("predict", options.output, ".csv", force=options.force)
    model = fl.load_model(checked_input("predict", "MODEL", options.model))
    task = Task.of(model)
    rows = _read(checked_input("predict", "DATA", options.data), task, model.names.columns)
    outputs = model.predict(rows.x)

    score = f"{task.score(outputs, rows.y)} on " if task and rows.y is not None else ""
    header, columns = _answers(task, outputs)
    with replacing(output) as file:
        writer = csv.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")
        writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))
    print(f"{score}{len(rows)} rows from {options.data}")
    print(f"predictions  {output}")
    return 0


def _read(path: Path, task: Task | None, columns: Sequence[str] | None) -> Rows:
    """The rows to predict: the test rows of data that has them, otherwise all."""
    if is_table(path):
        target, kind = (task.target, task.kind) if task else (None, None)
        return read_csv(path, target, kind, columns=columns, may_lack_answers=True).train
    if path.is_dir() or is_archive(path):
        data = read_idx_folder(path) if path.is_dir() else read_npz(path)
        return data.test or data.train
    images = read_idx(path)
    return Rows(images.reshape(len(images), -1), None)


def _answers(task: Task | None, outputs: NDArray[Any]) -> tuple[Sequence[str], Sequence[NDArray[Any]]]:
    """Names and columns of the CSV; every output as it is for a model that tells no task."""
    if task is None:
        return [f"output_{i}" for i in range(outputs.shape[1])], list(outputs.T)
    answers, probabilities = task.decode(outputs)
    if probabilities is None:
        return ["prediction"], [answers]
    return ["prediction", "probability"], [answers, np.round(probabilities.astype(np.float64), 6)]
