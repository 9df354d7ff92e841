"""From the cells of all tiles to the features of a layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.features.frame import layer_frame, series
from geochg.features.merging import joined, merged
from geochg.features.smoothing import smoothed
from geochg.geometry.geodesy import geodesic_areas
from geochg.geometry.ground import crs_of, on_ground
from geochg.options import Geometry
from geochg.records import GRID_CELLS, Cell, TileResult, TileWindow

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

_GRID_CELL_NAMES = [cell.name for cell in GRID_CELLS]


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """What becomes of the cells.

    Attributes:
        geometry: `outline` smooths the staircases of pixel outlines, `cells` leaves boxes alone.
        min_confidence: Features below this (0-1) are dropped.
        min_area_m2: Features below this geodesic area are dropped.
    """

    geometry: Geometry = Geometry.OUTLINE
    min_confidence: float = 0.0
    min_area_m2: float = 0.0


def change_features(
    results: Iterable[TileResult], grid: GeoBox, settings: FeatureSettings
) -> GeoDataFrame:
    """The features of a run.

    Cells of one class and direction that share an edge become one feature, also across tiles.

    Args:
        results: One a tile, in any order; each is let go before the next is taken.
        grid: The common grid, which gives the place of pixels and the CRS.
        settings: Shape and filters.

    Returns:
        One row a feature, in order of its first pixel, then class and direction, in the grid's
        CRS. Columns: `id` (int64, from 1), `class`, `change`, `confidence` (0-1, weighted by area,
        4 decimals), `caption` (about the largest piece in the tile with the greatest share),
        `count` (Int64; the model's count where the feature is the only one of its class in its
        only tile, else missing, as overlapping tiles may count an object twice), `area_m2`
        (geodesic, 1 decimal), `tiles` and
        `cells` (lists of names such as `r0c1` and `r0c1/top-left`), `geometry` (polygons).
    """
    collected = _collected(results)
    kind, kinds = _numbered([(cell.class_name, str(cell.change)) for cell in collected.cells])
    polygons = np.array([cell.polygon for cell in collected.cells], dtype=object)
    feature = joined(polygons, kind)
    described = _described(collected, polygons, feature)
    pixels = merged(polygons, feature)
    shapes = smoothed(pixels) if settings.geometry is Geometry.OUTLINE else _without_joints(pixels)
    located = on_ground(shapes, grid)
    area_m2 = geodesic_areas(located, crs_of(grid).proj)

    confidence = np.array([each.confidence for each in described]).round(4)
    keep = (confidence >= settings.min_confidence) & (area_m2 >= settings.min_area_m2)
    kind_of = [kinds[kind[each.first]] for each in described]
    order = [i for i in _reading_order(pixels, kind_of) if keep[i]]
    columns = {
        "id": series(range(1, len(order) + 1), "int64"),
        "class": series([kind_of[i][0] for i in order], "string"),
        "change": series([kind_of[i][1] for i in order], "string"),
        "confidence": series(confidence[order], "float64"),
        "caption": series([described[i].caption for i in order], "string"),
        "count": series([described[i].objects for i in order], "Int64"),
        "area_m2": series(area_m2[order].round(1), "float64"),
        "tiles": series([described[i].tiles for i in order], "object"),
        "cells": series([described[i].cells for i in order], "object"),
    }
    return layer_frame(columns, located[order], grid)


# --- cells of all tiles --------------------------------------------------------------------------


class _Collected(NamedTuple):
    """Cells of all tiles in tile order, the tile each lies in, and what tiles say."""

    cells: list[Cell]
    tile: NDArray[np.int64]
    windows: dict[int, TileWindow]
    captions: dict[int, str]
    counts: dict[int, Mapping[str, int]]


def _collected(results: Iterable[TileResult]) -> _Collected:
    tiles: dict[int, tuple[TileWindow, str, Mapping[str, int], tuple[Cell, ...]]] = {}
    for result in results:
        if result.cells:
            window = result.window
            tiles[window.index] = (window, result.caption, result.counts, result.cells)
    indices = sorted(tiles)
    cells = [cell for index in indices for cell in tiles[index][3]]
    return _Collected(
        cells,
        np.repeat(np.array(indices, np.int64), [len(tiles[index][3]) for index in indices]),
        {index: tiles[index][0] for index in indices},
        {index: tiles[index][1] for index in indices},
        {index: tiles[index][2] for index in indices},
    )


class _Described(NamedTuple):
    """What a feature takes over from its cells.

    `first` is the index of one of them, `objects` what becomes the column `count`.
    """

    first: int
    confidence: float
    caption: str
    objects: int | None
    tiles: list[str]
    cells: list[str]


def _described(
    collected: _Collected, polygons: NDArray[np.object_], feature: NDArray[np.int64]
) -> list[_Described]:
    """One entry a feature, in order of its number."""
    import shapely

    area_px = shapely.area(polygons).tolist()
    tile, of = collected.tile.tolist(), feature.tolist()
    sharers = Counter({(tile[i], collected.cells[i].class_name, of[i]) for i in range(len(of))})
    features_in = Counter((index, name) for index, name, _ in sharers)
    described = []
    for _, group in groupby(np.argsort(feature, kind="stable").tolist(), key=of.__getitem__):
        members = list(group)
        share: dict[int, float] = {}
        for i in members:
            share[tile[i]] = share.get(tile[i], 0.0) + area_px[i]
        weighted = sum(area_px[i] * collected.cells[i].probability for i in members)
        described.append(
            _Described(
                first=members[0],
                confidence=weighted / sum(share.values()),
                caption=_caption(collected, members, area_px, max(share, key=share.__getitem__)),
                objects=_count(collected, members[0], list(share), features_in),
                tiles=[collected.windows[index].name for index in share],
                cells=_cell_names(collected, members),
            )
        )
    return described


def _caption(
    collected: _Collected, members: Sequence[int], area_px: Sequence[float], tile: int
) -> str:
    """What was said about the largest piece in a tile, else about the tile."""
    pieces = [i for i in members if collected.tile[i] == tile]
    largest = max(pieces, key=area_px.__getitem__)
    return collected.cells[largest].caption or collected.captions[tile]


def _count(
    collected: _Collected, member: int, tiles: Sequence[int], features_in: Counter[tuple[int, str]]
) -> int | None:
    """The model's count for a feature that shares its tile with no other of its class."""
    name = collected.cells[member].class_name
    if len(tiles) > 1 or features_in[tiles[0], name] > 1:
        return None
    return collected.counts[tiles[0]].get(name)


def _cell_names(collected: _Collected, members: Sequence[int]) -> list[str]:
    """Names such as `r0c1/top-left`, in order of tiles, then of the 3x3 grid."""
    found: dict[int, set[str]] = {}
    for i in members:
        found.setdefault(int(collected.tile[i]), set()).update(collected.cells[i].grid_cells)
    return [
        f"{collected.windows[index].name}/{name}"
        for index, names in found.items()
        for name in sorted(names, key=_GRID_CELL_NAMES.index)
    ]


def _numbered(
    items: Sequence[tuple[str, str]],
) -> tuple[NDArray[np.int64], list[tuple[str, str]]]:
    """The number of each item among the distinct ones, and the distinct ones in order."""
    distinct = sorted(set(items))
    number = {item: i for i, item in enumerate(distinct)}
    return np.array([number[item] for item in items], np.int64), distinct


# --- geometry ------------------------------------------------------------------------------------


def _without_joints(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Drops the vertices in the middle of straight edges that merging leaves."""
    import shapely

    found: NDArray[np.object_] = shapely.simplify(polygons, 0.0)
    return found


def _reading_order(
    polygons: NDArray[np.object_], kind: Sequence[tuple[str, str]]
) -> NDArray[np.intp]:
    """Indices of polygons by the row, then the column of their first pixel, then by kind."""
    import shapely

    vertices, owner = shapely.get_coordinates(polygons, return_index=True)
    order = np.lexsort((vertices[:, 0], vertices[:, 1], owner))
    _, first = np.unique(owner[order], return_index=True)
    col, row = vertices[order][first].T
    rank, _ = _numbered(kind)
    return np.lexsort((rank, col, row))
