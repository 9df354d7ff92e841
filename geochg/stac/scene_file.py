"""The file of a fetched scene: a cloud-optimised GeoTIFF that says what it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp

from geochg.records import PixelWindow
from geochg.stac.packing import HIDDEN, WRITTEN_SCALE
from geochg.stac.scene_reader import ScenePixels
from geochg.writers.cog import cog_draft

_COLORS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


@dataclass(frozen=True)
class SceneLayers:
    """The bands of a file.

    Attributes:
        names: Names of the bands.
        dtype: Type of the values.
        reflectance: Whether they are reflectance times 10,000, and what was not seen is nodata;
            else what was not seen is told by a mask, or is not a number.
    """

    names: Sequence[str]
    dtype: np.dtype[Any]
    reflectance: bool

    @property
    def nodata(self) -> float | None:
        """The value where no ground was seen; None where a mask tells it."""
        if self.reflectance:
            return HIDDEN
        return np.nan if self.dtype.kind == "f" else None


def write_scene(
    blocks: Iterable[tuple[PixelWindow, ScenePixels]],
    grid: GeoBox,
    layers: SceneLayers,
    path: Path,
    tags_after: Mapping[str, Any],
) -> None:
    """Writes a scene block by block; memory does not grow with the grid.

    Args:
        blocks: Windows of the grid that cover it without overlap, and their pixels.
        grid: The grid.
        layers: The bands.
        path: Where to write. A second file, uncut, is in its folder while writing.
        tags_after: Tags of the file; they are read after the last block, so that they may tell
            what the blocks held. JSON values are written as JSON text.

    Raises:
        OSError: If the file cannot be written.
    """
    nodata = layers.nodata
    hidden = layers.dtype.type(0 if nodata is None else nodata)
    bands, dtype = len(layers.names), layers.dtype.name
    with cog_draft(path, grid, bands, dtype, nodata, {"predictor": "yes"}) as draft:
        for window, pixels in blocks:
            values = pixels.values.astype(layers.dtype, copy=False)
            values = np.where(pixels.clear, values, hidden)
            draft.write(values, window, pixels.clear if nodata is None else None)
        scale = WRITTEN_SCALE if layers.reflectance else 1.0
        colors = [_COLORS.get(name, ColorInterp.undefined) for name in layers.names]
        draft.describe(layers.names, tags_after, scale, colors)


def acquisition_text(moments: Sequence[datetime]) -> str:
    """The acquisition time of an image made of several scenes, as `geochg analyze` reads it.

    Args:
        moments: When its scenes were taken, in UTC.

    Returns:
        ISO 8601: a moment within one day, else the month that all lie in, else the middle day.
    """
    first, last = min(moments), max(moments)
    if (last - first).total_seconds() < 12 * 3600:
        return first.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    if (first.year, first.month) == (last.year, last.month):
        return f"{first:%Y-%m}"
    return (first + (last - first) / 2).date().isoformat()
