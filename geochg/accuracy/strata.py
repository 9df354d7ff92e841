"""The strata of a change layer: kinds of change, unchanged ground near changes, and the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.crs import CRS
from rasterio.features import rasterize

from geochg.geometry.placement import crs_of, transformer
from geochg.geometry.reprojected_areas import Bounds, areas_in_crs
from geochg.pipeline.reviewed_layer import on_grid
from geochg.pipeline.zones import ground_of
from geochg.records import PixelWindow
from geochg.tiling.footprints import grid_center

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

UNCHANGED = "unchanged"
"""The class of ground that the map, or the reference, calls unchanged."""

NEAR = "unchanged, near changes"
FAR = "unchanged, far from changes"
"""The two strata of unchanged ground."""


def change_label(class_name: str, change: str) -> str:
    """The name of a class of the map: `building appeared`; `unchanged` where nothing changed."""
    return UNCHANGED if change == UNCHANGED else f"{class_name} {change}"


@dataclass(frozen=True)
class Strata:
    """The strata that a change layer divides the ground into.

    Attributes:
        names: Of all strata: the kinds of change by name, `NEAR`, `FAR`.
        polygons: `(n,)` changes in pixels of the grid; where two overlap, the first counts.
        labels: `(n,)` int, the stratum of each, an index of `names`.
        near: `(m,)` what lies near a change, in pixels of the grid.
    """

    names: tuple[str, ...]
    polygons: NDArray[np.object_]
    labels: NDArray[np.int16]
    near: NDArray[np.object_]
    _trees: tuple[shapely.STRtree, shapely.STRtree] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        trees = shapely.STRtree(self.polygons), shapely.STRtree(self.near)
        object.__setattr__(self, "_trees", trees)

    @classmethod
    def of_layer(cls, changes: GeoDataFrame, grid: GeoBox, near_m: float) -> Strata:
        """The strata of a change layer.

        Args:
            changes: Polygons with the columns `class` and `change`, in any CRS.
            grid: The grid of the run, with a CRS.
            near_m: How far unchanged ground near a change reaches, in metres.
        """
        kinds = [
            change_label(*kind) for kind in zip(changes["class"], changes["change"], strict=True)
        ]
        change_names = sorted(set(kinds))
        number = {name: index for index, name in enumerate(change_names)}
        polygons = on_grid(changes, grid).geometry.to_numpy()
        return cls(
            names=(*change_names, NEAR, FAR),
            polygons=_in_pixels(polygons, grid),
            labels=np.array([number[kind] for kind in kinds], np.int16),
            near=_in_pixels(_surroundings(polygons, grid, near_m), grid),
        )

    def map_class(self, stratum: int) -> str:
        """The class that the map gives the ground of a stratum."""
        return UNCHANGED if stratum >= len(self.names) - 2 else self.names[stratum]

    def of_window(self, window: PixelWindow) -> NDArray[np.int16]:
        """The stratum of each pixel of a window, by its centre; `(height, width)` int16."""
        changes, near = self._trees
        box = shapely.box(window.col_start, window.row_start, window.col_stop, window.row_stop)
        shape = (window.height_px, window.width_px)
        strata = np.full(shape, len(self.names) - 1, np.int16)
        nearby = [(self.near[index], len(self.names) - 2) for index in np.sort(near.query(box))]
        # What is burnt last stays: the first of two changes that overlap.
        change_shapes = [
            (self.polygons[index], int(self.labels[index]))
            for index in np.sort(changes.query(box))[::-1]
        ]
        if burnt := nearby + change_shapes:
            local = (window.col_start, window.row_start)
            shapes = shapely.transform([polygon for polygon, _ in burnt], lambda xy: xy - local)
            rasterize(zip(shapes, (value for _, value in burnt), strict=True), out=strata)
        return strata

    def of_points(self, points_px: NDArray[np.float64]) -> NDArray[np.int16]:
        """The stratum of points `(n, 2)`, column and row in pixels of the grid; `(n,)` int16."""
        changes, near = self._trees
        strata = np.full(len(points_px), len(self.names) - 1, np.int16)
        points = shapely.points(points_px)
        strata[near.query(points, predicate="intersects")[0]] = len(self.names) - 2
        held_points, holders = changes.query(points, predicate="intersects")
        first = np.full(len(points_px), len(self.polygons), np.int64)
        np.minimum.at(first, held_points, holders)
        is_change = first < len(self.polygons)
        strata[is_change] = self.labels[first[is_change]]
        return strata


def _surroundings(
    polygons: NDArray[np.object_], grid: GeoBox, near_m: float
) -> NDArray[np.object_]:
    """What lies within a distance of changes, as measured in a projection of the place.

    Args:
        polygons: `(n,)` changes in the grid's CRS.
        grid: The grid.
        near_m: The distance in metres.

    Returns:
        `(n,)` polygons in the grid's CRS; none where the distance is 0.
    """
    if not len(polygons) or near_m == 0:
        return np.empty(0, np.object_)
    crs = crs_of(grid)
    lon, lat = transformer(crs, CRS("EPSG:4326")).transform(*grid_center(grid))
    local = CRS(f"+proj=aeqd +lat_0={lat:.6f} +lon_0={lon:.6f} +datum=WGS84 +units=m")
    to_local = transformer(crs, local)
    projected = shapely.transform(
        polygons, lambda xy: np.column_stack(to_local.transform(xy[:, 0], xy[:, 1]))
    )
    buffers = shapely.buffer(projected, near_m, quad_segs=4)
    return areas_in_crs(buffers, local.proj, crs.proj, Bounds(*ground_of(grid).bounds))


def _in_pixels(polygons: NDArray[np.object_], grid: GeoBox) -> NDArray[np.object_]:
    """Polygons of a grid's CRS in its pixels."""
    placed_polygons: NDArray[np.object_] = shapely.transform(
        polygons, lambda xy: np.column_stack(~grid.affine * (xy[:, 0], xy[:, 1]))
    )
    return placed_polygons
