"""Labelled ground of real imagery, as the folder of `--real-dir` holds it.

docs/training.md says how such a folder is laid out. What is missing there is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray

from geochg.datasets.ground.covers import ANY, NOTHING, Cover

ChangeOf = Callable[[int, int], NDArray[np.uint8]]
"""From the places of two dates to the mask of what changed between them."""


@dataclass(frozen=True, eq=False)
class LabelledGround:
    """Labelled imagery of one place, at one date or several.

    Attributes:
        kind: Kind of imagery; grounds of one kind are like each other.
        images: Image of each date, `(height, width, 3 or 4)` uint8: red, green, blue, near
            infrared.
        covers: Covers of each date, `(height, width)` uint8, sets of `Cover`.
        resolution_m: Side of a pixel, in metres.
        shown_m: Least and greatest side of the pixels that are shown, in metres.
        share: Frequency with which it is drawn, relative to the other grounds.
        lends: Whether things of this ground may be put into grounds of other kinds.
        teaches_change: Whether its labels tell all changes of its pairs; a ground with outlines of
            buildings only teaches buildings.
        change: Mask of the change between two dates where it is known; None to compare the covers.
        scenery: Whether to leave it as it is: nothing else is shown in its place.
        name: Name of its file or folder; empty where there is more than one.
    """

    kind: str
    images: Sequence[NDArray[np.uint8]]
    covers: Sequence[NDArray[np.uint8]]
    resolution_m: float
    shown_m: tuple[float, float]
    share: float
    lends: bool = True
    teaches_change: bool = True
    change: ChangeOf | None = field(default=None)
    scenery: bool = False
    name: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.covers[0].shape
        return height, width


class Raster(NamedTuple):
    """A raster file: `(height, width, bands)` and the side of a pixel in its own units."""

    pixels: NDArray[Any]
    resolution: float


def read_raster(path: Path) -> Raster:
    """All bands of a raster."""
    with rasterio.open(path) as source:
        return Raster(np.moveaxis(source.read(), 0, -1), abs(source.res[0]))


def read_color(path: Path) -> Raster:
    """The first three bands, or the only one three times, uint8."""
    pixels, resolution = read_raster(path)
    if pixels.shape[2] < 3:
        pixels = np.repeat(pixels[..., :1], 3, axis=2)
    return Raster(np.ascontiguousarray(pixels[..., :3]), resolution)


def stretched_bands(
    pixels: NDArray[Any], low: float = 1, high: float = 99, step: int = 1
) -> NDArray[np.float32]:
    """Each band from two of its percentiles to 0-1; what the network is shown.

    Args:
        pixels: `(height, width, bands)`.
        low: Percentile that becomes 0.
        high: Percentile that becomes 1.
        step: Takes each n-th pixel for the percentiles.
    """
    flat = pixels.reshape(-1, pixels.shape[-1])[::step]
    lowest, highest = np.percentile(flat, [low, high], axis=0)
    room = np.maximum(highest - lowest, 1e-2 * max(float(np.max(highest)), 1e-6))
    return np.asarray(np.clip((pixels - lowest) / room, 0, 1), np.float32)


def edges(mask: NDArray[np.uint8], width_px: int) -> NDArray[np.bool_]:
    """The pixels around which the values of a mask differ within a window."""
    window = np.ones((width_px, width_px), np.uint8)
    return np.asarray(cv2.dilate(mask, window) != cv2.erode(mask, window), np.bool_)


# --- masks beside images -------------------------------------------------------------------------


@dataclass(frozen=True)
class MaskedFolder:
    """A folder with `images/*.tif` and masks of the same names in `masks/`.

    Attributes:
        name: Name of the folder.
        kind: See `LabelledGround`.
        share: Frequency of all its grounds together.
        cover: Function from a mask to sets of covers.
        shown_m: See `LabelledGround`; None for one to 2.2 times the resolution.
        teaches_change: See `LabelledGround`.
        lends: See `LabelledGround`.
    """

    name: str
    kind: str
    share: float
    cover: Callable[[NDArray[np.uint8]], NDArray[np.generic]]
    shown_m: tuple[float, float] | None = None
    teaches_change: bool = True
    lends: bool = True

    def grounds(self, root: Path) -> Iterator[LabelledGround]:
        """One ground for each image."""
        paths = sorted((root / self.name / "images").glob("*.tif"))
        for path in paths:
            image, resolution = read_color(path)
            mask, _ = read_raster(path.parents[1] / "masks" / path.name)
            cover = self.cover(mask[..., 0]).astype(np.uint8)
            cover[image.sum(axis=2) == 0] = NOTHING
            yield LabelledGround(
                self.kind,
                [image.astype(np.uint8)],
                [cover],
                resolution,
                self.shown_m or (resolution, 2.2 * resolution),
                self.share / len(paths),
                lends=self.lends,
                teaches_change=self.teaches_change,
                name=path.stem,
            )


def _buildings(mask: NDArray[np.uint8]) -> NDArray[np.generic]:
    return np.where(mask > 0, Cover.BUILDING, ANY - Cover.BUILDING)


def _roads(beside_px: int) -> Callable[[NDArray[np.uint8]], NDArray[np.generic]]:
    """Covers of masks that are thinner than the roads, so that pixels beside them have no label."""

    def cover(mask: NDArray[np.uint8]) -> NDArray[np.generic]:
        road = (mask > 0).astype(np.uint8)
        near = cv2.dilate(road, np.ones((beside_px, beside_px), np.uint8))
        return np.where(road > 0, Cover.ROAD, np.where(near > 0, NOTHING, ANY))

    return cover


_DUBAI = np.array(
    [NOTHING, Cover.BUILDING, Cover.BARE, Cover.ROAD, Cover.LOW | Cover.WOODY, Cover.WATER],
    np.uint8,
)


def _any_cover(mask: NDArray[np.uint8]) -> NDArray[np.generic]:
    return np.full(mask.shape, ANY)


MASKED_FOLDERS = (
    MaskedFolder(
        "massachusetts_buildings",
        "massachusetts",
        3.5,
        _buildings,
        (1.0, 2.8),
        teaches_change=False,
    ),
    MaskedFolder("rio_buildings", "rio", 1.5, _buildings, (0.4, 0.8), teaches_change=False),
    MaskedFolder(
        "spacenet_buildings", "spacenet", 0.9, _buildings, (0.3, 0.7), teaches_change=False
    ),
    MaskedFolder(
        "spacenet7_buildings", "spacenet7", 1.0, _buildings, (3.5, 6.5), teaches_change=False
    ),
    MaskedFolder("spacenet_atlanta", "atlanta", 0.5, _buildings, (0.4, 0.8)),
    MaskedFolder("dubai_landcover", "dubai", 2.5, lambda mask: _DUBAI[mask]),
    MaskedFolder(
        "naip_farmland/train",
        "farm",
        1.8,
        lambda mask: np.where(mask == 1, Cover.LOW | Cover.BARE, ANY),
        (1.6, 4.0),
    ),
    MaskedFolder("vegas_roads", "vegas", 1.5, _roads(41), (0.3, 0.8)),
    MaskedFolder("gsi_roads_japan", "gsi", 0.8, _roads(31), (0.2, 0.5)),
    MaskedFolder("gsi_solar_japan", "gsi", 0.4, _any_cover, (0.2, 0.5)),
    MaskedFolder(
        "amazon_forest_s2",
        "forest",
        0.8,
        lambda mask: np.where(mask > 0, Cover.WOODY, ANY | Cover.NOT_SEEN),
        (5.0, 10.0),
        lends=False,
    ),
    MaskedFolder(
        "nepal_landslides",
        "forest",
        0.8,
        lambda mask: np.where(mask > 0, Cover.BARE, ANY - Cover.BUILDING),
        (5.0, 10.0),
        lends=False,
    ),
)
"""Values of the masks: docs/training.md."""


# --- map tiles -----------------------------------------------------------------------------------

_ZOOM, _TILE_PX = 20, 256


def map_tiles(root: Path) -> Iterator[LabelledGround]:
    """Neighbouring map tiles of zoom 20 joined, with OpenStreetMap's buildings."""
    for tile_dir in sorted((root / "oam_tiles").glob("[0-9]*")):
        outlines = json.loads((tile_dir / "labels.geojson").read_text("utf-8"))["features"]
        tiles = {
            (int(column), int(row)): path
            for path in tile_dir.glob(f"*-{_ZOOM}.png")
            for _, column, row, *_ in [path.stem.split("-")]
        }
        for group in _neighbours(set(tiles)):
            image, origin = _mosaic({key: tiles[key] for key in group})
            mask = np.zeros(image.shape[:2], np.uint8)
            for outline in outlines:
                for ring in _rings(outline["geometry"]):
                    cv2.fillPoly(mask, [_tile_pixels(ring, origin)], (1,))
            cover = np.where(image.sum(axis=2) == 0, NOTHING, _buildings(mask)).astype(np.uint8)
            yield LabelledGround(
                "oam", [image], [cover], 0.148, (0.2, 0.8), math.sqrt(image.size) / 5500
            )


def _neighbours(left: set[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    while left:
        group, waiting = [], [left.pop()]
        while waiting:
            column, row = waiting.pop()
            group.append((column, row))
            near = {(column + x, row + y) for x in (-1, 0, 1) for y in (-1, 0, 1)} & left
            left -= near
            waiting += near
        yield sorted(group)


def _mosaic(tiles: dict[tuple[int, int], Path]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    columns, rows = zip(*tiles, strict=True)
    left, top = min(columns), min(rows)
    size = ((max(rows) - top + 1) * _TILE_PX, (max(columns) - left + 1) * _TILE_PX, 3)
    image = np.zeros(size, np.uint8)
    for (column, row), path in tiles.items():
        picture = cv2.imread(str(path))
        assert picture is not None, path
        y, x = (row - top) * _TILE_PX, (column - left) * _TILE_PX
        image[y : y + _TILE_PX, x : x + _TILE_PX] = picture[..., ::-1]
    return image, (left, top)


def _rings(geometry: dict[str, object]) -> list[NDArray[np.float64]]:
    """The outer rings of a polygon or several, as longitudes and latitudes."""
    coordinates: list[list[list[object]]] = geometry["coordinates"]  # type: ignore[assignment]
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    return [np.array(polygon[0], np.float64)[:, :2] for polygon in polygons]


def _tile_pixels(ring: NDArray[np.float64], origin: tuple[int, int]) -> NDArray[np.int32]:
    world_px = 2**_ZOOM * _TILE_PX
    x = (ring[:, 0] + 180) / 360 * world_px - origin[0] * _TILE_PX
    angle = np.arcsinh(np.tan(np.radians(ring[:, 1])))
    y = (1 - angle / np.pi) / 2 * world_px - origin[1] * _TILE_PX
    return np.asarray(np.rint(np.stack((x, y), axis=1)), np.int32)
