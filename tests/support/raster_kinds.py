"""A factory of forty kinds of raster pairs, each with one change of which the place is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasters import ORIGIN, UTM

SIDE = 160
"""Pixels of each raster's side."""


@dataclass(frozen=True)
class Kind:
    """A kind of pair.

    Attributes:
        profile: For rasterio.
        dtype: Of the values, which are those of uint8 times `scale`.
        bands: Number of bands.
        finish: Done with each open file.
        holes: Value of a hole in the south-west; None for no hole.
        mask: Whether the hole is a mask beside the values.
    """

    profile: Mapping[str, Any]
    dtype: str = "uint8"
    scale: float = 1.0
    bands: int = 3
    finish: Callable[[rasterio.io.DatasetWriter], object] | None = None
    holes: float | None = None
    mask: bool = False


def _names(*names: str) -> Callable[[rasterio.io.DatasetWriter], object]:
    return lambda file: setattr(file, "descriptions", names)


def _colors(*colors: ColorInterp) -> Callable[[rasterio.io.DatasetWriter], object]:
    return lambda file: setattr(file, "colorinterp", colors)


def _gcps(file: rasterio.io.DatasetWriter) -> None:
    corners = [(0, 0), (0, SIDE), (SIDE, 0), (SIDE, SIDE)]
    points = [GroundControlPoint(r, c, *(ORIGIN @ (c, r))) for r, c in corners]
    file.gcps = points, rasterio.crs.CRS.from_string(UTM)


def _degrees(lon: float, lat: float) -> dict[str, Any]:
    return {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, lon, 0, -1e-4, lat)}


_TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64}
_RED, _GREEN, _BLUE = ColorInterp.red, ColorInterp.green, ColorInterp.blue
KINDS: dict[str, Kind] = {
    "plain": Kind({}),
    "one band": Kind({}, bands=1),
    "two bands": Kind({}, bands=2),
    "four bands": Kind({}, bands=4),
    "eleven bands": Kind({}, bands=11),
    "uint16": Kind({}, "uint16", 40),
    "int16": Kind({}, "int16", 30),
    "uint32": Kind({}, "uint32", 4000),
    "int32": Kind({}, "int32", 4000),
    "float32": Kind({}, "float32", 1 / 255),
    "float64": Kind({}, "float64", 1 / 255),
    "int8": Kind({}, "int8", 0.4),
    "tiled": Kind(_TILED),
    "deflate": Kind({"compress": "deflate", "predictor": 2}),
    "lzw": Kind({"compress": "lzw", **_TILED}),
    "zstd": Kind({"compress": "zstd"}),
    "jpeg": Kind({"compress": "jpeg", "photometric": "ycbcr", **_TILED}),
    "separate bands": Kind({"interleave": "band"}),
    "pixel by pixel": Kind({"interleave": "pixel"}),
    "big tiff": Kind({"BIGTIFF": "YES"}),
    "big endian": Kind({"ENDIANNESS": "BIG"}),
    "overviews": Kind(_TILED, finish=lambda file: file.build_overviews([2, 4], Resampling.average)),
    "nodata 0": Kind({"nodata": 0}, holes=0),
    "nodata 255": Kind({"nodata": 255}, holes=255),
    "nodata -9999": Kind({"nodata": -9999}, "int16", 30, holes=-9999),
    "nodata NaN": Kind({"nodata": float("nan")}, "float32", 1, holes=float("nan")),
    "nodata of float32": Kind({"nodata": -3.4028234663852886e38}, "float32", 1, holes=-3.4e38),
    "a mask": Kind({}, mask=True),
    "colours": Kind({"photometric": "rgb"}),
    "blue, green, red": Kind({}, finish=_colors(_BLUE, _GREEN, _RED)),
    "named": Kind({}, finish=_names("B04", "B03", "B02")),
    "odd names": Kind({}, finish=_names("\x1b]0;x\x07", "ق" * 40, "")),
    "control points": Kind({"transform": None, "crs": None}, finish=_gcps),
    "rotated": Kind({"transform": ORIGIN @ Affine.rotation(20)}),
    "south up": Kind({"transform": Affine(10, 0, 500_000, 0, 10, 4_998_400)}),
    "feet": Kind({"crs": "EPSG:2263", "transform": Affine(9, 0, 980_000, 0, -9, 200_000)}),
    "degrees": Kind(_degrees(15, 45)),
    "by the antimeridian": Kind(_degrees(179.99, -17)),
    "the far north": Kind({"crs": "EPSG:3413", "transform": Affine(10, 0, 1e5, 0, -10, 2e5)}),
    "web mercator": Kind({"crs": "EPSG:3857", "transform": Affine(5, 0, 1e6, 0, -5, 6e6)}),
}


def write_pair(folder: Path, kind: Kind, seed: int, row: int, col: int) -> tuple[Path, Path]:
    """A pair of a kind in which a square of 32 pixels changed.

    Args:
        folder: Where to.
        kind: Of the rasters.
        seed: Of the ground.
        row: First row of the change.
        col: First column of the change.
    """
    rng = np.random.default_rng(seed)
    fields = rng.integers(70, 110, (kind.bands, SIDE // 16, SIDE // 16))
    before = fields.repeat(16, 1).repeat(16, 2) + rng.integers(-6, 7, (kind.bands, SIDE, SIDE))
    after = before + rng.integers(-3, 4, before.shape)
    after[:, row : row + 32, col : col + 32] += 90
    return tuple(
        _write(folder / f"{name}.tif", kind, values)
        for name, values in (("before", before), ("after", after))
    )


def _write(path: Path, kind: Kind, values: np.ndarray) -> Path:
    data = (values * kind.scale).astype(kind.dtype)
    if kind.holes is not None:
        data[:, SIDE - 24 :, :24] = kind.holes if kind.holes != -3.4e38 else kind.profile["nodata"]
    profile = {
        "driver": "GTiff",
        "count": kind.bands,
        "height": SIDE,
        "width": SIDE,
        "dtype": kind.dtype,
        "crs": UTM,
        "transform": ORIGIN,
        **kind.profile,
    }
    given = {key: value for key, value in profile.items() if value is not None}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **given) as file:
        file.write(data)
        if kind.mask:
            valid = np.ones((SIDE, SIDE), bool)
            valid[SIDE - 24 :, :24] = False
            file.write_mask(valid)
        if kind.finish is not None:
            kind.finish(file)
    return path
