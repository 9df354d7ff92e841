"""Vector files: one layer of them, and of that layer what has an area."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from geochg.errors import InputError
from geochg.extras import require_packages
from geochg.files.sidecars import sidecar_files
from geochg.files.sqlite import has_locks, lock_error
from geochg.files.text_file import decoded_text, is_wide
from geochg.geometry.polygons_only import areas
from geochg.safety.untrusted_text import without_secrets

if TYPE_CHECKING:
    import geopandas as gpd

VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".fgb", ".shp", ".parquet", ".geoparquet")
"""Suffixes of files that hold shapes whatever else may be asked of them."""

_PARQUET = (".parquet", ".geoparquet")
_MOST_LISTED = 20
_LOCKED = "database is locked"
_SETTINGS = {"GML_DOWNLOAD_SCHEMA": False, "GML_DOWNLOAD_WFS_SCHEMA": False}
"""GML tells its own fields and shapes; its schema is not asked for where it names one."""


@dataclass(frozen=True)
class LayerName:
    """A layer of a vector file, as it is named on the command line and as QGIS writes it.

    Attributes:
        file: The file, folder or GDAL name.
        layer: Name of the layer; empty where none is named.
        number: Number of the layer, from 0; None where none is given.
        subset: A condition in SQL that its features fulfil; empty for all of them.
    """

    file: str
    layer: str = ""
    number: int | None = None
    subset: str = ""

    @classmethod
    def of(cls, text: str) -> LayerName:
        """Reads `FILE`, `FILE|layername=x`, `FILE|layerid=1`, with `|subset=...` behind it.

        Raises:
            InputError: If something else stands behind the file.
        """
        file, *parts = text.split("|")
        parameters = {}
        for number, part in enumerate(parts):
            key, separator, value = part.partition("=")
            key = key.strip().lower()
            if key == "subset":  # the rest, whatever it holds
                parameters[key] = "|".join([value, *parts[number + 1 :]])
                break
            if not separator or key not in ("layername", "layerid", "geometrytype"):
                raise InputError(
                    f"{part!r} behind {file} names no layer", "write it as FILE|layername=NAME"
                )
            parameters[key] = value
        layer_id = parameters.get("layerid", "")
        if layer_id and not layer_id.isdecimal():
            raise InputError(f"{layer_id!r} is no number of a layer", "write FILE|layername=NAME")
        return cls(
            file=file,
            layer=parameters.get("layername", ""),
            number=int(layer_id) if layer_id else None,
            subset=parameters.get("subset", ""),
        )


def file_of(text: str) -> str:
    """The file of what may name a layer too; the text itself where it is no such name."""
    return text.partition("|")[0] if _is_file(text.partition("|")[0]) else text


def is_there(text: str) -> bool:
    """Whether what may name a layer too names a file that is there, or one that only GDAL knows."""
    return text.startswith("/vsi") or _is_file(file_of(text))


def is_vector_name(text: str) -> bool:
    """Whether a name is that of a vector file by its suffix, with or without a layer."""
    file, _, layer = text.partition("|")
    names_layer = layer.lower().startswith(("layername=", "layerid="))
    return names_layer or Path(file).suffix.lower() in VECTOR_SUFFIXES


def read_areas(text: str, *, columns: list[str] | None = None) -> tuple[gpd.GeoDataFrame, str]:
    """Reads what has an area from one layer of a vector file.

    Args:
        text: The file, with `|layername=NAME` behind it where it has several layers.
        columns: Fields to read; None for all.

    Returns:
        Features with valid polygons and multipolygons, and what was left out, in words.

    Raises:
        InputError: If the file cannot be read, its layer is not told, it has no CRS, or nothing in
            it has an area.
    """
    import shapely

    frame = read_layer(text, columns)
    shown_name = without_secrets(text)
    if getattr(frame, "crs", None) is None:
        raise InputError(
            f"{shown_name} has no coordinate reference system",
            "assign one, for example in QGIS with Layer > Set CRS, and save it again",
        )
    polygons, note = areas(frame.geometry.to_numpy())
    frame = frame.set_geometry(polygons, crs=frame.crs)
    frame = frame[shapely.area(polygons) > 0]
    if frame.empty:
        raise InputError(f"{shown_name} has no polygon with an area", "give polygons")
    return frame, f"{shown_name}: {note}" if note else ""


def read_layer(layer: str | LayerName, columns: list[str] | None = None) -> gpd.GeoDataFrame:
    """Reads all features of one layer of a vector file.

    Args:
        layer: The file, with `|layername=NAME` behind it where it has several layers.
        columns: Fields to read; None for all.

    Raises:
        InputError: If the file cannot be read, or its layer is not told.
    """
    import geopandas
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError
    from shapely.errors import ShapelyError

    pyogrio.set_gdal_config_options(_SETTINGS)
    if isinstance(layer, LayerName):
        name = layer
    else:
        name = LayerName(layer) if _is_file(layer) else LayerName.of(layer)
    try:
        if Path(name.file).suffix.lower() in _PARQUET:
            require_packages("parquet", "pyarrow")
            return geopandas.read_parquet(name.file)
        try:
            return _frame(name, _source(name.file), columns)
        except DataSourceError as error:
            if not _is_without_locks(name.file, error):
                raise
            with TemporaryDirectory(prefix="geochg-") as folder:
                copy = shutil.copyfile(name.file, Path(folder) / "copy.gpkg")
                return _frame(name, str(copy), columns)
    # ShapelyError: a ring that is not closed, or of too few points.
    except (DataSourceError, DataLayerError, ShapelyError, OSError, ValueError) as error:
        if _LOCKED in str(error):
            raise lock_error(name.file) from error
        raise InputError(
            f"{without_secrets(name.file)} is not a vector file that GDAL can open",
            f"check the path and the file ({' '.join(str(error).split())[:200]})",
        ) from error


def field_text(value: object) -> str:
    """The value of a field as text; empty where there is none.

    A GIS makes numbers of names that are numbers, and fractions of these where some are missing.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return "" if value is None or text in ("nan", "<NA>", "NaT") else text


def _frame(name: LayerName, source: str | bytes, columns: list[str] | None) -> gpd.GeoDataFrame:
    import pyogrio

    with _nothing_beside(name.file), warnings.catch_warnings():
        # What GDAL mends by itself, and columns of mixed kinds, are no news to anyone.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        layer = _layer(name, source)
        return pyogrio.read_dataframe(
            source,
            # GeoJSON has one layer; that of a text may be called otherwise than its file's.
            layer=0 if isinstance(source, bytes) else layer,
            columns=columns,
            where=name.subset or None,
        )


def _is_without_locks(file: str, error: Exception) -> bool:
    """Whether GDAL did not open a database because it lies on a network folder without locks."""
    path = Path(file)
    is_refused = any(reason in str(error) for reason in (_LOCKED, "disk I/O error"))
    if not is_refused or not path.is_file() or has_locks(path.resolve().parent):
        return False
    # What another program has not written into the file itself yet would be missing.
    return not sidecar_files(path, ".gpkg")


def _source(file: str) -> str | bytes:
    """The file, or the text of GeoJSON in UTF-16, which GDAL cannot read; it may be no text."""
    path = Path(file)
    if not path.is_file():
        return file
    with path.open("rb") as stream:
        if not is_wide(stream.read(4)):
            return file
    text = decoded_text(path.read_bytes())
    # Nothing else, such as a document that names further sources.
    return text.encode() if text.lstrip().startswith("{") else file


@contextmanager
def _nothing_beside(file: str) -> Iterator[None]:
    """Removes what GDAL writes beside GML to read it faster another time."""
    schema_file = Path(file).with_suffix(".gfs") if Path(file).suffix else None
    is_ours = schema_file is not None and _is_file(file) and not schema_file.exists()
    try:
        yield
    finally:
        if is_ours and schema_file is not None:
            schema_file.unlink(missing_ok=True)


def _layer(name: LayerName, source: str | bytes) -> str | None:
    """The layer that is named, or the only one; tables without shapes do not count."""
    listed_layers = _layers(name.file, source)
    layers = [str(layer) for layer, kind in listed_layers if kind is not None]
    first = layers[0] if layers else ""
    hint = f"its layers are {_listed_layers(layers)}; write FILE|layername={first}"
    shown_name = without_secrets(name.file)
    if name.layer:
        if name.layer not in layers:
            raise InputError(f"{shown_name} has no layer {name.layer!r}", hint)
        return name.layer
    if name.number is not None:
        if name.number >= len(listed_layers):
            raise InputError(f"{shown_name} has no layer number {name.number}", hint)
        return str(listed_layers[name.number][0])
    if len(layers) > 1:
        raise InputError(f"{shown_name} has {len(layers)} layers and none is named", hint)
    if not layers:
        raise InputError(f"{shown_name} has no layer with shapes", "give polygons")
    return layers[0]


def _layers(file: str, source: str | bytes) -> list[tuple[str, str | None]]:
    """Names of the layers, and the kinds of their shapes; None for tables."""
    import pyogrio

    listed_layers = [(str(layer), kind) for layer, kind in pyogrio.list_layers(source)]
    if isinstance(source, str):
        return listed_layers
    # Where GeoJSON does not name its layer, its file does; pyogrio makes a name up for a text.
    return [
        (Path(file).stem if layer.startswith("pyogrio_") else layer, kind)
        for layer, kind in listed_layers
    ]


def _listed_layers(layers: list[str]) -> str:
    further_text = f" and {len(layers) - _MOST_LISTED} more" if len(layers) > _MOST_LISTED else ""
    return ", ".join(layers[:_MOST_LISTED]) + further_text


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or with characters none may have
        return False
