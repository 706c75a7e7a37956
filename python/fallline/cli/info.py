"""Print the version, the compiler, the SIMD target and the threads, and why each was chosen."""

from __future__ import annotations

import argparse

import fallline as fl

SUMMARY = "Print the version, the compiler, the SIMD target and the threads, and why each was chosen."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`fallline info` takes no options."""


def run(_options: argparse.Namespace) -> int:
    """Print the configuration."""
    fl.show_config()
    return 0
