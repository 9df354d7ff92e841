"""Which tile goes to train, val or test, so that neighbours stay in one split.

A picture without a place goes to one split as a whole. A raster is cut into square blocks of tiles,
each drawn for one split; then tiles that lie too near to a tile of another split, on whatever
raster it was cut from, are left out, those of train first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

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


_Block = tuple[int, int, int]
"""First scene on its grid, row and column of a block of tiles that stay together."""


def tiles_by_split(
    scenes: Sequence[MaskedScene], options: BuildOptions
) -> dict[str, list[SceneTile]]:
    """The tiles of each split, in order of scenes and rasters.

    Raises:
        InputError: If a split that was asked for gets none.
    """
    blocks = _blocks(scenes, options)
    split_of = _drawn_splits(scenes, blocks, options)
    split_tiles = [(split_of[block], tile) for block, tiles in blocks.items() for tile in tiles]
    kept_tiles = _apart(scenes, split_tiles, options.gap_px)
    kept_tiles.sort(key=lambda pair: (pair[1].scene, pair[1].window.index))
    splits = {split: [tile for s, tile in kept_tiles if s == split] for split in SPLITS}
    for split, share in zip(SPLITS, options.shares, strict=True):
        if share > 0 and not splits[split] and not all(scene.split for scene in scenes):
            raise InputError(
                f"no tile is left for {split}",
                "give more pairs, smaller tiles, blocks or a smaller gap, or a share of 0",
            )
    return {split: tiles for split, tiles in splits.items() if tiles}


def _blocks(scenes: Sequence[MaskedScene], options: BuildOptions) -> dict[_Block, list[SceneTile]]:
    """Tiles that stay together."""
    blocks: dict[_Block, list[SceneTile]] = {}
    side = options.block_tiles
    for number, scene in enumerate(scenes):
        # Scenes on one grid, such as two runs on one place, are split alike: else each would cost
        # the other the tiles that fall into another split there.
        owner = number
        if scene.grid is not None:
            owner = next(n for n, other in enumerate(scenes) if other.grid == scene.grid)
        for window in scene.windows(options.tile_size_px, options.overlap_px):
            block = (0, 0) if scene.grid is None else (window.row // side, window.col // side)
            blocks.setdefault((owner, *block), []).append(SceneTile(number, window))
    return blocks


def _drawn_splits(
    scenes: Sequence[MaskedScene], blocks: dict[_Block, list[SceneTile]], options: BuildOptions
) -> dict[_Block, str]:
    """The split of each block: the one that lacks most, in a random order of blocks.

    Blocks that a review tells to have changed come first and by themselves: they may be few.
    """
    splits = {block: scenes[block[0]].split for block in blocks}
    free = [block for block, split in splits.items() if not split]
    shares = {s: share for s, share in zip(SPLITS, options.shares, strict=True) if share > 0}
    if free and len(free) < len(shares):
        raise InputError(
            f"{len(free)} blocks or pictures cannot be split into {', '.join(shares)}",
            "give more pairs, smaller tiles or blocks, or a share of 0",
        )
    rng = np.random.default_rng((options.seed, 21))
    groups: dict[bool, list[_Block]] = {True: [], False: []}
    for block in free:
        changed = any(scenes[tile.scene].shows_change(tile.window) for tile in blocks[block])
        groups[changed].append(block)
    # The first blocks see to it that no split stays empty.
    empty_splits = list(shares)
    for group in filter(None, groups.values()):
        total = sum(len(blocks[block]) for block in group)
        lacking = {split: share * total for split, share in shares.items()}
        for number in rng.permutation(len(group)).tolist():
            block = group[number]
            if empty_splits:
                split = empty_splits.pop(0)
            else:
                split = max(lacking, key=lambda name: lacking[name])
            splits[block] = split
            lacking[split] -= len(blocks[block])
    return splits


def _apart(
    scenes: Sequence[MaskedScene], split_tiles: Sequence[tuple[str, SceneTile]], gap_px: int
) -> list[tuple[str, SceneTile]]:
    """The tiles without those that lie nearer than the gap to a tile of another split."""
    import shapely

    kept_tiles = [(split, tile) for split, tile in split_tiles if scenes[tile.scene].grid is None]
    outlines: list[BaseGeometry] = []
    owners: list[str] = []
    for split in _KEPT_FIRST:
        others = shapely.STRtree(outlines)
        before = tuple(owners)
        for tile in (t for s, t in split_tiles if s == split and scenes[t.scene].grid is not None):
            scene, window = scenes[tile.scene], tile.window
            near = others.query(_outline(scene, window, gap_px - _TOUCH_PX), "intersects")
            if all(before[other] == split for other in near.tolist()):
                kept_tiles.append((split, tile))
                outlines.append(_outline(scene, window, -_TOUCH_PX))
                owners.append(split)
    return kept_tiles


def _outline(scene: MaskedScene, window: TileWindow, margin_px: float) -> BaseGeometry:
    """Outline of a tile in longitude and latitude, so that tiles of all scenes compare."""
    import shapely

    assert scene.grid is not None
    read = window.read
    box = shapely.box(read.col_start, read.row_start, read.col_stop, read.row_stop)
    outline = shapely.segmentize(box.buffer(margin_px, join_style="mitre"), read.width_px / 4)
    cols, rows = shapely.get_coordinates(outline).T
    x, y = cast(Any, scene.grid.transform) * (cols, rows)
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
