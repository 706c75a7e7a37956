"""Looking for minima: of plain functions by any optimizer, and from many starts at once."""

from __future__ import annotations

from fallline.search.minimize import minimize
from fallline.search.results import Basin, Minima, Minimum

__all__ = ["Basin", "Minima", "Minimum", "minimize"]
