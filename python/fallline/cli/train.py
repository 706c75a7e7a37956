"""Train a network, on handwritten digits or on data of your own, and save it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fallline as fl
from fallline.checks import choice, integer
from fallline.cli.arrays import Dataset, Rows, read_digits, read_idx_folder, read_npz
from fallline.cli.files import add_force, checked_input, checked_output, is_archive, is_table
from fallline.cli.picture import draw
from fallline.cli.tables import read_csv
from fallline.cli.tasks import Kind, Task, moments
from fallline.declaration import known_names
from fallline.errors import message
from fallline.frames import Names
from fallline.optimizers import FirstOrder

SUMMARY = "Train a network, on handwritten digits or on data of your own, and save it."
_EPOCHS, _UPDATES = 30, 1200  # by default, at least so many of both
_COPIES = 4  # of the weights: themselves, what Adam keeps, and while they are drawn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fallline train`."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="a folder of IDX files, an .npz or a .csv; default: handwritten digits",
    )
    data.add_argument("--target", metavar="COLUMN", help="the column of a .csv to learn")
    data.add_argument(
        "--task", choices=("classification", "regression"), help="default: told from the target"
    )
    data.add_argument(
        "--validation-split",
        type=_share,
        metavar="SHARE",
        help="training rows held out; default: 0.1, or 0.2 where the data has no test set",
    )

    network = parser.add_argument_group("network")
    network.add_argument(
        "--layers",
        type=_widths,
        default=(128,),
        metavar="128,64",
        help="widths of the hidden layers, or none; default: 128",
    )
    network.add_argument(
        "--activation", default="relu", metavar="NAME", help="of the hidden layers; default: relu"
    )
    network.add_argument(
        "--dropout", type=_number, default=0.0, metavar="RATE", help="after each hidden layer; default: 0"
    )
    network.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="default: float32"
    )

    training = parser.add_argument_group("training")
    training.add_argument("--optimizer", default="adam", metavar="NAME", help="default: adam")
    training.add_argument(
        "--learning-rate", type=_number, metavar="RATE", help="default: the optimizer's own"
    )
    training.add_argument("--epochs", type=_integer, metavar="N", help="default: 30, or more for few rows")
    training.add_argument("--batch-size", type=_integer, default=32, metavar="N", help="default: 32")
    training.add_argument(
        "--seed", type=_integer, default=0, metavar="N", help="all that is random follows; default: 0"
    )

    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="the model to write; default: NAME.safetensors, after the data",
    )
    add_force(output)
    output.add_argument("--quiet", action="store_true", help="print errors only")


def run(options: argparse.Namespace) -> int:
    """Train, judge on rows the training has not seen, and write the model and its learning curves."""
    seed = integer("train", "--seed", options.seed, low=0)
    data = _read(options.data, options.target, options.task)
    output = options.output or Path(f"{data.name}.safetensors")
    output = checked_output("train", output, ".safetensors", force=options.force)
    task = Task.told_by(data.train.answers, options.task or data.kind, data.target)
    kept, held_out = _hold_out(data, options.validation_split, seed)
    judge, judged_on = ("validation", held_out) if data.test is None else ("test", data.test)
    truth = judged_on.answers
    model = _model(kept, task, options)
    epochs = max(_EPOCHS, -(-_UPDATES * options.batch_size // len(kept)))
    if options.epochs is not None:
        epochs = integer("train", "--epochs", options.epochs, low=1)
    model.names = Names(columns=data.columns)
    task.note(model)
    if not options.quiet:
        print(_description(data, kept, held_out, task))
        model.summary()

    start = time.perf_counter()
    history = model.fit(
        kept.x,
        task.encode(kept.answers),
        batch_size=options.batch_size,
        epochs=epochs,
        validation_data=(held_out.x, task.encode(held_out.answers)),
        verbose=0 if options.quiet else "auto",
    )
    seconds = time.perf_counter() - start

    model.save(output)
    score = task.score(model.predict(judged_on.x), truth)
    picture = output.with_suffix(".png")
    if picture.exists() and not options.force:
        drawn = f"none: {picture} exists, --force draws over it"
    else:
        drawn = str(draw(history.history, picture, title=data.name) or "none: matplotlib is not installed")
    if not options.quiet:
        rate = len(kept) * epochs / seconds
        print(f"{judge} {score} on {len(judged_on)} rows")
        print(f"trained in {seconds:.2f} s, {rate:,.0f} samples per second")
        print(f"model    {output}")
        print(f"picture  {drawn}")
    return 0


def _read(path: Path | None, target: str | None, kind: Kind | None) -> Dataset:
    """The data that --data and --target name, with an answer for every row."""
    if target is not None and (path is None or not is_table(path)):
        raise ValueError(
            message("train", "--target", f"is {target!r}", "it only with a .csv, whose columns have names")
        )
    if path is None:
        return read_digits()
    path = checked_input("train", "--data", path)
    if path.is_dir():
        data = read_idx_folder(path)
    elif is_archive(path):
        data = read_npz(path)
    elif not is_table(path):
        raise ValueError(
            message("train", "--data", f"is {str(path)!r}", "a folder of IDX files, an .npz or a .csv")
        )
    elif target is None:
        raise ValueError(
            message("train", "--target", "is missing", f"the name of the column of {path} to learn")
        )
    else:
        data = read_csv(path, target, kind)
    return data


def _hold_out(data: Dataset, share: float | None, seed: int) -> tuple[Rows, Rows]:
    """The training rows, and some of them drawn by the seed and set apart."""
    if share is None:
        share = 0.2 if data.test is None else 0.1
    n = len(data.train)
    n_held_out = round(share * n)
    if not 0 < n_held_out < n:
        got = f"is {share:g}, {n_held_out} of {n} rows"
        raise ValueError(message("train", "--validation-split", got, "at least one row on each side"))
    held_out, kept = np.split(np.random.default_rng(seed).permutation(n), [n_held_out])
    return data.train.take(kept), data.train.take(held_out)


def _model(rows: Rows, task: Task, options: argparse.Namespace) -> fl.Model:
    is_classes = task.kind == "classification"
    layers: list[Any] = [fl.Input(rows.x.shape[1]), _rescale(rows.x)]
    for width in options.layers:
        layers.append(fl.Dense(width, activation=options.activation))
        if options.dropout:
            layers.append(fl.Dropout(options.dropout))
    layers.append(fl.Dense(len(task.classes), activation="softmax") if is_classes else fl.Dense(1))

    _check_memory([rows.x.shape[1], *options.layers, len(task.classes) or 1], options.dtype)

    optimizers = known_names(FirstOrder)
    optimizer = optimizers[choice("train", "--optimizer", options.optimizer, optimizers)]
    rate = {} if options.learning_rate is None else {"learning_rate": options.learning_rate}
    model = fl.Model(layers, seed=options.seed, dtype=options.dtype)
    model.compile(
        optimizer=optimizer(**rate),
        loss="cross_entropy" if is_classes else "mse",
        metrics=["accuracy" if is_classes else "mae"],
    )
    return model


def _check_memory(widths: Sequence[int], dtype: str) -> None:
    """Refuse layers that the machine has no room for, before it runs out of memory."""
    weights = sum((inputs + 1) * units for inputs, units in pairwise(widths))
    needed = weights * np.dtype(dtype).itemsize * _COPIES
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        got = f"have {weights:,} weights, which take {needed / 1e9:,.0f} GB to train"
        raise ValueError(
            message("train", "--layers", got, f"less than the {memory / 1e9:,.0f} GB of this machine")
        )


def _rescale(x: NDArray[Any]) -> fl.Rescale:
    """Pixels to [0, 1]; measured columns to mean 0 and deviation 1, constant ones to 0."""
    if x.dtype == np.uint8:
        return fl.Rescale(1 / max(1, int(x.max())))
    mean, deviation = moments(x)
    scale = 1 / np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
    return fl.Rescale(scale, offset=-mean * scale)


def _description(data: Dataset, kept: Rows, held_out: Rows, task: Task) -> str:
    test = "" if data.test is None else f", {len(data.test)} for the test"
    goal = f"{len(task.classes)} classes" if task.classes else "values"
    index = ", without the first, which has no name" if data.has_index else ""
    return (
        f"{data.name}: {len(kept)} rows for training, {len(held_out)} for validation{test}; "
        f"{kept.x.shape[1]} columns{index}; {task.kind} of {goal}"
    )


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"is {text!r}; expected a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"is {text!r}; expected a number") from None


def _share(text: str) -> float:
    share = _number(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"is {text!r}; expected a share between 0 and 1")
    return share


def _widths(text: str) -> tuple[int, ...]:
    try:
        return () if text == "none" else tuple(int(width) for width in text.split(","))
    except ValueError:
        expected = "whole numbers such as 128,64, or none"
        raise argparse.ArgumentTypeError(f"is {text!r}; expected {expected}") from None
