"""One raster as it lies on disk: opened, checked and described."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from odc.geo.geobox import GeoBox
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.vrt import WarpedVRT

from geochg.errors import InputError
from geochg.foreign_text import cleaned, printable, without_secrets
from geochg.tiling.acquired import acquired
from geochg.tiling.bands import Band, describe_bands
from geochg.tiling.placement import check_control_points, check_placement
from geochg.tiling.virtual import alpha_as_data, expanded_palette

GDAL_OPTIONS = {
    # A bounded block cache, in bytes, keeps memory flat however large the raster; it holds the
    # rows of blocks that overlapping tiles read twice.
    "GDAL_CACHEMAX": 128 * 1024 * 1024,
    # Masks, overviews and world files beside a raster are looked for by name; listing a folder on
    # a server, or one of a million files, is not worth its time.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    "VSI_CACHE": "TRUE",
}


def gdal_settings() -> AbstractContextManager[Any]:
    """How GDAL reads while it lasts, in this thread; its block cache is the whole process's."""
    env: AbstractContextManager[Any] = rasterio.Env(**GDAL_OPTIONS)
    return env


@dataclass(frozen=True)
class RasterSource:
    """What a raster file says about itself.

    Attributes:
        path: As the user gave it.
        driver: GDAL's short name of the format.
        geobox: CRS, transform and size; for a raster placed by ground control points, the grid it
            is rectified to.
        bands: Its bands, alpha among them.
        dtype: Data type of the bands.
        nodata: The nodata value, None when there is none.
        mask: Where validity comes from: `none`, `nodata`, `alpha`, `mask`.
        placed_by: `transform` or `gcps`.
        overviews: Decimation factors of the overviews.
        acquired: When the image was taken or written, as the file says, ISO 8601; may be empty.
        size_bytes: Size of the file; None when it is no local file.
        dated_by: The tag that tells `acquired`; empty where none does.
        pages: Names by which the rasters within the file are opened, when it holds several and one
            of them was taken because none was named.
        files: Every local file behind it: containers, masks beside it, sources of a VRT.
    """

    path: str
    driver: str
    geobox: GeoBox
    bands: tuple[Band, ...]
    dtype: str
    nodata: float | None
    mask: str
    placed_by: str
    overviews: tuple[int, ...]
    acquired: str
    size_bytes: int | None
    dated_by: str = ""
    pages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The source for the provenance of an output, as plain JSON values."""
        return {
            "path": without_secrets(self.path),
            "size_bytes": self.size_bytes,
            "crs": printable(str(self.geobox.crs)),
            "acquired": self.acquired or None,
        }


def read_source(path: str | os.PathLike[str]) -> RasterSource:
    """Opens a raster, checks that it can be placed on the ground, and describes it.

    Args:
        path: Anything GDAL opens: a file, `/vsicurl/...`, `NETCDF:"a.nc":band`, ...

    Raises:
        InputError: If it cannot be opened, has no CRS or no place, or has no data band.
    """
    name = os.fspath(path)
    with gdal_settings(), open_source(name) as dataset:
        bands = describe_bands(dataset)
        if all(band.alpha for band in bands):
            raise InputError(f"{name} has no data band", "give a raster with image bands")
        height_px, width_px = dataset.shape
        check_placement(
            without_secrets(name), _odc_crs(dataset), dataset.transform, (height_px, width_px)
        )
        time, tag = acquired({**dataset.tags(), **dataset.tags(ns="IMAGERY")})
        return RasterSource(
            path=name,
            driver=dataset.driver if not isinstance(dataset, WarpedVRT) else "GCPs, rectified",
            geobox=GeoBox(dataset.shape, dataset.transform, _odc_crs(dataset)),
            bands=bands,
            dtype=dataset.dtypes[bands[0].number - 1],
            nodata=dataset.nodata,
            mask=_mask_kind(dataset),
            placed_by="gcps" if isinstance(dataset, WarpedVRT) else "transform",
            overviews=tuple(dataset.overviews(bands[0].number)),
            acquired=time,
            dated_by=tag,
            pages=tuple(dataset.subdatasets),
            size_bytes=_size_bytes(name),
            files=tuple(sorted(_local_files(name))),
        )


def can_open(name: str) -> bool:
    """Whether GDAL here opens a raster: builds of GDAL differ in the formats they know."""
    with gdal_settings():
        try:
            with rasterio.open(name):
                return True
        except (RasterioError, ValueError):
            return False


@contextmanager
def open_source(name: str, *, keep_alpha: bool = True) -> Iterator[DatasetReader]:
    """Opens a raster so that it reads as plain bands on an affine grid with a CRS.

    Palette images are expanded to colours and rasters placed by ground control points are
    rectified, both lazily.

    Args:
        name: Anything GDAL opens.
        keep_alpha: Whether a band marked as alpha tells validity; if not, it is data.

    Raises:
        InputError: As `read_source`.
    """
    with ExitStack() as stack:
        dataset = _open(name, stack)
        if dataset.count and dataset.colorinterp[0] is ColorInterp.palette:
            dataset = stack.enter_context(expanded_palette(dataset))
        elif not keep_alpha and _has_alpha(dataset):
            dataset = stack.enter_context(alpha_as_data(dataset))
        if dataset.crs is None and dataset.gcps[1] is not None:
            check_control_points(without_secrets(name), dataset.gcps[0])
            # Without a target transform GDAL fits the polynomial of the control points; with
            # one, rasterio 1.4 ignores them. So the raster is rectified first, then read.
            dataset = _rectified(name, dataset, stack)
        _check_placed(name, dataset)
        yield dataset


def _open(name: str, stack: ExitStack) -> DatasetReader:
    try:
        dataset = stack.enter_context(rasterio.open(name))
    except (RasterioError, ValueError) as error:
        raise _cannot_open(name, error) from error
    if not dataset.count and dataset.subdatasets:
        raise InputError(
            f"{name} holds several rasters and none is named",
            f"name one, such as {dataset.subdatasets[0]}",
        )
    return dataset


def _rectified(name: str, dataset: DatasetReader, stack: ExitStack) -> DatasetReader:
    """The raster on the grid that its control points place it on."""
    try:
        return stack.enter_context(
            WarpedVRT(dataset, src_crs=dataset.gcps[1], add_alpha=not _has_alpha(dataset))
        )
    except (RasterioError, ValueError) as error:
        raise InputError(
            f"{without_secrets(name)} cannot be rectified by its control points: {cleaned(error)}",
            "georeference it, for example in QGIS with Raster > Georeferencer",
        ) from error


def _cannot_open(name: str, error: Exception) -> InputError:
    """Says why GDAL failed, looking at the file system only after it did."""
    if isinstance(error, RasterioIOError) and ("://" in name or name.startswith("/vsi")):
        shown = without_secrets(name)
        return InputError(f"cannot open {shown}: {cleaned(error)}", "check the address")
    if len(name) > 1000:
        return InputError(f"{name[:60]}... is no name of a raster", "check the path")
    try:
        return _looked_at(name, cleaned(error).removeprefix(f"'{name}' "))
    except OSError as refused:  # a name longer than file systems take, a share that is gone
        return InputError(f"{name} cannot be opened: {cleaned(refused)}", "check the path")


def _looked_at(name: str, reason: str) -> InputError:
    """Why GDAL could not open what should be a file, as the file system tells."""
    file = Path(name)
    if file.is_dir():
        return InputError(f"{name} is a folder, not a raster", "name the raster file in it")
    if file.is_file():
        if file.stat().st_size == 0:
            return InputError(f"{name} is empty", "copy or download it again")
        if not os.access(file, os.R_OK):
            return InputError(f"{name} may not be read", "check its permissions")
        return InputError(
            f"{name} is not a raster that GDAL can open: {reason}",
            "check it with `rio info`; copy or download it again if it is damaged",
        )
    return InputError(f"{name} does not exist", "check the path")


def _check_placed(name: str, dataset: DatasetReader) -> None:
    if dataset.crs is None and dataset.rpcs is not None:
        raise InputError(
            f"{name} is placed by rational polynomials (RPC) only, which need terrain heights",
            "orthorectify it first: gdalwarp -rpc -to RPC_DEM=dem.tif IN.tif OUT.tif",
        )
    if dataset.crs is None:
        raise InputError(
            f"{name} has no coordinate reference system",
            f"if you know it, write it in: rio edit-info --crs EPSG:32633 {name}",
        )
    if dataset.transform.is_identity or dataset.transform.determinant == 0:
        raise InputError(
            f"{name} has a coordinate reference system but no place on the ground",
            "georeference it, for example in QGIS with Raster > Georeferencer",
        )


def _odc_crs(dataset: DatasetReader) -> str:
    code = dataset.crs.to_epsg(confidence_threshold=100)
    return f"EPSG:{code}" if code else str(dataset.crs.to_wkt())


def _has_alpha(dataset: DatasetReader) -> bool:
    return ColorInterp.alpha in dataset.colorinterp


def _mask_kind(dataset: DatasetReader) -> str:
    if _has_alpha(dataset):
        return "alpha"
    flags = dataset.mask_flag_enums[0]
    if MaskFlags.nodata in flags:
        return "nodata"
    return "mask" if MaskFlags.per_dataset in flags else "none"


def _size_bytes(name: str) -> int | None:
    file = Path(name)
    try:
        return file.stat().st_size if file.is_file() else None
    except OSError:  # a GDAL name that no file system takes
        return None


def _local_files(name: str, known: frozenset[str] = frozenset()) -> set[str]:
    """Every local file behind a raster; GDAL lists one level of a virtual one only."""
    found = {name} | ({container} if (container := _container(name)) else set())
    try:
        with rasterio.open(name) as dataset:
            found |= set(dataset.files)
    except (RasterioError, ValueError):  # listed as a sidecar, but no raster
        pass
    found = {file for file in found if _size_bytes(file) is not None}
    for file in found - known - {name}:
        if file.lower().endswith(".vrt"):
            found |= _local_files(file, known | found)
    return found


def _container(name: str) -> str:
    """The archive that a name like `/vsizip/a.zip/b.tif` looks into; empty for others."""
    if not name.startswith(("/vsizip/", "/vsitar/", "/vsigzip/", "/vsi7z/", "/vsirar/")):
        return ""
    inner = Path(name.split("/", 2)[2].strip("{}"))
    return next((str(p) for p in (inner, *inner.parents) if _size_bytes(str(p)) is not None), "")
