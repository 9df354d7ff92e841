"""The mask of a georeferenced pair, and what lies on its grid: features, heat and both dates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.warp import Resampling, reproject

from geochg.errors import InputError
from geochg.safety.untrusted_text import cleaned
from geochg.tiling.source import open_source

if TYPE_CHECKING:
    import geopandas as gpd
    from affine import Affine
    from numpy.typing import NDArray
    from rasterio import DatasetReader
    from rasterio.crs import CRS

CHANGED, UNCHANGED, UNKNOWN = 1, 0, 255
"""The values of a mask."""

_VALUES_HINT = f"write {CHANGED} for changed, {UNCHANGED} for unchanged, {UNKNOWN} for unknown"


@dataclass(frozen=True, slots=True, eq=False)
class GeoreferencedMask:
    """A mask, and where it lies.

    Attributes:
        changed: `(height, width)` bool, true where the ground changed.
        known: `(height, width)` bool, true where it is known whether it did.
        transform: From pixels to the CRS.
        crs: The CRS.
    """

    changed: NDArray[np.bool_]
    known: NDArray[np.bool_]
    transform: Affine
    crs: CRS

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height_px, width_px = self.known.shape
        return height_px, width_px


def read_mask(path: Path) -> GeoreferencedMask:
    """Reads a mask.

    Raises:
        InputError: If it cannot be read, has no place on the ground, holds other values than those
            of a mask, or knows no pixel.
    """
    if not path.is_file():
        raise InputError(f"there is no mask {path}", "each pair needs one")
    with _gdal_errors(path), rasterio.open(path) as dataset:
        if dataset.crs is None:
            raise InputError(
                f"the mask {path} has no coordinate reference system", "give it that of BEFORE"
            )
        values = dataset.read(1)
        mask = GeoreferencedMask(
            values == CHANGED, values != UNKNOWN, dataset.transform, dataset.crs
        )
    if not np.isin(values, (CHANGED, UNCHANGED, UNKNOWN)).all():
        raise InputError(f"the mask {path} holds other values than 0, 1 and 255", _VALUES_HINT)
    if not mask.known.any():
        raise InputError(f"the mask {path} is unknown everywhere", _VALUES_HINT)
    return mask


def covered_by(features: gpd.GeoDataFrame, mask: GeoreferencedMask) -> NDArray[np.bool_]:
    """The pixels of a mask whose centres features cover, `(height, width)` bool.

    Args:
        features: In any CRS.
        mask: Mask with the grid.
    """
    return numbers_on(features, mask) > 0


def numbers_on(features: gpd.GeoDataFrame, mask: GeoreferencedMask) -> NDArray[np.int32]:
    """The number of the feature over the centre of each pixel of a mask, `(height, width)` int32.

    The features count from 1; 0 is none. Where several cover a pixel it is the last of them.

    Args:
        features: In any CRS.
        mask: Mask with the grid.
    """
    numbered = [
        (shape, number)
        for number, shape in enumerate(features.to_crs(mask.crs).geometry, start=1)
        if not shape.is_empty
    ]
    if not numbered:
        return np.zeros(mask.shape, np.int32)
    numbers: NDArray[np.int32] = rasterize(
        numbered, mask.shape, transform=mask.transform, dtype=np.int32
    )
    return numbers


def heat_on(path: Path, mask: GeoreferencedMask) -> NDArray[np.float32]:
    """A heatmap on the grid of a mask, `(height, width)` float32, 0 where it has no data.

    The values are those of the file (0-254); only their order matters to whoever asks.

    Raises:
        InputError: If it cannot be read.
    """
    heat = np.zeros(mask.shape, np.float32)
    with _gdal_errors(path), rasterio.open(path) as source:
        # rasterio 1.4 takes a `dst_nodata` of 0 for none given, and would fill with that of the
        # source, which is above any probability. So the zeros of the array are kept.
        reproject(
            rasterio.band(source, 1),
            heat,
            dst_transform=mask.transform,
            dst_crs=mask.crs,
            resampling=Resampling.bilinear,
            init_dest_nodata=False,
        )
    return np.nan_to_num(heat)


def bands_on(path: Path, mask: GeoreferencedMask) -> NDArray[np.float64]:
    """All bands of a raster on the grid of a mask, `(bands, height, width)` float64.

    Where the raster has no data, or does not reach, the values are 0. From another grid they are
    interpolated bilinearly.

    Raises:
        InputError: If it cannot be read.
    """
    with _gdal_errors(path), open_source(str(path)) as dataset:
        bands: NDArray[np.float64] = dataset.read().astype(np.float64)
        bands[:, dataset.dataset_mask() == 0] = 0
        bands[~np.isfinite(bands)] = 0
        if _is_on_grid(dataset, mask):
            return bands
        placed_bands = np.zeros((dataset.count, *mask.shape))
        reproject(
            bands,
            placed_bands,
            src_transform=dataset.transform,
            src_crs=dataset.crs,
            dst_transform=mask.transform,
            dst_crs=mask.crs,
            resampling=Resampling.bilinear,
        )
    return placed_bands


def _is_on_grid(dataset: DatasetReader, mask: GeoreferencedMask) -> bool:
    return bool(
        dataset.shape == mask.shape
        and dataset.crs == mask.crs
        and dataset.transform.almost_equals(mask.transform)
    )


@contextmanager
def _gdal_errors(path: Path) -> Iterator[None]:
    """Turns a failure of GDAL into an error that names the file."""
    try:
        yield
    except (RasterioError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {cleaned(error)}", "copy or download it again"
        ) from error
