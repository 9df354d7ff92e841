"""The files on this machine that are read where a raster is."""

from __future__ import annotations

import rasterio
from rasterio.errors import RasterioError

from geochg.files.sidecars import container, file_status


def local_files(name: str, known_files: frozenset[str] = frozenset()) -> set[str]:
    """Every file on this machine behind a raster: containers, masks, overviews, sources of a VRT.

    GDAL lists one level of a virtual raster only, so these are followed. They are
    opened as `gdal_settings` says, and their pixels are not read.

    Args:
        name: The raster.
        known_files: Files that are known already, which are not followed again.
    """
    names = {name} | ({archive} if (archive := container(name)) else set())
    try:
        with rasterio.open(name) as dataset:
            names |= set(dataset.files)
    except (RasterioError, ValueError):  # listed as a sidecar, but no raster
        pass
    names = {file for file in names if file_status(file)}
    for file in names - known_files - {name}:
        if file.lower().endswith(".vrt"):
            names |= local_files(file, known_files | names)
    return names
