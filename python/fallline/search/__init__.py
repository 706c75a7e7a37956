"""Looking for minima: of plain functions by any optimizer, and from many starts at once."""

from __future__ import annotations

from fallline.search.functions import minimize
from fallline.search.models import multi_start
from fallline.search.results import Basin, Minima, Minimum, ModelBasin, MultiStart

__all__ = ["Basin", "Minima", "Minimum", "ModelBasin", "MultiStart", "minimize", "multi_start"]
