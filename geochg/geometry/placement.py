"""From grid pixels to the ground: the grid's CRS and the polygons placed in it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.crs import CRS
    from odc.geo.geobox import GeoBox
    from pyproj import Transformer


def crs_of(grid: GeoBox) -> CRS:
    """The CRS of a grid that is known to have one; odc-geo allows grids without a place."""
    if grid.crs is None:
        raise ValueError("the grid has no CRS")
    return grid.crs


@lru_cache(maxsize=32)
def transformer(crs: CRS, target: CRS) -> Transformer:
    """The transformer of x and y from one CRS to another; kept, since making it takes long."""
    from pyproj import Transformer

    return Transformer.from_crs(crs.proj, target.proj, always_xy=True)


def on_ground(polygons: NDArray[np.object_], grid: GeoBox) -> NDArray[np.object_]:
    """Polygons in the grid's CRS, shells counterclockwise, from polygons in grid pixels."""
    import shapely

    a, b, c, d, e, f = grid.affine[:6]
    placed = shapely.transform(
        polygons,
        lambda xy: np.column_stack(
            [a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f]
        ),
    )
    oriented: NDArray[np.object_] = shapely.orient_polygons(placed, exterior_cw=False)
    return oriented
