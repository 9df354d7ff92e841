"""From a table of features to a file: GeoJSON, GeoPackage, FlatGeobuf, GeoParquet.

The same tables and metadata give the same bytes. Files are composed in memory, table by table where
the format allows it, and then written by Python or SQLite: GDAL, writing to a full disk, may leave
half a file and say nothing.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import OptionError
from geochg.geometry.geodesy import map_polygons
from geochg.safety.untrusted_text import printable
from geochg.writers.geopackage import append_layer
from geochg.writers.recognition import METADATA_KEY

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pyarrow import Table

_EPOCH = "1970-01-01T00:00:00Z"
_GEOJSON_END = b"\n]\n}\n"
_JSON_COLUMNS = ("probabilities", "count")
"""Columns whose text is that of JSON objects."""

_TEXT_MARK = "\ufdd0"
"""Keeps GDAL from reading a text in brackets as JSON: no character, so that no text holds it."""


def write_features(
    frame: GeoDataFrame,
    path: Path,
    metadata: Mapping[str, Any],
    *,
    layer: str = "changes",
    in_order: bool = False,
) -> None:
    """Writes a layer of one table, see `write_frames`.

    Args:
        frame: The table.
        path: Where to write.
        metadata: Plain JSON values.
        layer: The layer's name, in formats that have one.
        in_order: Whether FlatGeobuf goes without its spatial index, which sorts the features.
    """
    if in_order and path.suffix.lower() == ".fgb":
        content = _named_layer(
            "FlatGeobuf", _printable(frame), metadata, layer, layer_options={"SPATIAL_INDEX": "NO"}
        )
        path.write_bytes(content)
        return
    write_frames([frame], path, metadata, layer=layer)


def write_frames(
    frames: Iterable[GeoDataFrame],
    path: Path,
    metadata: Mapping[str, Any],
    *,
    layer: str = "changes",
) -> None:
    """Writes a layer in the format its suffix stands for.

    `.geojson` and `.json` follow RFC 7946 (EPSG:4326, 7 decimals, polygons cut at the
    antimeridian); `.gpkg`, `.fgb`, `.parquet` and `.geoparquet` keep the table's CRS. Columns that
    hold lists are arrays in GeoJSON and GeoParquet, JSON text in the others; the JSON text of
    `probabilities` and `count` is an object in GeoJSON. All other text stays text.

    Args:
        frames: Polygons or multipolygons with a CRS: one table, which may be empty, or several with
            the same columns, of which none is. Columns of dtype object hold lists of text, and text
            has dtype `string`. All but FlatGeobuf are written table by table; if there are
            multipolygons in a GeoPackage, there are some in its first table.
        path: Where to write; what is there is replaced.
        metadata: Plain JSON values; a member `geochg` of the GeoJSON collection, JSON text under
            the key `geochg` of the layer's or the file's metadata elsewhere.
        layer: The layer's name, in formats that have one.

    Raises:
        OptionError: If the suffix is not known.
        OSError: If the file cannot be written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise OptionError(
            f"cannot tell the format of {path}", f"known suffixes: {', '.join(LAYER_SUFFIXES)}"
        )
    write(map(_printable, frames), path, metadata, layer)


def _write_geojson(
    frames: Iterable[GeoDataFrame], path: Path, metadata: Mapping[str, Any], layer: str
) -> None:
    """Puts the features of further tables behind those of the first.

    The layer has no name here: GDAL would take it for the file's.
    """
    start = b""
    for frame in frames:
        content = _geojson(frame, metadata)
        if not start:
            start = _geojson(frame.iloc[:0], metadata).removesuffix(_GEOJSON_END)
            path.write_bytes(content)
            continue
        if not (content.startswith(start) and content.endswith(_GEOJSON_END)):
            raise OSError("GDAL composes GeoJSON in a way that geochg does not know")
        with path.open("r+b") as file:
            file.seek(-len(_GEOJSON_END), os.SEEK_END)
            file.write(b",\n" + content[len(start) :])


def _geojson(frame: GeoDataFrame, metadata: Mapping[str, Any]) -> bytes:
    """A collection of the features of one table."""
    geometry = map_polygons(frame.geometry.to_numpy(), frame.crs)
    placed_frame = frame.set_geometry(frame.geometry.set_crs(4326, allow_override=True))
    placed_frame[placed_frame.geometry.name] = geometry
    texts = [name for name in _text_columns(frame) if name not in _JSON_COLUMNS]
    placed_frame = placed_frame.assign(
        **{name: frame[name].str.replace(r"^(?=[\[{])", _TEXT_MARK, regex=True) for name in texts}
    )
    options = {
        "RFC7946": "YES",
        "WRITE_NAME": "NO",
        "NATIVE_DATA": _json({METADATA_KEY: dict(metadata)}),
        "NATIVE_MEDIA_TYPE": "application/vnd.geo+json",
    }
    content = _with_gdal(placed_frame, "GeoJSON", geometry_type="Unknown", layer_options=options)
    return content.replace(_TEXT_MARK.encode(), b"")


def _write_geopackage(
    frames: Iterable[GeoDataFrame], path: Path, metadata: Mapping[str, Any], layer: str
) -> None:
    """Puts the rows of further tables behind those of the first.

    GDAL could do so itself, but not in folders without file locks.
    """
    part, geometry_type = path.with_name(f"{path.name}.part.gpkg"), ""
    for frame in frames:
        content = _named_layer("GPKG", frame, metadata, layer, geometry_type)
        if not geometry_type:
            geometry_type = _geometry_type(frame)
            path.write_bytes(content)
            continue
        part.write_bytes(content)
        try:
            append_layer(path, part, layer)
        finally:
            part.unlink()


def _write_flatgeobuf(
    frames: Iterable[GeoDataFrame], path: Path, metadata: Mapping[str, Any], layer: str
) -> None:
    """All tables at once: the index comes first in the file."""
    path.write_bytes(_named_layer("FlatGeobuf", _concatenated(frames), metadata, layer))


def _geometry_type(frame: GeoDataFrame) -> str:
    """The type of all shapes of a layer: multipolygons as soon as one of them is."""
    return "MultiPolygon" if (frame.geom_type == "MultiPolygon").any() else "Polygon"


def _named_layer(
    driver: str,
    frame: GeoDataFrame,
    metadata: Mapping[str, Any],
    layer: str,
    geometry_type: str = "",
    layer_options: Mapping[str, str] | None = None,
) -> bytes:
    """A layer whose format names it and has but one type of shapes.

    The type is that of its own shapes where none is given.
    """
    geometry_type = geometry_type or _geometry_type(frame)
    return _with_gdal(frame, driver, layer, metadata, geometry_type, layer_options)


def _write_geoparquet(
    frames: Iterable[GeoDataFrame], path: Path, metadata: Mapping[str, Any], layer: str
) -> None:
    """Without the description of the pandas table, which names versions and the index.

    The file is composed in memory, where it is small: its columns are compressed.
    """
    from pyarrow.parquet import ParquetWriter

    content, writer, facts = io.BytesIO(), None, dict[str, Any]()
    for frame in frames:
        table = _arrow_table(frame)
        geo = json.loads(table.schema.metadata[b"geo"])
        facts = facts or _without_extent(geo)
        kept_metadata = {"geo": json.dumps(facts), METADATA_KEY: _json(metadata)}
        if writer is None:
            schema = table.schema.with_metadata(kept_metadata)
            writer = ParquetWriter(content, schema, compression="zstd")
        writer.write_table(table.replace_schema_metadata(kept_metadata))
        _add_extent(facts, geo)
    if writer is not None:
        writer.add_key_value_metadata({"geo": json.dumps(facts)})
        writer.close()
    path.write_bytes(content.getvalue())


def _without_extent(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What GeoParquet says of a file whose types and bounds of shapes are not known yet."""
    columns = {name: {**column, "geometry_types": []} for name, column in facts["columns"].items()}
    for column in columns.values():
        column.pop("bbox", None)
    return {**facts, "columns": columns}


def _add_extent(facts: dict[str, Any], part_facts: Mapping[str, Any]) -> None:
    """Adds types and bounds of the shapes of a part to those of a GeoParquet file."""
    for name, part in part_facts["columns"].items():
        column = facts["columns"][name]
        column["geometry_types"] = sorted({*column["geometry_types"], *part["geometry_types"]})
        if "bbox" in part:
            former, added = column.get("bbox", part["bbox"]), part["bbox"]
            low = map(min, former[:2], added[:2])
            column["bbox"] = [*low, *map(max, former[2:], added[2:])]


def _arrow_table(frame: GeoDataFrame) -> Table:
    """A table as geopandas writes it to GeoParquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    drafted = io.BytesIO()
    frame.to_parquet(drafted, index=False)
    table = pq.read_table(drafted)
    # A column of nothing but empty lists, or of nothing at all, has lost what its lists hold.
    lists = _list_columns(frame)
    text_list = pa.list_(pa.string())
    fields = [
        field.with_type(text_list) if field.name in lists else field for field in table.schema
    ]
    return table.cast(pa.schema(fields, metadata=table.schema.metadata))


def _concatenated(frames: Iterable[GeoDataFrame]) -> GeoDataFrame:
    """All tables as one."""
    import pandas as pd

    first, *others = frames
    return pd.concat([first, *others], ignore_index=True) if others else first


_Writer = Callable[[Iterable["GeoDataFrame"], Path, Mapping[str, Any], str], None]

_WRITERS: dict[str, _Writer] = {
    ".geojson": _write_geojson,
    ".json": _write_geojson,
    ".gpkg": _write_geopackage,
    ".fgb": _write_flatgeobuf,
    ".parquet": _write_geoparquet,
    ".geoparquet": _write_geoparquet,
}
LAYER_SUFFIXES = tuple(_WRITERS)
"""Suffixes `write_frames` knows."""

NAMED_SUFFIXES = (".gpkg", ".fgb")
"""Those of formats in which a layer has a name."""


_OTHER_ID = "geochg_fid"
"""Column of a GeoPackage's own numbers where its user has one named `fid`."""


def _with_gdal(
    frame: GeoDataFrame,
    driver: str,
    layer: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    geometry_type: str = "Unknown",
    layer_options: Mapping[str, str] | None = None,
) -> bytes:
    """Composes a file with GDAL, which takes lists as JSON text."""
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    content = io.BytesIO()
    lists = {name: frame[name].map(json.dumps).astype("string") for name in _list_columns(frame)}
    options = dict(layer_options or {})
    if driver == "GPKG" and any(str(name).lower() == "fid" for name in frame.columns):
        # A GeoPackage numbers its features in a column `fid`: one of the user's is kept beside it.
        options.setdefault("FID", _OTHER_ID)
    try:
        with _time_stopped():
            pyogrio.write_dataframe(
                frame.assign(**lists),
                content,
                driver=driver,
                layer=layer,
                geometry_type=geometry_type,
                promote_to_multi=geometry_type.startswith("Multi"),
                layer_metadata=None if metadata is None else {METADATA_KEY: _json(metadata)},
                layer_options=options,
            )
    except (DataSourceError, DataLayerError) as error:
        raise OSError(str(error)) from error
    return content.getvalue()


def _printable(frame: GeoDataFrame) -> GeoDataFrame:
    """The table with texts of models as they can be stored in any format."""
    texts = {
        name: frame[name].map(printable, na_action="ignore").astype("string")
        for name in _text_columns(frame)
    }
    return frame.assign(**texts)


@contextmanager
def _time_stopped() -> Iterator[None]:
    """Has GDAL write 1970 wherever it would write the time."""
    import pyogrio

    key = "OGR_CURRENT_DATE"
    former = pyogrio.get_gdal_config_option(key)
    pyogrio.set_gdal_config_options({key: _EPOCH})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({key: former})


def _text_columns(frame: GeoDataFrame) -> list[str]:
    return [name for name in frame.columns if frame[name].dtype == "string"]


def _list_columns(frame: GeoDataFrame) -> list[str]:
    return [name for name in frame.columns if frame[name].dtype == object]


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
