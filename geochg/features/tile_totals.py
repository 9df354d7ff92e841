"""What changed in each tile, of the features that are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import shapely

from geochg.features.captions import ChangeTotal
from geochg.features.collecting import Collected
from geochg.features.patches import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TileTotals:
    """Sums of features by tile; an object counts in the tile whose core has its point."""

    def __init__(self) -> None:
        self._by_tile: dict[int, dict[Kind, ChangeTotal]] = {}

    def add(
        self,
        collection: Collected,
        of_cell: NDArray[np.int64],
        kinds: Sequence[Kind],
        objects: Mapping[int, NDArray[np.float64] | None],
        *,
        is_outline: bool,
    ) -> None:
        """Adds features.

        Args:
            collection: Cells of features.
            of_cell: `(cells,)` number of the feature of each.
            kinds: Class and direction of each feature.
            objects: `(objects, 2)` points, in grid pixels, of the features that are kept by their
                number; None for those whose objects are counted in their cells, or not at all.
            is_outline: Whether the areas of cells are those of what changed.
        """
        tiles_of: dict[int, set[int]] = {}
        areas = shapely.area(collection.polygons).tolist()
        for tile, cell, area_px, i in zip(
            collection.tile.tolist(), collection.cells, areas, of_cell.tolist(), strict=True
        ):
            if i in objects:
                count = cell.objects if objects[i] is None else 0
                self._add(tile, kinds[i], area_px if is_outline else None, count)
                tiles_of.setdefault(i, set()).add(tile)
        for i, points in objects.items():
            for x, y in [] if points is None else points.tolist():
                near = sorted(tiles_of[i])
                inside = [tile for tile in near if collection.tiles[tile].window.core.holds(x, y)]
                self._add((inside or near)[0], kinds[i], 0.0, 1)

    def _add(self, tile: int, kind: Kind, area_px: float | None, count: int | None) -> None:
        kinds = self._by_tile.setdefault(tile, {})
        former_total = kinds.get(kind, ChangeTotal(*kind, 0.0, None))
        is_counted = count is not None or former_total.count is not None
        new_count = (former_total.count or 0) + (count or 0) if is_counted else None
        area = None if area_px is None else (former_total.area_m2 or 0.0) + area_px
        kinds[kind] = ChangeTotal(*kind, area, new_count)

    def by_tile(self) -> dict[int, list[ChangeTotal]]:
        """The sums of each tile in which a feature lies, by its index, areas in pixels."""
        return {tile: list(kinds.values()) for tile, kinds in self._by_tile.items()}
