"""Real imagery as backdrops, read from a folder of open data.

The folder has one sub-folder a source (what is not there is left out):

```
oam_tiles/<place>/OAM-<x>-<y>-<z>.png   map tiles, building outlines in <place>/labels.geojson
naip_single, neon_single                one GeoTIFF a chip
naip_series_nd                          one GeoTIFF a date of one place
neon_pairs_sjer/<year>/<plot>.tif       plots at two dates
s2_pairs/<city>/imgs_{1,2}              one GeoTIFF a band
```

Held out for validation: every fifth file, plot or block of tiles by a hash of its name, the
Sentinel-2 cities of `VALIDATION_CITIES`, and the eastern three tenths of `naip_series_nd`. The
cities of `LEFT_OUT_CITIES` are in neither part, since whole products are judged on them. Of
`naip_series_nd` only the pairs of `CROP_YEARS` serve as two dates at which nothing changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochg.datasets.world.kinds import ByteArray, FloatArray

LEFT_OUT_CITIES = frozenset({"dubai", "lasvegas", "cupertino"})
VALIDATION_CITIES = frozenset({"norcia"})
CROP_YEARS = (("20090818", "20100629"), ("20170827", "20180716"))
TRAINING_SHARE_OF_SERIES = 0.7

REACH, FINE_REACH = (0.6, 2.2), (1.2, 4.0)
"""How much wider than the canvas the part is that is scaled to it."""

FINEST_WANTED_M = 0.35
"""Pictures with finer pixels are scaled down more."""

_TILE = re.compile(r"OAM-(\d+)-(\d+)-(\d+)\.png")
_EQUATOR_M = 40_075_016.7
_BLOCK_ZOOM = 17

Points = NDArray[np.float64]


class Backdrop(NamedTuple):
    """Real ground at one date or two.

    Attributes:
        before: `(size, size, 3)` float32, 0-1.
        after: The same array where there is but one date.
        gsd_m: Ground size of a pixel.
        source: Name of the sub-folder it is from.
        outlines: Buildings on it, each `(n, 2)` x and y in its pixels.
    """

    before: FloatArray
    after: FloatArray
    gsd_m: float
    source: str
    outlines: tuple[Points, ...] = ()


def held_out(name: str) -> bool:
    """Whether a file, plot or block is among the fifth held out for validation."""
    return hashlib.sha256(name.encode()).digest()[0] % 5 == 0


class Library:
    """The real imagery of one folder, one part of it: for training or for validation.

    Args:
        folder: The folder.
        validation: Which part.
    """

    def __init__(self, folder: str, validation: bool) -> None:
        self.folder, self.validation = Path(folder), validation
        self._chips = self._files("naip_single", "m_*.tif") + self._files("neon_single", "*.tif")
        self._series = sorted((self.folder / "naip_series_nd").glob("*.tif"))
        self._plots = [
            path
            for path in sorted((self.folder / "neon_pairs_sjer").glob("2017/*.tif"))
            if held_out(path.name) == validation
        ]
        self._cities = [
            path
            for path in sorted((self.folder / "s2_pairs").glob("*/"))
            if path.name not in LEFT_OUT_CITIES and (path.name in VALIDATION_CITIES) == validation
        ]
        self._there = self._tiles()
        self._mosaics = sorted(tile for tile in self._there if _square(tile, 2) <= self._there)

    def _files(self, source: str, pattern: str) -> list[Path]:
        found = sorted((self.folder / source).glob(pattern))
        return [path for path in found if held_out(path.name) == self.validation]

    def _tiles(self) -> set[tuple[str, int, int, int]]:
        """Place, zoom, column and row of the map tiles."""
        there = set()
        for path in sorted((self.folder / "oam_tiles").glob("*/OAM-*.png")):
            if named := _TILE.fullmatch(path.name):
                x, y, zoom = (int(value) for value in named.groups())
                block = f"{path.parent.name}-{x >> zoom - _BLOCK_ZOOM}-{y >> zoom - _BLOCK_ZOOM}"
                if held_out(block) == self.validation:
                    there.add((path.parent.name, zoom, x, y))
        return there

    def single(self, rng: np.random.Generator, size_px: int) -> Backdrop | None:
        """One date of a place; fine sources and coarse ones alike."""
        makers = [
            (self._chip, 0.25 * bool(self._chips)),
            (self._mosaic, 0.4 * bool(self._mosaics)),
            (self._year, 0.15 * bool(self._series)),
            (self._city, 0.3 * bool(self._cities)),
        ]
        weights = np.array([weight for _, weight in makers])
        if not weights.any():
            return None
        return makers[int(rng.choice(len(makers), p=weights / weights.sum()))][0](rng, size_px)

    def seasons(self, rng: np.random.Generator, size_px: int) -> Backdrop | None:
        """Two dates at which nothing changed but the season, the light and the crops."""
        if self._plots and (not self._series or rng.random() < 0.4):
            path = self._plots[int(rng.integers(len(self._plots)))]
            pictures = [raster(str(path)), raster(str(path.parent.parent / "2018" / path.name))]
            return _cut(rng, pictures, 0.1, "neon_pairs_sjer", size_px)
        if not self._series:
            return None
        years = CROP_YEARS[int(rng.integers(len(CROP_YEARS)))]
        found = [path for year in years for path in self._series if path.stem.endswith(year)]
        if len(found) != 2:
            return None
        return _cut(rng, [self._part(path) for path in found], 5.0, "naip_series_nd", size_px)

    def mosaic(self, rng: np.random.Generator, size_px: int) -> Backdrop | None:
        """Map tiles with the outlines of the buildings on them."""
        return self._mosaic(rng, size_px) if self._mosaics else None

    def _chip(self, rng: np.random.Generator, size_px: int) -> Backdrop:
        share = np.array([1.0 if p.parent.name == "naip_single" else 0.05 for p in self._chips])
        path = self._chips[int(rng.choice(len(share), p=share / share.sum()))]
        gsd_m = 1.0 if path.parent.name == "naip_single" else 0.1
        return _cut(rng, [raster(str(path))], gsd_m, path.parent.name, size_px)

    @property
    def city_dates(self) -> list[Path]:
        """A folder of bands for each date of each city."""
        return [path / f"imgs_{number}" for path in self._cities for number in (1, 2)]

    def fields(self, rng: np.random.Generator, size_px: int) -> Backdrop | None:
        """One date of farmland at about 5 m."""
        return self._year(rng, size_px) if self._series else None

    def _year(self, rng: np.random.Generator, size_px: int) -> Backdrop:
        path = self._series[int(rng.integers(len(self._series)))]
        return _cut(rng, [self._part(path)], 5.0, "naip_series_nd", size_px)

    def _part(self, path: Path) -> ByteArray:
        whole = raster(str(path))
        border = int(whole.shape[1] * TRAINING_SHARE_OF_SERIES)
        return whole[:, border:] if self.validation else whole[:, :border]

    def _city(self, rng: np.random.Generator, size_px: int) -> Backdrop:
        city = self._cities[int(rng.integers(len(self._cities)))]
        date = city / f"imgs_{1 + int(rng.integers(2))}"
        return _cut(rng, [bands(str(date), ("B04", "B03", "B02"))], 10.0, "s2_pairs", size_px)

    def _mosaic(self, rng: np.random.Generator, size_px: int) -> Backdrop:
        zooms = sorted({tile[1] for tile in self._mosaics})
        zoom = zooms[int(rng.integers(len(zooms)))]
        choices = [tile for tile in self._mosaics if tile[1] == zoom]
        tile = choices[int(rng.integers(len(choices)))]
        there = self._there
        side = max(n for n in (2, 3, 4, 5) if _square(tile, n) <= there)
        side = int(rng.integers(2, side + 1))
        place, _, x, y = tile
        picture = np.concatenate(
            [
                np.concatenate(
                    [
                        tile_pixels(
                            str(
                                self.folder
                                / "oam_tiles"
                                / place
                                / f"OAM-{x + i}-{y + j}-{zoom}.png"
                            )
                        )
                        for i in range(side)
                    ],
                    1,
                )
                for j in range(side)
            ],
            0,
        )
        marks = self.folder / "oam_tiles" / place / "labels.geojson"
        outlines = (
            [ring * 2.0**zoom * 256 - np.array((x, y)) * 256.0 for ring in footprints(str(marks))]
            if marks.is_file()
            else []
        )
        latitude = np.arctan(np.sinh(np.pi * (1 - 2 * y / 2**zoom)))
        gsd_m = _EQUATOR_M * float(np.cos(latitude)) / 2**zoom / 256
        return _cut(rng, [picture], gsd_m, "oam_tiles", size_px, outlines)


@lru_cache(maxsize=4)
def library(folder: str, validation: bool) -> Library:
    """The library of a folder, listed once a process."""
    return Library(folder, validation)


def _square(tile: tuple[str, int, int, int], side: int) -> set[tuple[str, int, int, int]]:
    place, zoom, x, y = tile
    return {(place, zoom, x + i, y + j) for i in range(side) for j in range(side)}


def _cut(
    rng: np.random.Generator,
    pictures: Sequence[ByteArray],
    gsd_m: float,
    source: str,
    size_px: int,
    outlines: Sequence[Points] = (),
) -> Backdrop:
    """A square part, scaled to the canvas, turned and mirrored at random."""
    height, width = (min(p.shape[axis] for p in pictures) for axis in (0, 1))
    most = min(height, width)
    reach = FINE_REACH if gsd_m < FINEST_WANTED_M else REACH
    side = min(int(size_px * np.exp(rng.uniform(*np.log(reach)))), most)
    row, col = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    scale, turn, mirrored = size_px / side, int(rng.integers(4)), bool(rng.integers(2))
    cuts = []
    for picture in pictures:
        part = Image.fromarray(np.ascontiguousarray(picture[row : row + side, col : col + side]))
        scaled = np.asarray(part.resize((size_px, size_px), Image.Resampling.BICUBIC), np.float32)
        turned = np.rot90(scaled[:, ::-1] if mirrored else scaled, turn)
        cuts.append(np.ascontiguousarray(turned) / np.float32(255))
    moved = [_moved((ring - (col, row)) * scale, size_px, turn, mirrored) for ring in outlines]
    seen = tuple(
        ring for ring in moved if (ring.max(0) > 0).all() and (ring.min(0) < size_px).all()
    )
    return Backdrop(cuts[0], cuts[-1], gsd_m / scale, source, seen)


def _moved(ring: Points, size_px: int, turn: int, mirrored: bool) -> Points:
    x, y = ring[:, 0], ring[:, 1]
    x = size_px - x if mirrored else x
    for _ in range(turn):
        x, y = y, size_px - x
    return np.stack((x, y), -1)


@lru_cache(maxsize=160)
def raster(path: str) -> ByteArray:
    """`(rows, cols, 3)` uint8 of a GeoTIFF of bytes."""
    import rasterio

    with rasterio.open(path) as opened:
        pixels: ByteArray = np.moveaxis(opened.read([1, 2, 3]), 0, -1)
        return np.ascontiguousarray(pixels)


@lru_cache(maxsize=40)
def bands(folder: str, names: tuple[str, ...]) -> ByteArray:
    """`(rows, cols, bands)` uint8 of single-band files, each stretched to its percentiles."""
    import rasterio

    stretched = []
    for name in names:
        path = next(iter(sorted(Path(folder).glob(f"*_{name}.tif"))))
        with rasterio.open(path) as opened:
            values = opened.read(1).astype(np.float32)
        low, high = np.percentile(values[values > 0], (0.5, 99.5))
        stretched.append(np.clip((values - low) / (high - low), 0, 1) * 255)
    return np.stack(stretched, -1).astype(np.uint8)


@lru_cache(maxsize=600)
def tile_pixels(path: str) -> ByteArray:
    """`(256, 256, 3)` uint8 of a map tile."""
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


@lru_cache(maxsize=16)
def footprints(path: str) -> tuple[Points, ...]:
    """Outer rings of a GeoJSON file in Web Mercator, x and y from 0 to 1 over the world."""
    features = json.loads(Path(path).read_text(encoding="utf-8"))["features"]
    rings = []
    for feature in features:
        shape = feature["geometry"]
        parts = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
        for part in parts:
            lon, lat = np.radians(np.array(part[0], np.float64)[:, :2]).T
            rings.append(
                np.stack((0.5 + lon / (2 * np.pi), 0.5 - np.arcsinh(np.tan(lat)) / (2 * np.pi)), -1)
            )
    return tuple(rings)
