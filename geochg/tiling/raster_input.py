"""What may be given as a raster: names of files, open datasets, DataArrays and numpy arrays.

What lies in memory is copied into a GeoTIFF in GDAL's own memory, so that whatever reads it opens
it by name as it opens a file. Nothing is written to disk.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.math import affine_from_axis, is_affine_st, resolution_from_affine
from pyproj.exceptions import CRSError
from rasterio import DatasetReader
from rasterio.dtypes import in_dtype_range
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.vrt import WarpedVRT

from geochg.errors import InputError
from geochg.geometry.placement import crs_of
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.tiling.placement_checks import check_placement

if TYPE_CHECKING:
    from xarray import DataArray

    RasterLike: TypeAlias = "str | os.PathLike[str] | DatasetReader | DataArray | NDArray[Any]"

_Y_NAMES = ("y", "latitude", "lat")
_X_NAMES = ("x", "longitude", "lon")
_GRID_MAPPING = "spatial_ref"
_DATE_TAG = "ACQUISITIONDATETIME"
_MEMORY_FOLDER = "/vsimem/geochg-"


@dataclass(frozen=True)
class RasterInput:
    """A raster that was given, by a name that GDAL opens.

    Attributes:
        name: The name; for what lies in memory, one that is good as long as this object lives.
        label: What outputs and messages call it.
        checksum: `sha256:...` of the pixels of an array; empty for others.
        memory: The file in GDAL's memory that holds the pixels of an array.
    """

    name: str
    label: str
    checksum: str = ""
    memory: MemoryRaster | None = field(default=None, compare=False, repr=False)


class MemoryRaster:
    """A file in GDAL's memory, which is deleted when nothing refers to this object any more."""

    def __init__(self) -> None:
        self.name = f"{_MEMORY_FOLDER}{uuid4().hex}/array.tif"
        weakref.finalize(self, _delete, self.name)


@dataclass(frozen=True)
class _Description:
    """What an array says of its bands; a physical value is `scale * value + offset`."""

    names: Sequence[str] = ()
    nodata: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)


def shown_name(name: str) -> str:
    """What messages call a raster that GDAL opens by a name."""
    return "array" if name.startswith(_MEMORY_FOLDER) else without_secrets(name)


def raster_input(raster: RasterLike | RasterInput, geobox: GeoBox | None = None) -> RasterInput:
    """The name by which GDAL opens a raster that was given.

    Args:
        raster: A name that GDAL opens; an open `rasterio` dataset; an `xarray.DataArray` whose CRS
            and grid stand in its coordinate `spatial_ref`, as rioxarray and odc-geo write it; or a
            numpy array `(bands, y, x)` or `(y, x)`, whose masked pixels are not valid.
        geobox: Grid of a numpy array; None for the others, which know theirs.

    Raises:
        InputError: If a dataset cannot be opened again, or an array has no grid or no numbers.
    """
    if isinstance(raster, RasterInput):
        return raster
    if isinstance(raster, np.ndarray):
        return _of_array(raster, geobox, "array", _Description())
    if geobox is not None:
        raise InputError("a geobox was given for a raster that has a grid", "leave out geobox")
    if isinstance(raster, str | os.PathLike):
        name = os.fspath(raster)
        return RasterInput(name, name)
    if type(raster).__module__.partition(".")[0] == "xarray":
        return _of_data_array(raster)
    if isinstance(raster, DatasetReader | DatasetWriter | WarpedVRT):
        return _of_dataset(raster)
    raise InputError(
        f"a {type(raster).__name__} is no raster",
        "give a path, an open rasterio dataset, an xarray.DataArray or a numpy array",
    )


def _of_dataset(dataset: DatasetReader) -> RasterInput:
    """The name of a dataset, which threads open again."""
    name = dataset.name
    if dataset.closed or dataset.mode != "r":
        raise InputError(
            f"the dataset {name} is {'closed' if dataset.closed else 'open for writing'}",
            "give one that is open for reading, or its path",
        )
    try:
        with rasterio.open(name) as second:
            is_same = (
                second.shape,
                second.count,
                second.transform,
                second.crs,
            ) == ((dataset.shape, dataset.count, dataset.transform, dataset.crs))
    except RasterioError:
        is_same = False
    if not is_same:
        raise InputError(
            f"the dataset {name} cannot be opened again as it is by its name alone",
            "give its pixels: dataset.read(masked=True), with geobox=GeoBox.from_rio(dataset)",
        )
    return RasterInput(name, "dataset in memory" if name.startswith("/vsimem/") else name)


def _of_data_array(data: DataArray) -> RasterInput:
    """The pixels of a DataArray with its grid, names, nodata and time; loads them."""
    if not (hasattr(data, "to_numpy") and hasattr(data, "coords")):
        raise InputError(
            f"an xarray.{type(data).__name__} is no raster",
            'give a DataArray; dataset.to_dataarray("band") makes one of a Dataset',
        )
    if not data.size:
        raise InputError("the DataArray has no pixels", "check how it was cut out")
    y_name, x_name = (_dimension(data, names) for names in (_Y_NAMES, _X_NAMES))
    rest = [name for name in data.dims if name not in (y_name, x_name) and data.sizes[name] > 1]
    if len(rest) > 1:
        raise InputError(
            f"the DataArray has the dimensions {', '.join(map(str, data.dims))}",
            f"choose one image, such as data.isel({rest[0]}=0)",
        )
    single = {name: 0 for name in data.dims if name not in (y_name, x_name, *rest)}
    bands = next(iter([*rest, *single]), None)
    geobox = _geobox_of(data, y_name, x_name)
    values = data.isel(single).transpose(*rest, y_name, x_name).to_numpy()
    label = f"array {cleaned(str(data.name), 80)}" if data.name is not None else "array"
    return _of_array(values, geobox, label, _description(data, bands, values.dtype))


def _dimension(data: DataArray, names: Sequence[str]) -> Hashable:
    for name in names:
        if name in data.dims:
            return name
    raise InputError(
        f"the DataArray has no dimension {' or '.join(names)}: {', '.join(map(str, data.dims))}",
        "rename its dimensions to band, y and x",
    )


def _geobox_of(data: DataArray, y_name: Hashable, x_name: Hashable) -> GeoBox:
    """The grid of a DataArray: its coordinates, else `GeoTransform` of its `spatial_ref`."""
    name = data.encoding.get("grid_mapping", data.attrs.get("grid_mapping", _GRID_MAPPING))
    has_mapping = isinstance(name, str) and name in data.coords
    mapping = data.coords[name].attrs if has_mapping else {}
    crs = mapping.get("crs_wkt") or mapping.get("spatial_ref")
    if not crs:
        raise InputError(
            "the DataArray tells no CRS in a coordinate spatial_ref",
            'write it: data.rio.write_crs("EPSG:32633") or data.odc.assign_crs("EPSG:32633")',
        )
    stored_affine = _stored_transform(mapping.get("GeoTransform"))
    transform = stored_affine
    if y_name in data.coords and x_name in data.coords:
        transform = _axis_transform(data[x_name].to_numpy(), data[y_name].to_numpy(), stored_affine)
    if transform is None:
        raise InputError(
            "the DataArray has no evenly spaced coordinates and no GeoTransform in spatial_ref",
            "write one: data.rio.write_transform(...)",
        )
    try:
        return GeoBox((data.sizes[y_name], data.sizes[x_name]), transform, crs)
    except CRSError:
        raise InputError(
            f"the CRS of the DataArray is not one that PROJ knows: {cleaned(crs, 60)!r}",
            'write another: data.rio.write_crs("EPSG:32633")',
        ) from None


def _stored_transform(text: Any) -> Affine | None:  # noqa: ANN401
    """The transform in `GeoTransform` of a `spatial_ref`; None where there is none."""
    if not text:
        return None
    try:
        return Affine.from_gdal(*map(float, str(text).split()))
    except (TypeError, ValueError):
        raise InputError(
            f"GeoTransform in spatial_ref of the DataArray is not six numbers: "
            f"{cleaned(text, 60)!r}",
            "write one: data.rio.write_transform(...)",
        ) from None


def _axis_transform(
    x: NDArray[Any], y: NDArray[Any], stored_affine: Affine | None
) -> Affine | None:
    """The transform that centres of columns and rows tell; of a turned grid they are pixels."""
    is_turned = stored_affine is not None and not is_affine_st(stored_affine)
    resolution = (
        None if stored_affine is None or is_turned else resolution_from_affine(stored_affine)
    )
    if not (_is_even(x) and _is_even(y)):
        return None
    try:
        transform = affine_from_axis(x, y, resolution)
    except ValueError:  # a single row or column of unknown size
        return stored_affine
    return stored_affine * transform if stored_affine is not None and is_turned else transform


def _is_even(centres: NDArray[Any]) -> bool:
    """Whether coordinates are numbers of equal steps; float32 keeps them to a fraction of one."""
    if centres.dtype.kind not in "iuf":
        return False
    values = centres.astype(np.float64)
    even = np.linspace(values[0], values[-1], len(values))
    step = abs(values[-1] - values[0]) / max(len(values) - 1, 1)
    is_single = len(values) == 1
    return bool((is_single or step > 0) and (np.abs(values - even) <= 0.25 * step).all())


def _description(data: DataArray, bands: Hashable | None, dtype: np.dtype[Any]) -> _Description:
    """What a DataArray says of its bands."""
    attrs = data.attrs
    names: Sequence[Any] = ()
    if bands is not None and bands in data.coords:
        names = np.atleast_1d(data[bands].to_numpy()).tolist()
    if not any(isinstance(name, str) for name in names):
        long_names = np.atleast_1d(attrs.get("long_name", ())).tolist()
        names = long_names if all(isinstance(name, str) for name in long_names) else ()
    # Decoded values, such as masked floats, no longer hold what their encoding names.
    encoding = data.encoding if dtype.kind in "iu" else {}
    nodata = next(
        (
            _number(name, source[name])
            for name, source in (("_FillValue", attrs), ("nodata", attrs), ("_FillValue", encoding))
            if source.get(name) is not None
        ),
        None,
    )
    return _Description(
        [cleaned(name, 80) for name in names],
        nodata,
        _number("scale_factor", attrs.get("scale_factor", 1.0)),
        _number("add_offset", attrs.get("add_offset", 0.0)),
        _date_tags(data),
    )


def _number(name: str, value: Any) -> float:  # noqa: ANN401
    """The number in an attribute; of a sequence, the one that is the same for all bands."""
    try:
        values = np.unique(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.size != 1:
        raise InputError(
            f"the attribute {name} of the DataArray is not a number: {cleaned(value, 60)!r}",
            f"write one: data.assign_attrs({name}=...), or take it out: del data.attrs[{name!r}]",
        )
    return float(values[0])


def _date_tags(data: DataArray) -> dict[str, str]:
    """When a DataArray was acquired, as metadata of GDAL; empty where it does not say."""
    if "time" not in data.coords or data.coords["time"].size != 1:
        return {}
    time = data.coords["time"].to_numpy().reshape(())
    if time.dtype.kind == "M":
        return {} if np.isnat(time) else {_DATE_TAG: str(np.datetime_as_string(time, unit="s"))}
    return {_DATE_TAG: cleaned(time.item(), 40)} if time.dtype.kind in "OU" else {}


def _of_array(
    values: NDArray[Any], geobox: GeoBox | None, label: str, description: _Description
) -> RasterInput:
    """An array as a GeoTIFF in GDAL's memory, which is let go with the input."""
    values = values[None] if values.ndim == 2 else values
    if geobox is None:
        raise InputError(
            "an array has no place on the ground", "say where it lies: geobox=GeoBox(...)"
        )
    if not isinstance(geobox, GeoBox):
        raise InputError(
            f"a {type(geobox).__name__} is no grid",
            "give geobox=GeoBox(...) of odc.geo.geobox; GeoBox.from_rio(dataset) makes one",
        )
    if geobox.crs is None:
        raise InputError("the geobox of an array has no CRS", "make it with one")
    check_placement(label, str(geobox.crs), geobox.transform, geobox.shape.yx)
    if values.ndim != 3 or values.shape[1:] != tuple(geobox.shape) or not len(values):
        height_px, width_px = geobox.shape
        raise InputError(
            f"an array of shape {values.shape} does not fit a grid of {height_px} rows and "
            f"{width_px} columns",
            "give (bands, y, x), bands first: values.transpose(2, 0, 1) makes them so",
        )
    values = _storable(values)
    memory, nodata = MemoryRaster(), description.nodata
    # Of four unnamed bands of bytes GDAL takes the last for alpha, as in files; of named ones not.
    is_named = description.names and "alpha" not in description.names
    creation = {"photometric": "MINISBLACK", "ALPHA": "NO"} if is_named else {}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            memory.name,
            "w",
            driver="GTiff",
            count=len(values),
            height=values.shape[1],
            width=values.shape[2],
            dtype=values.dtype,
            crs=crs_of(geobox).to_wkt(),
            transform=geobox.transform,
            nodata=nodata if nodata is not None and in_dtype_range(nodata, values.dtype) else None,
            tiled=True,
            BIGTIFF="IF_SAFER",
            **creation,
        ) as dataset,
    ):
        dataset.write(np.ma.getdata(values))
        if np.ma.is_masked(values):
            dataset.write_mask(~np.ma.getmaskarray(values).any(axis=0))
        for number, name in enumerate(description.names[: len(values)], start=1):
            dataset.set_band_description(number, name)
        if (description.scale, description.offset) != (1.0, 0.0):
            dataset.scales = [description.scale] * len(values)
            dataset.offsets = [description.offset] * len(values)
        dataset.update_tags(**description.tags)
    return RasterInput(memory.name, label, _checksum(values), memory)


def _storable(values: NDArray[Any]) -> NDArray[Any]:
    """Values of a type that a GeoTIFF holds."""
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    if values.dtype == np.longdouble:
        return values.astype(np.float64)
    if values.dtype.kind not in "iufc" or values.dtype.itemsize > 16:
        raise InputError(f"an array of {values.dtype} holds no pixels", "give numbers")
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _checksum(values: NDArray[Any]) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(np.ma.getdata(values)).data)
    if np.ma.is_masked(values):
        digest.update(np.ascontiguousarray(np.ma.getmaskarray(values)).data)
    return f"sha256:{digest.hexdigest()}"


def _delete(name: str) -> None:
    with suppress(RasterioError):  # it was never written
        rasterio.shutil.delete(name)
