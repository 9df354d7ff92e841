"""From the cells of all tiles to the features of a layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import shapely

from geochg.features.captions import ChangeTotal, feature_caption, pair_caption
from geochg.features.collecting import Collected, FeatureSummary, feature_summaries
from geochg.features.facts import Facts, adjoining_cover, is_long
from geochg.features.merging import feature_numbers, merged_polygons
from geochg.features.naming import named_kinds
from geochg.features.patches import Kind, kind_numbers, settled_kinds
from geochg.features.places import places
from geochg.features.smoothing import smoothed_polygons
from geochg.features.straightening import straightened_polygons
from geochg.features.tile_results import Ground, TileResult
from geochg.geometry.geodesy import geodesic_areas
from geochg.geometry.hysteresis import least_size_px
from geochg.geometry.objects import objects_within, point_within
from geochg.geometry.placement import crs_of, layer_frame, on_ground, table_column
from geochg.land_cover import OTHER, covers_of
from geochg.options import AnalyzeOptions, Geometry
from geochg.tasks.quantities import rounded_value

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox


FILTERS = ("min_area_m2", "max_area_m2", "min_confidence", "classes")
"""Options that drop features; a run names them where they leave none."""


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """Settings for what becomes of the cells.

    Attributes:
        geometry: `outline` smooths the staircases of pixel outlines, `cells` leaves boxes alone.
        min_confidence: Features below this (0-1) are dropped.
        min_area_m2: Features below this geodesic area are dropped. None drops those below
            `least_px` where the model tells land cover, and else nothing.
        max_area_m2: Features above this geodesic area are dropped; None for no limit.
        least_px: Least size of a change; see `geometry.hysteresis.least_size_px`. Where the model
            tells land cover, smaller features join one that they touch.
        classes: Classes that were asked for; empty for all.
        pixel_area_m2: Ground area of a pixel; not a number where it is not known.
    """

    geometry: Geometry = Geometry.OUTLINE
    min_confidence: float = 0.0
    min_area_m2: float | None = None
    max_area_m2: float | None = None
    least_px: int = 0
    classes: tuple[str, ...] = ()
    pixel_area_m2: float = math.nan

    @property
    def leaves_doubt(self) -> bool:
        """Whether changes whose class is in doubt are kept under that of `land_cover.OTHER`."""
        return not self.classes or OTHER.class_name in self.classes

    @classmethod
    def of(cls, options: AnalyzeOptions, pixel_area_m2: float) -> Self:
        """What a run's options say of its features, at the ground area of a pixel."""
        return cls(
            geometry=options.geometry,
            min_confidence=options.min_confidence,
            min_area_m2=options.min_area_m2,
            max_area_m2=options.max_area_m2,
            least_px=least_size_px(pixel_area_m2),
            classes=options.classes,
            pixel_area_m2=pixel_area_m2,
        )


class Changes(NamedTuple):
    """What comes of the cells of a run.

    Attributes:
        features: One row a feature, in order of its first pixel, then class and direction, in the
            grid's CRS. Columns: `id` (int64, from 1), `class`, `change`, `before_class` and
            `after_class` (land cover of most of it at either date, missing where the model cannot
            tell), `confidence` (0-1, weighted by area, 4 decimals), `caption` (about the feature
            where it was outlined or shares its tile, else the model's about the tile), `count`
            (Int64; of outlined features the separate buildings, or the stretches of road; else the
            model's count where the feature is the only one of its class in its only tile, or
            missing), `area_m2` (geodesic, 1 decimal, of tiny ones 3 figures), `tiles` and `cells`
            (lists of names such as `r0c1` and `r0c1/top-left`), `geometry` (polygons).
        in_tiles: What changed in each tile by its index, areas in pixels; None for models that
            tell no land cover.
    """

    features: GeoDataFrame
    in_tiles: dict[int, list[ChangeTotal]] | None


def changes_of(results: Iterable[TileResult], grid: GeoBox, settings: FeatureSettings) -> Changes:
    """The features of a run and what of them lies in each tile.

    Cells of one class and direction that share an edge become one feature, also across tiles.
    Where the model tells land cover, specks join what they touch, no class appeared beside where
    it disappeared, buildings have straight outlines, and features whose class is in doubt are of
    class "other" (see `naming`).

    Args:
        results: Results of the tiles, in any order; each is let go before the next is taken.
        grid: The common grid, which gives the place of pixels and the CRS.
        settings: Shape and filters.
    """
    collection = Collected.of(results)
    layer = _Layer.of(collection, settings)
    located_polygons = on_ground(_shapes(layer, collection, grid, settings), grid)
    area_m2 = geodesic_areas(located_polygons, crs_of(grid).proj)
    confidence = np.array([entry.confidence for entry in layer.entries]).round(4)
    keep = (confidence >= settings.min_confidence) & _of_wanted_size(
        layer, collection, area_m2, settings
    )
    order = [i for i in _reading_order(layer.pixels, layer.kinds) if keep[i]]
    is_outline = settings.geometry is Geometry.OUTLINE
    objects = {i: _objects(layer, i) if is_outline else None for i in order}
    # A box is larger than what changed in it.
    known_m2 = area_m2 if is_outline else None
    facts = _facts(
        layer, order, located_polygons, known_m2, objects, places(located_polygons[order], grid)
    )
    columns = {
        "id": table_column(range(1, len(order) + 1), "int64"),
        "class": table_column([fact.class_name for fact in facts], "string"),
        "change": table_column([fact.change for fact in facts], "string"),
        "before_class": table_column([fact.before for fact in facts], "string"),
        "after_class": table_column([fact.after for fact in facts], "string"),
        "confidence": table_column(confidence[order], "float64"),
        "caption": table_column(
            [_caption(layer.entries[i], fact) for i, fact in zip(order, facts, strict=True)],
            "string",
        ),
        "count": table_column([fact.count for fact in facts], "Int64"),
        "area_m2": table_column(
            [rounded_value(float(area), 1) for area in area_m2[order]], "float64"
        ),
        "tiles": table_column([layer.entries[i].tiles for i in order], "object"),
        "cells": table_column([layer.entries[i].cells for i in order], "object"),
    }
    in_tiles = None
    if collection.tells_land_cover:
        in_tiles = _in_tiles(layer, collection, objects, is_outline=is_outline)
    return Changes(layer_frame(columns, located_polygons[order], grid), in_tiles)


def layer_caption(features: GeoDataFrame, not_seen_m2: float | None = None) -> str:
    """What changed in the whole area, in a sentence or two.

    Args:
        features: The features of `changes_of`.
        not_seen_m2: Ground that the model did not see; None for models that cannot tell.
    """
    kinds = [
        ChangeTotal(str(name), str(change), float(group["area_m2"].sum()), None)
        for (name, change), group in features.groupby(["class", "change"])
    ]
    return pair_caption(kinds, not_seen_m2 or 0.0)


class _Layer(NamedTuple):
    """The features before they are placed, in grid pixels, and the feature of each cell."""

    pixels: NDArray[np.object_]
    kinds: list[Kind]
    entries: list[FeatureSummary]
    of_cell: NDArray[np.int64]

    @classmethod
    def of(cls, collection: Collected, settings: FeatureSettings) -> _Layer:
        """Merges the cells."""
        polygons = np.array([cell.polygon for cell in collection.cells], dtype=object)
        kinds: list[Kind] = [(cell.class_name, str(cell.change)) for cell in collection.cells]
        if collection.tells_land_cover and settings.geometry is Geometry.OUTLINE:
            kinds = settled_kinds(polygons, kinds, settings.least_px)
        if collection.tells_land_cover and settings.leaves_doubt:
            grounds = [cell.ground for cell in collection.cells]
            kinds = named_kinds(polygons, kinds, grounds, settings.pixel_area_m2)
        feature = feature_numbers(polygons, kind_numbers(kinds))
        _, first = np.unique(feature, return_index=True)
        return cls(
            merged_polygons(polygons, feature),
            [kinds[i] for i in first.tolist()],
            feature_summaries(collection, polygons, feature),
            feature,
        )


# --- facts ---------------------------------------------------------------------------------------


def _facts(
    layer: _Layer,
    order: Sequence[int],
    located_polygons: NDArray[np.object_],
    area_m2: NDArray[np.float64] | None,
    objects: Mapping[int, NDArray[np.float64] | None],
    places: Sequence[str],
) -> list[Facts]:
    """What is known of each feature that is kept."""
    facts = []
    for i, place_name in zip(order, places, strict=True):
        name, change = layer.kinds[i]
        ground = layer.entries[i].ground
        under = ground or Ground()
        points = objects[i]
        before, after = covers_of(name, change, under.before, under.after)
        facts.append(
            Facts(
                name,
                change,
                before,
                after,
                adjoining_cover(name, before, under.beside),
                None if area_m2 is None else float(area_m2[i]),
                layer.entries[i].objects if points is None else len(points),
                place_name,
                is_long(located_polygons[i]),
            )
        )
    return facts


def _objects(layer: _Layer, index: int) -> NDArray[np.float64] | None:
    """`(objects, 2)` points in grid pixels: one in each building or stretch of road; else None."""
    if layer.entries[index].ground is None:
        return None
    find_objects = {"building": objects_within, "road": point_within}.get(layer.kinds[index][0])
    return None if find_objects is None else find_objects(layer.pixels[index])


def _in_tiles(
    layer: _Layer,
    collection: Collected,
    objects: Mapping[int, NDArray[np.float64] | None],
    *,
    is_outline: bool,
) -> dict[int, list[ChangeTotal]]:
    """What changed in each tile, of the features that are kept.

    An object counts in the tile whose core has its point, so that none counts twice.
    """
    by_tile: dict[int, dict[Kind, ChangeTotal]] = {}

    def add(tile: int, kind: Kind, area_px: float | None, count: int | None) -> None:
        kinds = by_tile.setdefault(tile, {})
        former_total = kinds.get(kind, ChangeTotal(*kind, 0.0, None if count is None else 0))
        new_count = None if count is None else (former_total.count or 0) + count
        area = None if area_px is None else (former_total.area_m2 or 0.0) + area_px
        kinds[kind] = ChangeTotal(*kind, area, new_count)

    tiles_of: dict[int, set[int]] = {}
    areas = shapely.area([cell.polygon for cell in collection.cells]).tolist()
    for tile, cell, area_px, i in zip(
        collection.tile.tolist(), collection.cells, areas, layer.of_cell.tolist(), strict=True
    ):
        if i in objects:
            count = cell.objects if objects[i] is None else 0
            add(tile, layer.kinds[i], area_px if is_outline else None, count)
            tiles_of.setdefault(i, set()).add(tile)
    for i, points in objects.items():
        for x, y in [] if points is None else points.tolist():
            near = sorted(tiles_of[i])
            inside = [tile for tile in near if collection.tiles[tile].window.core.holds(x, y)]
            add((inside or near)[0], layer.kinds[i], 0.0, 1)
    return {tile: list(kinds.values()) for tile, kinds in by_tile.items()}


def _caption(entry: FeatureSummary, facts: Facts) -> str:
    """The model's sentence, or where it has none for this feature, ours."""
    if entry.caption or (entry.caption is not None and entry.ground is None):
        return entry.caption
    return feature_caption(facts)


# --- geometry ------------------------------------------------------------------------------------


def _shapes(
    layer: _Layer, collection: Collected, grid: GeoBox, settings: FeatureSettings
) -> NDArray[np.object_]:
    """The polygons as they are drawn, in grid pixels."""
    if settings.geometry is not Geometry.OUTLINE:
        # Drops the vertices in the middle of straight edges that merging leaves.
        return shapely.simplify(layer.pixels, 0.0)
    smooth = smoothed_polygons(layer.pixels)
    if not collection.tells_land_cover or not len(smooth):
        return smooth
    buildings = np.array([name == "building" for name, _ in layer.kinds])
    return straightened_polygons(layer.pixels, smooth, buildings, _height_per_width(grid))


def _height_per_width(grid: GeoBox) -> float:
    """Height of a pixel on the ground by its width."""
    a, b, _, d, e, _ = grid.affine[:6]
    width, height = math.hypot(a, d), math.hypot(b, e)
    if crs_of(grid).geographic:
        _, south, _, north = grid.boundingbox.bbox
        width *= max(math.cos(math.radians((south + north) / 2)), 0.01)
    return height / width


def _of_wanted_size(
    layer: _Layer, collection: Collected, area_m2: NDArray[np.float64], settings: FeatureSettings
) -> NDArray[np.bool_]:
    """`(n,)` bool: which features are neither too small nor too large."""
    most_m2 = math.inf if settings.max_area_m2 is None else settings.max_area_m2
    if settings.min_area_m2 is not None:
        return (area_m2 >= settings.min_area_m2) & (area_m2 <= most_m2)
    least_px = settings.least_px if collection.tells_land_cover else 0
    large: NDArray[np.bool_] = shapely.area(layer.pixels) >= least_px
    return large & (area_m2 <= most_m2)


def _reading_order(polygons: NDArray[np.object_], kinds: Sequence[Kind]) -> NDArray[np.intp]:
    """Indices of polygons by the row, then the column of their first pixel, then by kind."""
    vertices, owner = shapely.get_coordinates(polygons, return_index=True)
    order = np.lexsort((vertices[:, 0], vertices[:, 1], owner))
    _, first = np.unique(owner[order], return_index=True)
    col, row = vertices[order][first].T
    return np.lexsort((kind_numbers(kinds), col, row))
