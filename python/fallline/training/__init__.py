"""The epoch loop: the core runs the batches, Python acts between them."""

from __future__ import annotations

from fallline.training.loop import run
from fallline.training.once import run_once
from fallline.training.plan import plan

__all__ = ["plan", "run", "run_once"]
