"""Whether geochg wrote a file, told by the mark that each of its writers leaves."""

from __future__ import annotations

import json
import re
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from geochg.files.table_columns import (
    BATCH_AREA_COLUMNS,
    BATCH_SCENE_COLUMNS,
    FROM_TO_COLUMNS,
    PERIOD_COLUMNS,
    ZONE_COLUMNS,
)
from geochg.options import VERSION_KEY

METADATA_KEY = "geochg"
"""Under this name a file carries where it came from."""

PARQUET_SUFFIXES = (".parquet", ".geoparquet")
"""Suffixes of GeoParquet, which pyarrow reads and writes."""

OBSERVATION_COLUMNS = ("place", "zone", "x", "y", "date", "valid_share")
"""The first columns of a table of observations, by which one in CSV is known."""

_HEAD_BYTES = 1 << 20
_OPENING = re.compile(r"\s*\{")
_MEMBER = re.compile(r'\s*,?\s*("(?:[^"\\]|\\.)*")\s*:\s*')
_SCORES = re.compile(
    r"\A# (?:Scores of `[^\n]*`|Accuracy of the change layer)\r?\n\r?\ngeochg \S+\r?\n"
)
_PAGE = re.compile(r'<meta name="generator" content="geochg [^"<>]*">')
_TABLE = re.compile(r"\A\| run \|")


def is_ours(path: Path) -> bool:
    """Whether geochg wrote what lies there, or nothing is in it.

    A GeoPackage is judged by its layers, see `geopackage`.

    Args:
        path: A file; its suffix tells what geochg would have written.

    Raises:
        OSError: If it cannot be read.
    """
    if path.stat().st_size == 0:
        return True
    recognise = _MARKS.get(path.suffix.lower())
    try:
        return recognise is not None and recognise(path)
    except (ValueError, RecursionError):  # another content than its name tells
        return False


def _has_geojson_mark(path: Path) -> bool:
    """Whether the collection has a member `geochg` before its features, as we write it."""
    text = _head(path)
    for name, start in json_members(text):
        if name == METADATA_KEY:
            return text.startswith("{", start)
        if name == "features":
            return False
    return False


def json_members(text: str) -> Iterator[tuple[str, int]]:
    """Names of the members of an object in JSON, which may be cut off, and where each value begins.

    Raises:
        ValueError: Once the members are over that can be read.
        RecursionError: If a value is nested too deep.
    """
    opening, decoder = _OPENING.match(text), json.JSONDecoder()
    position = opening.end() if opening else len(text)
    while match := _MEMBER.match(text, position):
        yield json.loads(match[1]), match.end()
        _, position = decoder.raw_decode(text, match.end())


def _has_json_mark(path: Path) -> bool:
    """A layer, or the table of a sweep: rows that each name their run."""
    if _has_geojson_mark(path):
        return True
    rows = json.loads(_head(path))
    return isinstance(rows, list) and all(isinstance(row, dict) and "run" in row for row in rows)


def _has_flatgeobuf_mark(path: Path) -> bool:
    if not _head_bytes(path).startswith(b"fgb"):
        return False  # another format of its name, which GDAL would open all the same
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        metadata = pyogrio.read_info(path)["layer_metadata"]
    # An IndexError: a damaged file opens, and holds no layer.
    except (DataSourceError, DataLayerError, IndexError):
        return False
    return METADATA_KEY in (metadata or {})


def _has_parquet_mark(path: Path) -> bool:
    import pyarrow
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_schema(path).metadata
    except pyarrow.ArrowException:
        return False
    return METADATA_KEY.encode() in (metadata or {})


def _has_raster_mark(path: Path) -> bool:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path, driver="GTiff") as raster:
                return METADATA_KEY in raster.tags()
        except RasterioError:
            return False


def _has_picture_mark(path: Path) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return METADATA_KEY in picture.info
    except (UnidentifiedImageError, SyntaxError):
        return False


def _has_options_mark(path: Path) -> bool:
    return VERSION_KEY in tomllib.loads(_head(path))


def _has_lines_mark(path: Path) -> bool:
    """The first line of what a model said tells its kind."""
    first = json.loads(_head(path).partition("\n")[0])
    return isinstance(first, dict) and str(first.get("kind", "")).startswith("geochg ")


def _has_tables_mark(path: Path) -> bool:
    head = _head(path)
    return bool(_SCORES.match(head) or _TABLE.match(head))


def _has_page_mark(path: Path) -> bool:
    return _PAGE.search(_head(path)) is not None


def _has_table_head(path: Path) -> bool:
    """Whether the first line of a table names the columns of one of ours.

    Of observations the first ones do: the others are those of the images.
    """
    first_line = _head(path).partition("\n")[0].rstrip("\r")
    if first_line.startswith(",".join(OBSERVATION_COLUMNS)):
        return True
    heads = (ZONE_COLUMNS, FROM_TO_COLUMNS)
    series_heads = ((*PERIOD_COLUMNS, *head) for head in heads)
    all_heads = (*heads, *series_heads, BATCH_AREA_COLUMNS, BATCH_SCENE_COLUMNS)
    return first_line in {",".join(head) for head in all_heads}


def _head(path: Path) -> str:
    return _head_bytes(path).decode("utf-8-sig", "replace")


def _head_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


_MARKS: dict[str, Callable[[Path], bool]] = {
    ".geojson": _has_geojson_mark,
    ".json": _has_json_mark,
    ".fgb": _has_flatgeobuf_mark,
    **dict.fromkeys(PARQUET_SUFFIXES, _has_parquet_mark),
    ".tif": _has_raster_mark,
    ".tiff": _has_raster_mark,
    ".png": _has_picture_mark,
    ".toml": _has_options_mark,
    ".jsonl": _has_lines_mark,
    ".csv": _has_table_head,
    ".md": _has_tables_mark,
    ".html": _has_page_mark,
    ".htm": _has_page_mark,
}
