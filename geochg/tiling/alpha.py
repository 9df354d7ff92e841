"""Whether a band that is marked as alpha is one: the infrared of many four-band images is not."""

from __future__ import annotations

import numpy as np
from rasterio import DatasetReader
from rasterio.enums import ColorInterp

from geochg.tiling.coarse_view import read_coarse
from geochg.tiling.validity import Alpha
from geochg.tiling.virtual_raster import is_palette

_MOST_VALUES = 16
"""An alpha band with more values than this above zero may be none."""

_LEAST_OPAQUE, _NEAR_OPAQUE = 0.2, 0.9
"""Share of the pixels above zero that have one value in an alpha band, and how near to its greatest
that value lies; the rest is its edge."""


def marked_alpha(dataset: DatasetReader) -> int | None:
    """The band that a raster marks as alpha, from 1; None where it marks none."""
    colors = list(dataset.colorinterp)
    if is_palette(dataset) or ColorInterp.alpha not in colors:
        return None
    return colors.index(ColorInterp.alpha) + 1


def read_alpha(dataset: DatasetReader) -> Alpha | None:
    """The alpha band of a raster, told by its values; None where none is marked or it holds data.

    Alpha is 0 in a hole and one value elsewhere (255, 65535 or 1), but for the edge between, where
    it may be feathered; a measured band has many values, and few pixels have the greatest.

    Raises:
        RasterioError: If the band cannot be read.
    """
    number = marked_alpha(dataset)
    if number is None:
        return None
    values = read_coarse(dataset, [number])[0]
    values = values[np.isfinite(values) & (values > 0)] if values.dtype.kind != "c" else values[:0]
    if not values.size:
        return Alpha(number, 255.0)
    kinds, counts = np.unique(values, return_counts=True)
    is_opaque = counts.max() >= _LEAST_OPAQUE * values.size
    is_greatest = kinds[counts.argmax()] >= _NEAR_OPAQUE * kinds[-1]
    if len(kinds) > _MOST_VALUES and not (is_opaque and is_greatest):
        return None
    return Alpha(number, float(kinds[-1]))
