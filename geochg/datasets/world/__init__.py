"""A synthetic world: unlimited pairs of pictures with exact masks, reproducible by seed."""

from __future__ import annotations

from geochg.datasets.telling.rows import caption_row, rows
from geochg.datasets.world.generate import generate
from geochg.datasets.world.kinds import CLASS_NAMES, DIRECTIONS
from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import WorldPair, scene
from geochg.datasets.world.write import write_dataset

__all__ = [
    "CLASS_NAMES",
    "DIRECTIONS",
    "WorldOptions",
    "WorldPair",
    "caption_row",
    "generate",
    "rows",
    "scene",
    "write_dataset",
]
