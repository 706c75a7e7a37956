"""The `fallline` command: train, predict, bench and info on top of the public API."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import fallline as fl
from fallline.cli import bench, info, predict, train

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, in the grammar of all errors."""

    def error(self, message: str) -> NoReturn:
        fault = re.sub(r"^argument (\S+): (?=is )", r"\1 ", message)
        self.exit(2, f"{self.prog.replace(' ', ': ')}: {fault} (see {self.prog} --help)\n")


def _parser() -> _Parser:
    parser = _Parser(prog="fallline", description="Train neural networks on the CPU.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"fallline {fl.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (train, predict, bench, info):  # each with a SUMMARY: python -OO has no docstrings
        subparser = commands.add_parser(
            command.__name__.rpartition(".")[2],
            help=command.SUMMARY[0].lower() + command.SUMMARY[1:].rstrip("."),
            description=command.SUMMARY,
            allow_abbrev=False,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 (it failed), 2 (bad usage or data) or 130 (Ctrl-C).

    Args:
        argv: The words after `fallline`; those of the process by default.

    Example:
        >>> main(["predict", "missing.safetensors", "new.csv"])
        2
    """
    try:
        options = _parser().parse_args(argv)
    except SystemExit as exit_:  # argparse exits after --help, --version and bad usage
        return int(exit_.code or 0)
    try:
        with _spelling_out(sys.stdout):
            status: int = options.run(options)
            if sys.stdout is not None:
                sys.stdout.flush()  # a closed pipe shows here, not at exit
    except KeyboardInterrupt:
        return _fail(f"{options.command}: interrupted", 130)
    except BrokenPipeError:  # `fallline bench | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        subject = f"{error.filename}: " if error.filename else ""
        return _fail(f"{subject}{error.strerror or error}", 2)
    except (ValueError, TypeError, ImportError) as error:
        return _fail(str(error), 2)
    except MemoryError as error:
        return _fail(f"{options.command}: the memory is too small ({error})", 1)
    except RuntimeError as error:  # the training itself failed, such as a loss that is no longer finite
        return _fail(str(error), 1)
    return status


@contextmanager
def _spelling_out(stream: Any) -> Iterator[None]:
    """Let letters that the terminal does not have be written as escapes for a while."""
    if not hasattr(stream, "reconfigure"):
        yield
        return
    kept = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=kept)


def _fail(message: str, status: int) -> int:
    if sys.stderr is not None:
        print(f"fallline: {' '.join(message.split())}", file=sys.stderr)
    return status
