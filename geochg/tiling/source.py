"""One raster as it lies on disk: opened, checked and described."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio import DatasetReader
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from geochg.errors import InputError
from geochg.files.remote_files import is_remote, refuse_remote, refuse_remote_item
from geochg.files.sidecars import file_status
from geochg.options import DateOptions
from geochg.safety.untrusted_text import cleaned, printable, without_secrets
from geochg.tiling.acquisition_time import acquisition_time
from geochg.tiling.bands import Band, describe_bands
from geochg.tiling.coarse_view import read_coarse
from geochg.tiling.collar import Collar, find_collars
from geochg.tiling.gdal import drivers_for, forget_address, gdal_settings
from geochg.tiling.local_files import local_files
from geochg.tiling.noisy_collar import lossy_codec, noisy_collar
from geochg.tiling.placement_checks import check_control_points, check_placed, check_placement
from geochg.tiling.raster_input import RasterInput, raster_input
from geochg.tiling.scene_tags import scene_facts
from geochg.tiling.unreadable_files import open_error
from geochg.tiling.validity import (
    Alpha,
    marked_alpha,
    mask_kind,
    nodata_of,
    read_alpha,
    validity_of,
)
from geochg.tiling.virtual_raster import PALETTE, is_negative, is_palette, open_view

_NAMING_ITEMS = (("OVERVIEWS", "OVERVIEW_FILE"), ("GEOLOCATION", "X_DATASET"))
"""Metadata, by domain and name, that names further files."""


@dataclass(frozen=True)
class RasterSource:
    """What a raster file says about itself.

    Attributes:
        path: Name by which GDAL opens it, as the user gave it where it is a file.
        driver: GDAL's short name of the format.
        geobox: CRS, transform and size; for a raster placed by ground control points, the grid it
            is rectified to.
        bands: Its bands, alpha among them.
        dtype: Data type of the first band.
        nodata: The first band's nodata value, None when it has none.
        mask: Where validity comes from: `none`, `nodata`, `alpha`, `mask`.
        alpha: The band that tells validity; None where there is none.
        measured_alpha: Number of the band that is marked as alpha but holds data; 0 for none.
        placed_by: `transform` or `gcps`.
        overviews: Decimation factors of the overviews.
        acquired: When the image was taken or written, as the file says, ISO 8601; may be empty.
        size_bytes: Size of the file; None when it is no local file.
        dated_by: The tag that tells `acquired`; empty where none does.
        pages: Names by which the rasters within the file are opened, when it holds several and one
            of them was taken because none was named.
        files: Every local file behind it: containers, masks beside it, sources of a VRT.
        fetches: Whether reading it may ask another machine.
        options: How it is read.
        raster: What was given; it keeps alive what lies in memory.
        lossy: The codec by which it is compressed, where that keeps no exact values; else empty.
        scene: Of which scenes of a catalogue it was made, as `scene_facts` tells; may be empty.
    """

    path: str
    driver: str
    geobox: GeoBox
    bands: tuple[Band, ...]
    dtype: str
    nodata: float | None
    mask: str
    alpha: Alpha | None
    measured_alpha: int
    placed_by: str
    overviews: tuple[int, ...]
    acquired: str
    size_bytes: int | None
    dated_by: str = ""
    pages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    fetches: bool = False
    lossy: str = ""
    scene: Mapping[str, Any] = field(default_factory=dict)
    options: DateOptions = field(default_factory=DateOptions)
    raster: RasterInput | None = None

    @property
    def label(self) -> str:
        """What outputs and messages call it: its path, or what it is in memory."""
        return self.path if self.raster is None else self.raster.label

    def dtype_of(self, numbers: Sequence[int]) -> str:
        """The type that holds the values of some bands, by their numbers."""
        return str(np.result_type(*(band.dtype for band in self.bands_of(numbers))))

    def bands_of(self, numbers: Sequence[int]) -> tuple[Band, ...]:
        """Some bands, by their numbers."""
        return tuple(self.bands[number - 1] for number in numbers)

    def to_dict(self) -> dict[str, Any]:
        """The source for the provenance of an output, as plain JSON values."""
        return {
            "path": without_secrets(self.label),
            "size_bytes": self.size_bytes,
            "crs": printable(str(self.geobox.crs)),
            "acquired": self.acquired or None,
            **({"scene": dict(self.scene)} if self.scene else {}),
        }


def read_source(
    path: str | os.PathLike[str] | RasterInput, options: DateOptions | None = None
) -> RasterSource:
    """Opens a raster, checks that it can be placed on the ground, and describes it.

    Args:
        path: Anything GDAL opens: a file, `/vsicurl/...`, `NETCDF:"a.nc":band`, ...; or what
            `raster_input` gives.
        options: How it is read; the defaults when None.

    Raises:
        InputError: If it cannot be opened, has no CRS or no place, has no data band, or would make
            requests that nobody asked for.
    """
    raster = path if isinstance(path, RasterInput) else raster_input(path)
    name, options = raster.name, options or DateOptions()
    allow_remote = options.allow_remote
    refuse_remote(name, allow=allow_remote)
    fetches = allow_remote or is_remote(name)
    with gdal_settings(name, fetches=fetches), ExitStack() as stack:
        forget_address(name)
        raw = _open_named(name, stack, fetches=fetches)
        for domain, item in _NAMING_ITEMS:
            refuse_remote_item(name, raw.tags(ns=domain).get(item, ""), allow=allow_remote)
        alpha = _alpha_of(name, raw)
        raw_view = _view_of(raw, stack)
        bands = describe_bands(raw_view, None if alpha is None else alpha.number)
        dataset = _place_on_grid(name, raw_view, stack)
        if all(band.alpha for band in bands):
            raise InputError(f"{name} has no data band", "give a raster with image bands")
        height_px, width_px = dataset.shape
        check_placement(
            without_secrets(name), _odc_crs(dataset), dataset.transform, (height_px, width_px)
        )
        status = file_status(name)
        time, tag = acquisition_time({**raw.tags(), **raw.tags(ns="IMAGERY")})
        return RasterSource(
            path=name,
            driver=raw.driver if dataset is raw_view else "GCPs, rectified",
            geobox=GeoBox(dataset.shape, dataset.transform, _odc_crs(dataset)),
            bands=bands,
            dtype=bands[0].dtype,
            nodata=nodata_of(raw, 1, options),
            mask=mask_kind(raw, alpha, options),
            alpha=alpha,
            measured_alpha=0 if alpha else marked_alpha(raw) or 0,
            placed_by="transform" if dataset is raw_view else "gcps",
            overviews=tuple(raw.overviews(1)),
            acquired=time,
            dated_by=tag,
            pages=tuple(raw.subdatasets),
            size_bytes=None if status is None else status.st_size,
            files=tuple(sorted(local_files(name))),
            fetches=fetches,
            lossy=lossy_codec(raw),
            scene=scene_facts(raw.tags()),
            options=options,
            raster=raster,
        )


def _alpha_of(name: str, dataset: DatasetReader) -> Alpha | None:
    if is_palette(dataset):
        return Alpha(len(PALETTE), 255.0)
    try:
        return read_alpha(dataset)
    except RasterioError as error:
        raise open_error(name, error) from error


def can_open(name: str, *, allow_remote: bool = False) -> bool:
    """Whether GDAL here opens a raster: builds of GDAL differ in the formats they know.

    Args:
        name: Anything GDAL opens.
        allow_remote: Whether a file on this machine may name rasters elsewhere.
    """
    fetches = allow_remote or is_remote(name)
    with gdal_settings(name, fetches=fetches), ExitStack() as stack:
        try:
            refuse_remote(name, allow=allow_remote)
            _open_dataset(name, stack, fetches=fetches)
        except (InputError, RasterioError, ValueError):
            return False
        return True


@contextmanager
def open_source(name: str) -> Iterator[DatasetReader]:
    """Opens a raster so that it reads as plain bands on an affine grid with a CRS.

    Palette images are expanded to colours and rasters placed by ground control points are
    rectified, both lazily.

    Args:
        name: Anything GDAL opens.

    Raises:
        InputError: As `read_source`.
    """
    refuse_remote(name)
    fetches = is_remote(name)
    with gdal_settings(name, fetches=fetches), ExitStack() as stack:
        raw = _open_named(name, stack, fetches=fetches)
        yield _place_on_grid(name, _view_of(raw, stack), stack)


@contextmanager
def open_valid(
    source: RasterSource,
    band_numbers: Sequence[int],
    collars: Sequence[Collar] = (),
    step_px: int = 1,
) -> Iterator[DatasetReader]:
    """Opens a raster as `open_source`, with one more band that tells which pixels are valid.

    Args:
        source: The raster.
        band_numbers: Numbers of the bands in use, from 1; they are brought to one type.
        collars: What else is left out.
        step_px: Every how many-th pixel is read of a raster that its own transform places.

    Yields:
        The dataset. Where a pixel may be invalid, its last band is marked as alpha, the only one
        that is: 0 in holes, 255 elsewhere.

    Raises:
        InputError: As `read_source`.
    """
    with ExitStack() as stack:
        raw = _open_named(source.path, stack, fetches=source.fetches)
        validity = validity_of(raw, band_numbers, source.alpha, source.options)
        for collar in collars:
            cells = stack.enter_context(collar.raster())
            validity = (*validity, collar.tests(band_numbers, cells.name))
        dtype = source.dtype_of(band_numbers)
        plain = (
            all(raw.dtypes[number - 1] == dtype for number in band_numbers)
            if raw.count > 1
            else True
        )
        step_px = step_px if raw.crs is not None else 1
        # What the file calls nodata is told by the alpha band only.
        has_nodata = any(MaskFlags.nodata in flags for flags in raw.mask_flag_enums)
        changed = is_palette(raw) or is_negative(raw) or has_nodata or not plain
        if validity or changed or marked_alpha(raw) or step_px > 1:
            dataset = stack.enter_context(open_view(raw, validity, dtype, band_numbers, step_px))
        else:
            dataset = raw
        yield _place_on_grid(source.path, dataset, stack)


def collars_of(
    source: RasterSource,
    band_numbers: Sequence[int],
    other: RasterSource,
    other_wanted: Sequence[int],
) -> tuple[Collar, ...]:
    """What fills up a raster to its frame, though nothing in it says so.

    A raster with a mask or an alpha band has said all that is to be said.

    Args:
        source: The raster.
        band_numbers: Numbers of its bands in use, from 1.
        other: The other date's raster.
        other_wanted: As `band_numbers`.
    """
    if source.mask not in ("none", "nodata"):
        return ()
    with gdal_settings(source.path, fetches=source.fetches), ExitStack() as stack:
        raw = _open_named(source.path, stack, fetches=source.fetches)
        nodata = [nodata_of(raw, number, source.options) for number in band_numbers]
        if len({raw.dtypes[number - 1] for number in band_numbers}) > 1:
            return ()
        try:
            view = read_coarse(raw, band_numbers)
            collars = find_collars(view, nodata)
            if source.mask == "nodata" or raw.crs is None or is_palette(raw):
                return collars
            noisy = noisy_collar(raw, view, partial(_open_again, other, stack), other_wanted)
        except RasterioError:  # the run will meet and name the tiles that cannot be read
            return ()
    # Where compression left most of it at one value, that is a part of it.
    return collars if noisy is None else (noisy, *(c for c in collars if c.value != noisy.value))


def _open_again(source: RasterSource, stack: ExitStack) -> DatasetReader:
    """A raster that was read before, for as long as a stack lasts."""
    stack.enter_context(gdal_settings(source.path, fetches=source.fetches))
    return stack.enter_context(open_source(source.path))


def _view_of(dataset: DatasetReader, stack: ExitStack) -> DatasetReader:
    """The raster itself, or a palette image as colours, a negative as positive."""
    changed = is_palette(dataset) or is_negative(dataset)
    return stack.enter_context(open_view(dataset)) if changed else dataset


def _place_on_grid(name: str, dataset: DatasetReader, stack: ExitStack) -> DatasetReader:
    """The raster on an affine grid with a CRS."""
    if dataset.crs is None and dataset.gcps[1] is not None:
        check_control_points(without_secrets(name), dataset.gcps[0])
        # Without a target transform GDAL fits the polynomial of the control points; with
        # one, rasterio 1.4 ignores them. So the raster is rectified first, then read.
        dataset = _open_rectified(name, dataset, stack)
    check_placed(name, dataset)
    return dataset


def _open_dataset(name: str, stack: ExitStack, *, fetches: bool) -> DatasetReader:
    """A raster as GDAL has it; one that may not fetch, by drivers that do not."""
    drivers = None if fetches else drivers_for(name)
    # `rasterio.open` takes one driver only.
    dataset: DatasetReader = stack.enter_context(DatasetReader(name, driver=drivers))
    return dataset


def _open_named(name: str, stack: ExitStack, *, fetches: bool) -> DatasetReader:
    try:
        dataset = _open_dataset(name, stack, fetches=fetches)
    except (RasterioError, ValueError) as error:
        raise open_error(name, error) from error
    if not dataset.count and dataset.subdatasets:
        raise InputError(
            f"{name} holds several rasters and none is named",
            f"name one, such as {dataset.subdatasets[0]}",
        )
    return dataset


def _open_rectified(name: str, dataset: DatasetReader, stack: ExitStack) -> DatasetReader:
    """The raster on the grid that its control points place it on."""
    try:
        return stack.enter_context(
            WarpedVRT(dataset, src_crs=dataset.gcps[1], add_alpha=marked_alpha(dataset) is None)
        )
    except (RasterioError, ValueError) as error:
        raise InputError(
            f"{without_secrets(name)} cannot be rectified by its control points: {cleaned(error)}",
            "georeference it, for example in QGIS with Raster > Georeferencer",
        ) from error


def _odc_crs(dataset: DatasetReader) -> str:
    code = dataset.crs.to_epsg(confidence_threshold=100)
    return f"EPSG:{code}" if code else str(dataset.crs.to_wkt())
