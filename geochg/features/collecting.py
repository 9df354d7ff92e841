"""The cells of all tiles, and what features take over from those that they are made of."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, Self

import numpy as np
import shapely
from numpy.typing import NDArray

from geochg.features.tile_results import Cell, Ground, TileResult
from geochg.records import GRID_CELLS, LAND_COVER, Calibration, TileWindow

_GRID_CELL_NAMES = [cell.name for cell in GRID_CELLS]
_COVERS = len(LAND_COVER) + 1


class TileFacts(NamedTuple):
    """What is taken over from a tile beside its cells."""

    window: TileWindow
    caption: str
    counts: Mapping[str, int]
    calibration: Calibration | None


class Collected(NamedTuple):
    """Cells of all tiles.

    Attributes:
        cells: In tile order.
        tile: `(cells,)` index of the tile each lies in.
        tiles: By index.
        tells_land_cover: Whether the model told the land cover of both dates.
    """

    cells: list[Cell]
    tile: NDArray[np.int64]
    tiles: dict[int, TileFacts]
    tells_land_cover: bool

    @classmethod
    def of(cls, results: Iterable[TileResult]) -> Self:
        """Collects the cells of results that may come in any order."""
        by_tile: dict[int, tuple[TileFacts, tuple[Cell, ...]]] = {}
        tells_land_cover = False
        for result in results:
            tells_land_cover |= result.tells_land_cover
            if result.cells:
                facts = TileFacts(result.window, result.caption, result.counts, result.calibration)
                by_tile[result.window.index] = facts, result.cells
        indices = sorted(by_tile)
        return cls(
            [cell for index in indices for cell in by_tile[index][1]],
            np.repeat(np.array(indices, np.int64), [len(by_tile[i][1]) for i in indices]),
            {index: by_tile[index][0] for index in indices},
            tells_land_cover,
        )


class FeatureSummary(NamedTuple):
    """What a feature takes over from its cells.

    Attributes:
        confidence: 0-1, weighted by area and read off the calibration.
        caption: The model's sentence; empty where it has none for the place, None where its
            sentence is about a tile with several features, and so about none of them.
        objects: How many were counted in its tiles, or by the model where its count is of this
            feature alone.
        ground: Under and around all of it; None where it was not outlined.
        tiles: Names of the tiles it lies in.
        cells: Names such as `r0c1/top-left`.
    """

    confidence: float
    caption: str | None
    objects: int | None
    ground: Ground | None
    tiles: list[str]
    cells: list[str]


def feature_summaries(
    collection: Collected, polygons: NDArray[np.object_], feature: NDArray[np.int64]
) -> list[FeatureSummary]:
    """One entry a feature, in order of its number.

    Args:
        collection: The cells.
        polygons: `(cells,)` their polygons.
        feature: `(cells,)` number of the feature each belongs to, from 0 without gaps.
    """
    area_px = shapely.area(polygons).tolist()
    tile, owners = collection.tile.tolist(), feature.tolist()
    sharers = Counter(
        {(tile[i], collection.cells[i].class_name, owners[i]) for i in range(len(owners))}
    )
    features_in = Counter((index, name) for index, name, _ in sharers)
    features_of = Counter(index for index, _ in {(index, number) for index, _, number in sharers})
    entries = []
    for _, group in groupby(np.argsort(feature, kind="stable").tolist(), key=owners.__getitem__):
        members = list(group)
        share: dict[int, float] = {}
        for i in members:
            share[tile[i]] = share.get(tile[i], 0.0) + area_px[i]
        main = max(share, key=share.__getitem__)
        weighted = sum(area_px[i] * collection.cells[i].probability for i in members)
        mean = weighted / sum(share.values())
        calibration = collection.tiles[main].calibration
        entries.append(
            FeatureSummary(
                confidence=float(np.interp(mean, *calibration)) if calibration else mean,
                caption=_caption(collection, members, area_px, main, features_of[main] > 1),
                objects=_count(collection, members, list(share), features_in),
                ground=_ground([collection.cells[i].ground for i in members]),
                tiles=[collection.tiles[index].window.name for index in share],
                cells=_cell_names(collection, members),
            )
        )
    return entries


def _caption(
    collection: Collected,
    members: Sequence[int],
    area_px: Sequence[float],
    tile: int,
    has_others: bool,
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
    return None if has_others else collection.tiles[tile].caption


def _count(
    collection: Collected,
    members: Sequence[int],
    tiles: Sequence[int],
    features_in: Counter[tuple[int, str]],
) -> int | None:
    """What was counted in its cells, else the model's count.

    The model's is taken for a feature that shares its tile with no other of its class.
    """
    object_counts = [collection.cells[i].objects for i in members]
    if any(count is not None for count in object_counts):
        # Where no centre lies in a changed cell, there is still part of an object.
        return max(1, sum(count or 0 for count in object_counts))
    if collection.cells[members[0]].ground is not None:
        return None
    name = collection.cells[members[0]].class_name
    if len(tiles) > 1 or features_in[tiles[0], name] > 1:
        return None
    # None counted where one is mapped contradicts the map: then nobody knows how many.
    return collection.tiles[tiles[0]].counts.get(name) or None


def _ground(grounds: Sequence[Ground | None]) -> Ground | None:
    """The pixels of all of them together."""
    known_grounds = [ground for ground in grounds if ground is not None]
    if not known_grounds:
        return None
    if not any(ground.before for ground in known_grounds):
        return Ground()
    total = np.zeros((3, _COVERS), np.int64)
    for ground in known_grounds:
        if ground.before:
            total += np.array(ground)
    before, after, rim_px = (tuple(row) for row in total.tolist())
    return Ground(before, after, rim_px)


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
