"""Which rows make the batches of an epoch: fit(sampler=...)."""

from __future__ import annotations

from fallline.samplers.awsgd import AWSGD
from fallline.samplers.plain import Balanced, Sequential, Shuffled, Weighted, WithReplacement
from fallline.samplers.sampler import Sampler

__all__ = ["AWSGD", "Balanced", "Sampler", "Sequential", "Shuffled", "Weighted", "WithReplacement"]
