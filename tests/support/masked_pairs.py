"""Folders of georeferenced pairs with masks of what changed."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pairs import planted_mask, planted_pair
from rasterio.warp import Resampling, reproject
from rasters import ORIGIN, UTM, texture


def write_raster(path: Path, data: np.ndarray, transform: Affine = ORIGIN, **profile) -> Path:
    """Writes `(bands, height, width)`, or one band, as a GeoTIFF."""
    data = data if data.ndim == 3 else data[None]
    settings = {
        "driver": "GTiff",
        "count": len(data),
        "height": data.shape[1],
        "width": data.shape[2],
        "dtype": data.dtype,
        "crs": UTM,
        "transform": transform,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **(settings | profile)) as dataset:
        dataset.write(data)
    return path


def write_masked_pair(
    folder: Path, before: np.ndarray, after: np.ndarray, mask: np.ndarray, **profile
) -> Path:
    """Writes before.tif, after.tif and mask.tif into a folder; the profile is that of the dates."""
    write_raster(folder / "before.tif", before, **profile)
    write_raster(folder / "after.tif", after, **profile)
    write_raster(folder / "mask.tif", mask.astype(np.uint8))
    return folder


def plain_pair(folder: Path, seed: int = 0) -> Path:
    """A pair of which the mask is right everywhere."""
    return write_masked_pair(folder, *planted_pair(seed), planted_mask())


def pair_with_nodata(folder: Path) -> Path:
    """A corner of the later date has no data, and the mask says nothing of that."""
    before, after = planted_pair(1)
    after[:, :50, :90] = 0
    return write_masked_pair(folder, before, after, planted_mask(), nodata=0)


def pair_with_unknown(folder: Path) -> Path:
    """Of a strip and of a whole cell it is not known whether they changed."""
    mask = planted_mask().astype(np.uint8)
    mask[45:80] = 255
    mask[85:, 256:] = 255
    return write_masked_pair(folder, *planted_pair(2), mask)


def pair_on_two_grids(folder: Path) -> Path:
    """The later date has pixels of 12 m that begin elsewhere and do not reach all over."""
    before, after = planted_pair(3)
    write_masked_pair(folder, before, after, planted_mask())
    grid = ORIGIN * Affine.translation(3.4, -2.3) * Affine.scale(1.2)
    coarse = np.zeros((2, 160, 240), np.uint8)
    reproject(
        after,
        coarse,
        src_transform=ORIGIN,
        src_crs=UTM,
        dst_transform=grid,
        dst_crs=UTM,
        resampling=Resampling.bilinear,
    )
    write_raster(folder / "after.tif", coarse, grid, nodata=0)
    return folder


def unchanged_pair(folder: Path, seed: int = 4) -> Path:
    """Nothing changed, but a patch looks as if it had."""
    before = texture(200, 300, 2, seed) // 4 + 90
    after = before.copy()
    after[:, 20:60, 20:40] += 40
    return write_masked_pair(folder, before, after, np.zeros((200, 300)))


def damaged_pair(folder: Path) -> Path:
    """The later date is no raster."""
    plain_pair(folder)
    (folder / "after.tif").write_text("none")
    return folder


def some_kind(folder: Path) -> Path:
    """A kind of five pairs that can be scored."""
    plain_pair(folder / "plain")
    pair_with_nodata(folder / "nodata")
    pair_with_unknown(folder / "unknown")
    pair_on_two_grids(folder / "two_grids")
    unchanged_pair(folder / "unchanged")
    return folder
