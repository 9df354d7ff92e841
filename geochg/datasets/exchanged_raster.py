"""Rasters that are laid where another pair lies, so that images can be exchanged among pairs."""

from __future__ import annotations

import shutil
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from geochg.errors import InputError
from geochg.safety.untrusted_text import cleaned

_HINT = "copy it again, or leave out --exchange"


def exchange_key(after: Path, mask: Path) -> tuple[int, ...]:
    """The sizes by which images can be exchanged: bands and pixels of the image and of its mask.

    Raises:
        InputError: If a raster cannot be read, or image and mask lie on grids that differ by more
            than a scale and a shift.
    """
    try:
        with rasterio.open(after) as image, rasterio.open(mask) as grid:
            if image.crs != grid.crs:
                raise InputError(f"{after} has another CRS than {mask}", "warp it to that")
            return (image.count, *image.shape, *grid.shape)
    except RasterioError as error:
        raise InputError(f"cannot read {after}: {cleaned(error)}", _HINT) from error


def lay_copy(image: Path, own_mask: Path, other_mask: Path, target: Path) -> None:
    """Writes a copy of an image that lies to another mask as the image does to its own.

    Args:
        image: A GeoTIFF.
        own_mask: Mask of its pair.
        other_mask: Mask of the pair that is given the image.
        target: The copy.

    Raises:
        InputError: If a raster cannot be read or copied.
    """
    try:
        with rasterio.open(own_mask) as own_grid, rasterio.open(other_mask) as other_grid:
            move = other_grid.transform * ~own_grid.transform
            crs = other_grid.crs
        shutil.copyfile(image, target)
        with rasterio.open(target, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as copy:
            copy.transform = move * copy.transform
            copy.crs = crs
    except (RasterioError, OSError) as error:
        raise InputError(f"cannot exchange {image}: {cleaned(error)}", _HINT) from error
