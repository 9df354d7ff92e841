"""The cells of tiles, batch by batch, and what features take over from those they are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, Self

import numpy as np
import shapely
from numpy.typing import NDArray

from geochg.features.patches import Kind
from geochg.features.tile_results import Cell, Ground, TileResult
from geochg.geometry.lattice import edge_keys, unit_steps
from geochg.geometry.pieces import number_groups
from geochg.records import GRID_CELLS, LAND_COVER, Calibration, TileWindow

BATCH_CELLS = 2_500
"""Cells from which on a batch is taken together."""

_GRID_CELL_NAMES = [cell.name for cell in GRID_CELLS]
_COVERS = len(LAND_COVER) + 1
_NO_GROUND = ((0,) * _COVERS,) * 3


class TileFacts(NamedTuple):
    """What is taken over from a tile beside its cells; `cells` is their number by class."""

    window: TileWindow
    caption: str
    counts: Mapping[str, int]
    calibration: Calibration | None
    cells: Counter[str]

    @classmethod
    def of(cls, result: TileResult) -> Self:
        """What is taken over from a result."""
        cells = Counter(cell.class_name for cell in result.cells)
        return cls(result.window, result.caption, result.counts, result.calibration, cells)


class Collected(NamedTuple):
    """Cells of which no other cell of the run is part of their features, or alters their shapes.

    Attributes:
        cells: In tile order.
        tile: `(cells,)` index of the tile each lies in.
        tiles: By index; facts are of all cells of a tile, also of those that are not among these.
        tells_land_cover: Whether the model told the land cover of both dates.
    """

    cells: list[Cell]
    tile: NDArray[np.int64]
    tiles: dict[int, TileFacts]
    tells_land_cover: bool

    @property
    def polygons(self) -> NDArray[np.object_]:
        """`(cells,)` their polygons, in grid pixels."""
        return np.array([cell.polygon for cell in self.cells], dtype=object)

    @property
    def kinds(self) -> list[Kind]:
        """Class and direction of each cell, as the model told them."""
        return [(cell.class_name, str(cell.change)) for cell in self.cells]

    def grounds(self) -> NDArray[np.int64]:
        """`(cells, 3, covers)`: what is known of the ground of each, as in `Ground`; else 0."""
        grounds = [
            cell.ground if cell.ground is not None and cell.ground.before else _NO_GROUND
            for cell in self.cells
        ]
        return np.array(grounds, np.int64).reshape(-1, 3, _COVERS)


def closed_batches(results: Iterable[TileResult], reach_px: float = 0.0) -> Iterator[Collected]:
    """The cells of results in batches that have nothing to do with each other.

    Cells whose outlines meet, be it at a corner and be they of other classes, come in one batch, as
    soon as all tiles that they might reach into were read. So of a large run few are held at once.

    Args:
        results: Results in raster order.
        reach_px: How far the outline of a building may come to reach beyond its pixels. Cells that
            come as near to a building, or a building's outline, are in its batch.

    Yields:
        Batches of at least one cell.
    """
    members: list[tuple[int, Cell]] = []
    tiles: dict[int, TileFacts] = {}
    tells_land_cover = False
    batch_cells = BATCH_CELLS
    for result in results:
        tells_land_cover |= result.tells_land_cover
        if result.cells:
            tiles[result.window.index] = TileFacts.of(result)
            members += ((result.window.index, cell) for cell in result.cells)
        if len(members) < batch_cells:
            continue
        is_open = _is_open(members, result.window, reach_px)
        if not all(is_open):
            closed = [member for member, waits in zip(members, is_open, strict=True) if not waits]
            yield _collected(closed, tiles, tells_land_cover)
            members = [member for member, waits in zip(members, is_open, strict=True) if waits]
            open_tiles = {index for index, _ in members}
            tiles = {index: tiles[index] for index in open_tiles}
        # What hangs together for long is not looked through again and again.
        batch_cells = max(BATCH_CELLS, 2 * len(members))
    if members:
        yield _collected(members, tiles, tells_land_cover)


def _collected(
    members: Sequence[tuple[int, Cell]], tiles: Mapping[int, TileFacts], tells_land_cover: bool
) -> Collected:
    return Collected(
        [cell for _, cell in members],
        np.array([index for index, _ in members], np.int64),
        {index: tiles[index] for index in {index for index, _ in members}},
        tells_land_cover,
    )


def _is_open(
    members: Sequence[tuple[int, Cell]], last_window: TileWindow, reach_px: float
) -> list[bool]:
    """Which cells may have to do with ground that is read after a tile."""
    polygons = np.array([cell.polygon for _, cell in members], dtype=object)
    _, _, right, bottom = (shapely.bounds(polygons) + 2 * reach_px).T
    core = last_window.core
    is_near = (bottom >= core.row_stop) | ((bottom >= core.row_start) & (right >= core.col_stop))
    group = _touching_groups(polygons)
    is_open = np.isin(group, group[is_near])
    if reach_px:
        buildings = np.array([cell.class_name == "building" for _, cell in members])
        # What touches a building may become a part of it.
        buildings = np.isin(group, group[buildings])
        tree, added = shapely.STRtree(polygons), np.flatnonzero(is_open)
        while len(added):
            left, right = tree.query(polygons[added], "dwithin", 2 * reach_px)
            right = right[buildings[added[left]] | buildings[right]]
            was_open = is_open
            is_open = is_open | np.isin(group, group[right])
            added = np.flatnonzero(is_open & ~was_open)
    return [bool(waits) for waits in is_open]


def _touching_groups(polygons: NDArray[np.object_]) -> NDArray[np.int64]:
    """`(n,)` numbers of the groups of polygons whose outlines meet, if only at a corner."""
    steps = unit_steps(polygons)
    corner, piece = edge_keys(steps).corner, steps.polygon_of_ring[steps.ring]
    order = np.argsort(corner, kind="stable")
    meets = np.flatnonzero(corner[order[1:]] == corner[order[:-1]])
    return number_groups(piece[order[meets]], piece[order[meets + 1]], len(polygons))


class FeatureSummary(NamedTuple):
    """What a feature takes over from its cells.

    Attributes:
        confidence: 0-1, weighted by area and read off the calibration; None where no probability
            of its cells was measured.
        change_confidence: Likewise of its direction; None where that was not measured.
        caption: The model's sentence; empty where it has none for the place, None where its
            sentence is about a tile with several features, and so about none of them.
        objects: How many were counted in its tiles, or by the model where its count is of this
            feature alone.
        ground: Under and around all of it; None where it was not outlined.
        tiles: Names of the tiles it lies in.
        cells: Names such as `r0c1/top-left`.
    """

    confidence: float | None
    change_confidence: float | None
    caption: str | None
    objects: int | None
    ground: Ground | None
    tiles: list[str]
    cells: list[str]


def feature_summaries(
    collection: Collected,
    area_px: Sequence[float],
    grounds: NDArray[np.int64],
    feature: NDArray[np.int64],
) -> list[FeatureSummary]:
    """One entry a feature, in order of its number.

    Args:
        collection: The cells.
        area_px: Area of each.
        grounds: `(features, 3, covers)` what is known of the ground of each feature.
        feature: `(cells,)` number of the feature each belongs to, from 0 without gaps.
    """
    tile, owners = collection.tile.tolist(), feature.tolist()
    known_grounds, is_known = grounds.tolist(), np.any(grounds, axis=(1, 2)).tolist()
    entries = []
    for number, group in groupby(
        np.argsort(feature, kind="stable").tolist(), key=owners.__getitem__
    ):
        members = list(group)
        share: dict[int, float] = {}
        for i in members:
            share[tile[i]] = share.get(tile[i], 0.0) + area_px[i]
        main = max(share, key=share.__getitem__)
        calibration = collection.tiles[main].calibration
        ground = None
        if any(collection.cells[i].ground is not None for i in members):
            rows = map(tuple, known_grounds[number])
            ground = Ground(*rows) if is_known[number] else Ground()
        entries.append(
            FeatureSummary(
                confidence=_calibrated(
                    _mean((area_px[i], collection.cells[i].probability) for i in members),
                    calibration,
                ),
                change_confidence=_mean(
                    (area_px[i], collection.cells[i].change_probability) for i in members
                ),
                caption=_caption(collection, members, area_px, main),
                objects=_count(collection, members, list(share)),
                ground=ground,
                tiles=[collection.tiles[index].window.name for index in share],
                cells=_cell_names(collection, members),
            )
        )
    return entries


def _mean(weighted: Iterable[tuple[float, float | None]]) -> float | None:
    """The mean of the values that are known, by their weights; None where none is."""
    measured = [(weight, value) for weight, value in weighted if value is not None]
    total = sum(weight for weight, _ in measured)
    return sum(weight * value for weight, value in measured) / total if total else None


def _calibrated(mean: float | None, calibration: Calibration | None) -> float | None:
    if mean is None or calibration is None:
        return mean
    return float(np.interp(mean, *calibration))


def _caption(
    collection: Collected, members: Sequence[int], area_px: Sequence[float], tile: int
) -> str | None:
    """What the model said about the largest piece in a tile, else about the tile.

    What was said about a tile with other features is true of none of them by itself. Outlined
    pieces need no words about the whole tile: `features.captions` has some of their own.
    """
    pieces = [i for i in members if collection.tile[i] == tile]
    largest = collection.cells[max(pieces, key=area_px.__getitem__)]
    if largest.ground is not None:
        return "" if collection.tells_land_cover else largest.caption
    if largest.caption:
        return largest.caption
    facts = collection.tiles[tile]
    return None if len(pieces) < facts.cells.total() else facts.caption


def _count(collection: Collected, members: Sequence[int], tiles: Sequence[int]) -> int | None:
    """What was counted in its cells, else the model's count.

    The model's is taken for a feature that shares its tile with no other of its class.
    """
    cells = [collection.cells[i] for i in members]
    object_counts = [cell.objects for cell in cells if cell.objects is not None]
    if object_counts:
        # Where no centre lies in a changed cell, there is still part of an object.
        return max(1, sum(object_counts))
    if cells[0].ground is not None:
        return None
    name = cells[0].class_name
    facts = collection.tiles[tiles[0]]
    if len(tiles) > 1 or sum(cell.class_name == name for cell in cells) < facts.cells[name]:
        return None
    # None counted where one is mapped contradicts the map: then nobody knows how many.
    return facts.counts.get(name) or None


def _cell_names(collection: Collected, members: Sequence[int]) -> list[str]:
    """Names such as `r0c1/top-left`, in order of tiles, then of the 3x3 grid."""
    names_by_tile: dict[int, set[str]] = {}
    for i in members:
        names_by_tile.setdefault(int(collection.tile[i]), set()).update(
            collection.cells[i].grid_cells
        )
    return [
        f"{collection.tiles[index].window.name}/{name}"
        for index, names in names_by_tile.items()
        for name in sorted(names, key=_GRID_CELL_NAMES.index)
    ]
