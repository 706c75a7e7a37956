"""Many models that are fitted at the same time, each on one thread."""

from __future__ import annotations

from fallline.fleet.fit_many import fit_many
from fallline.fleet.fleet import Fleet

__all__ = ["Fleet", "fit_many"]
