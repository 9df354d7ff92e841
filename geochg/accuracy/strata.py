"""The strata of a change layer: kinds of change, unchanged ground near changes, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geochg.geometry.placement import transformer
from geochg.records import PixelWindow

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
        surroundings = _surroundings(changes, near_m)
        return cls(
            names=(*change_names, NEAR, FAR),
            polygons=_in_pixels(changes, grid),
            labels=np.array([number[kind] for kind in kinds], np.int16),
            near=_in_pixels(surroundings, grid),
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


def _surroundings(changes: GeoDataFrame, near_m: float) -> GeoDataFrame:
    """What lies within a distance of changes, as measured in a projection of the place."""
    from geopandas import GeoDataFrame

    if changes.empty or near_m == 0:
        return GeoDataFrame(geometry=[], crs=changes.crs)
    projected = changes.geometry.to_crs(changes.estimate_utm_crs())
    return GeoDataFrame(geometry=projected.buffer(near_m, quad_segs=4), crs=projected.crs)


def _in_pixels(frame: GeoDataFrame, grid: GeoBox) -> NDArray[np.object_]:
    """Polygons in pixels of a grid."""
    if frame.empty:
        return np.empty(0, np.object_)
    from odc.geo.crs import CRS

    to_grid = transformer(CRS(frame.crs), CRS(grid.crs))
    to_pixels = ~grid.affine

    def place(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = to_grid.transform(xy[:, 0], xy[:, 1])
        return np.column_stack(to_pixels * (x, y))

    polygons: NDArray[np.object_] = shapely.transform(frame.geometry.to_numpy(), place)
    return polygons


def to_pixels(points: Sequence[tuple[float, float]], crs: str, grid: GeoBox) -> NDArray[np.float64]:
    """Points of a CRS as columns and rows of a grid, `(n, 2)`."""
    from geopandas import GeoDataFrame

    frame = GeoDataFrame(geometry=shapely.points(np.asarray(points, float)), crs=crs)
    return np.asarray(shapely.get_coordinates(_in_pixels(frame, grid)))
