"""Outlines with land cover, by hand and at random, for the tests of cells and features."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tile_factory import layout, make_tile

from geochg.features.cells import CellSettings, tile_result
from geochg.features.tile_results import TileResult
from geochg.land_cover import agrees
from geochg.records import CANNOT_TELL, LAND_COVER, Change, Channel, LandCover, Outlines

CHANNELS = tuple(
    Channel(name, change)
    for name in ("building", "road", "vegetation", "water", "bare", "other")
    for change in Change
)


class CoverScene(NamedTuple):
    """A pair as a model sees it.

    Attributes:
        channel: `(height, width)` index into `CHANNELS`, -1 where nothing changed.
        before: `(height, width)` uint8 land cover.
        after: `(height, width)` uint8 land cover.
    """

    channel: NDArray[np.intp]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]


def blank_scene(height_px: int, width_px: int, cover: str = "low plants") -> CoverScene:
    """A scene in which nothing changed."""
    ground = np.full((height_px, width_px), LAND_COVER.index(cover), np.uint8)
    return CoverScene(np.full((height_px, width_px), -1, np.intp), ground, ground.copy())


def put(
    scene: CoverScene,
    where: tuple[slice, slice] | NDArray[np.bool_],
    channel: Channel,
    before: str | None,
    after: str | None,
) -> None:
    """Lets ground change; None is land cover that cannot be told."""
    scene.channel[where] = CHANNELS.index(channel)
    for date, cover in ((scene.before, before), (scene.after, after)):
        date[where] = CANNOT_TELL if cover is None else LAND_COVER.index(cover)


def scene_results(
    scene: CoverScene,
    core_px: int,
    margin_px: int = 8,
    settings: CellSettings | None = None,
    adjust: Callable[[Outlines], Outlines] = lambda outlines: outlines,
) -> list[TileResult]:
    """What is kept of a scene's tiles, whose read windows reach past the cores."""
    rows, cols = (-(-size // core_px) for size in scene.channel.shape)
    pad = (
        (margin_px, rows * core_px - scene.channel.shape[0] + margin_px),
        (margin_px, cols * core_px - scene.channel.shape[1] + margin_px),
    )
    channel, before, after = (
        np.pad(array, pad, constant_values=value)
        for array, value in zip(scene, (-1, CANNOT_TELL, CANNOT_TELL), strict=True)
    )
    inside = np.pad(np.ones(scene.channel.shape, bool), pad)
    results = []
    for window in layout(rows, cols, core_px, margin_px):
        part = (
            slice(window.read.row_start + margin_px, window.read.row_stop + margin_px),
            slice(window.read.col_start + margin_px, window.read.col_stop + margin_px),
        )
        layers = np.stack([(channel[part] == i) * 0.75 for i in range(len(CHANNELS))])
        outlines = Outlines(
            CHANNELS,
            layers.astype(np.float32),
            change=layers.max(axis=0).astype(np.float32),
            land_cover=LandCover(before[part], after[part]),
        )
        tile = make_tile(window, inside[part])
        results.append(tile_result(tile, [adjust(outlines)], settings or CellSettings()))
    return results


def drawn_scenes(count: int, size_px: int = 96, seed: int = 0) -> Iterator[CoverScene]:
    """Scenes of a few changes whose classes agree with their land cover; some is unknown."""
    random = np.random.default_rng(seed)
    names: list[str | None] = [*LAND_COVER, None]
    for _ in range(count):
        scene = blank_scene(size_px, size_px, str(random.choice(LAND_COVER[:3])))
        for _ in range(int(random.integers(1, 7))):
            channel = CHANNELS[int(random.integers(len(CHANNELS)))]
            pairs = [
                (was, now)
                for was in names
                for now in names
                if agrees(*channel, was, now) and (was != now or channel.change is Change.ALTERED)
            ]
            was, now = pairs[int(random.integers(len(pairs)))]
            high, wide = (int(side) for side in random.integers(3, size_px // 3, 2))
            row, col = (int(random.integers(size_px - side)) for side in (high, wide))
            put(scene, np.s_[row : row + high, col : col + wide], channel, was, now)
        yield scene
