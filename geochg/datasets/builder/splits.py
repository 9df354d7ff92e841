"""Which tile goes to train, val or test, so that neighbours never part.

A picture without a place goes to one part as a whole. A raster is cut into square blocks of tiles,
each drawn for one part; then tiles that lie too near to a tile of another part, on whatever raster
it was cut from, are left out, those of train first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geochg.datasets.builder.options import BuildOptions
from geochg.datasets.builder.scene import MaskedScene
from geochg.datasets.splits import SPLITS
from geochg.errors import InputError
from geochg.records import TileWindow

if TYPE_CHECKING:
    from pyproj import Transformer
    from shapely.geometry.base import BaseGeometry

_TOUCH_PX = 0.01
"""Tiles that share an edge do not overlap, whatever rounding makes of the edge."""

_KEPT_FIRST = ("test", "val", "train")


class SceneTile(NamedTuple):
    """A tile of a scene, by the scene's number."""

    scene: int
    window: TileWindow


def tiles_by_split(
    scenes: Sequence[MaskedScene], options: BuildOptions
) -> dict[str, list[SceneTile]]:
    """The tiles of each part, in order of scenes and rasters.

    Raises:
        InputError: If a part that was asked for gets none.
    """
    units = _units(scenes, options)
    split_of = _drawn_splits(scenes, units, options)
    placed = [(split_of[key], place) for key, places in units.items() for place in places]
    kept = _apart(scenes, placed, options.gap_px)
    kept.sort(key=lambda one: (one[1].scene, one[1].window.index))
    parts = {split: [place for s, place in kept if s == split] for split in SPLITS}
    for split, share in zip(SPLITS, options.shares, strict=True):
        if share > 0 and not parts[split] and not all(scene.split for scene in scenes):
            raise InputError(
                f"no tile is left for {split}",
                "give more pairs, smaller tiles, blocks or a smaller gap, or a share of 0",
            )
    return {split: places for split, places in parts.items() if places}


def _units(
    scenes: Sequence[MaskedScene], options: BuildOptions
) -> dict[tuple[int, int, int], list[SceneTile]]:
    """Tiles that stay together, by scene and row and column of the block."""
    units: dict[tuple[int, int, int], list[SceneTile]] = {}
    for number, scene in enumerate(scenes):
        for window in scene.windows(options.tile_size_px, options.overlap_px):
            side = options.block_tiles
            block = (0, 0) if scene.grid is None else (window.row // side, window.col // side)
            units.setdefault((number, *block), []).append(SceneTile(number, window))
    return units


def _drawn_splits(
    scenes: Sequence[MaskedScene],
    units: dict[tuple[int, int, int], list[SceneTile]],
    options: BuildOptions,
) -> dict[tuple[int, int, int], str]:
    """The part of each unit: the one that lacks most, in a random order of units."""
    found = {key: scenes[key[0]].split for key in units}
    free = [key for key, split in found.items() if not split]
    shares = {s: share for s, share in zip(SPLITS, options.shares, strict=True) if share > 0}
    if free and len(free) < len(shares):
        raise InputError(
            f"{len(free)} blocks or pictures cannot be split into {', '.join(shares)}",
            "give more pairs, smaller tiles or blocks, or a share of 0",
        )
    rng = np.random.default_rng((options.seed, 21))
    total = sum(len(units[key]) for key in free)
    lacking = {split: share * total for split, share in shares.items()}
    for turn, number in enumerate(rng.permutation(len(free)).tolist()):
        key = free[number]
        # The first units see to it that no part stays empty.
        first = list(shares)[turn] if turn < len(shares) else None
        split = first or max(lacking, key=lambda name: lacking[name])
        found[key] = split
        lacking[split] -= len(units[key])
    return found


def _apart(
    scenes: Sequence[MaskedScene], placed: Sequence[tuple[str, SceneTile]], gap_px: int
) -> list[tuple[str, SceneTile]]:
    """Without the tiles that lie nearer than the gap to a tile of another part."""
    import shapely

    kept = [(split, place) for split, place in placed if scenes[place.scene].grid is None]
    grounds: list[BaseGeometry] = []
    parts: list[str] = []
    for split in _KEPT_FIRST:
        others = shapely.STRtree(grounds)
        before = tuple(parts)
        for place in (p for s, p in placed if s == split and scenes[p.scene].grid is not None):
            scene, window = scenes[place.scene], place.window
            near = others.query(_ground(scene, window, gap_px - _TOUCH_PX), "intersects")
            if all(before[other] == split for other in near.tolist()):
                kept.append((split, place))
                grounds.append(_ground(scene, window, -_TOUCH_PX))
                parts.append(split)
    return kept


def _ground(scene: MaskedScene, window: TileWindow, margin_px: float) -> BaseGeometry:
    """Outline of a tile in longitude and latitude, so that tiles of all scenes compare."""
    import shapely

    assert scene.grid is not None
    read = window.read
    box = shapely.box(read.col_start, read.row_start, read.col_stop, read.row_stop)
    outline = shapely.segmentize(box.buffer(margin_px, join_style="mitre"), read.width_px / 4)
    cols, rows = shapely.get_coordinates(outline).T
    at: Any = scene.grid.transform * (cols, rows)
    x, y = at
    return shapely.Polygon(_unbroken(*_to_degrees(str(scene.grid.crs)).transform(x, y)))


@cache
def _to_degrees(crs: str) -> Transformer:
    """Made once for all tiles: making it takes longer than using it."""
    from pyproj import Transformer

    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def _unbroken(lon: Iterable[float], lat: Iterable[float]) -> list[tuple[float, float]]:
    """Corners whose longitudes do not jump, on the side of 0-360 where they cross 180."""
    east = np.asarray(lon, float)
    if np.ptp(east) > 180 or east.max() > 180:
        east = east % 360
    return list(zip(east.tolist(), np.asarray(lat, float).tolist(), strict=True))
