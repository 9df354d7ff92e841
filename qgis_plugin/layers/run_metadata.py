"""What geochg keeps in the file of a result about its run, by which it knows its own layers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from osgeo import gdal

_KEY = "geochg"
"""Name of the item, as `geochg/writers/recognition.py` has it."""

_FLATGEOBUF_START, _FLATGEOBUF_FIELD = b"fgb", 13
"""First bytes of a FlatGeobuf, and the number of the field `metadata` in its header."""


def run_metadata(path: Path, layer: str = "") -> str:
    """The JSON text about the run in a file that geochg wrote; empty where there is none.

    Args:
        path: File of a GeoPackage, GeoJSON or FlatGeobuf.
        layer: Name of the layer; empty for the first.
    """
    with suppress(OSError, ValueError, struct.error):
        with path.open("rb") as file:
            head = file.read(12)
            if head.startswith(_FLATGEOBUF_START):
                # GDAL reads it in later versions only.
                header = file.read(struct.unpack_from("<I", head, 8)[0])
                return str(json.loads(_flatgeobuf_metadata(header) or "{}").get(_KEY, ""))
        return _metadata_by_gdal(path, layer)
    return ""


def write_run_metadata(path: Path, layer: str, text: str) -> None:
    """Keeps the text about a run in a layer of a GeoPackage, as geochg itself does."""
    with _quiet_gdal():
        dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR | gdal.OF_UPDATE)
        target = dataset.GetLayerByName(layer) if dataset is not None else None
        if target is not None:
            target.SetMetadataItem(_KEY, text)


def _metadata_by_gdal(path: Path, layer: str) -> str:
    options = ["NATIVE_DATA=YES"]
    with _quiet_gdal():
        dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR, open_options=options)
        if dataset is None:
            return ""
        source = dataset.GetLayerByName(layer) if layer else dataset.GetLayer(0)
        if source is None:
            return ""
        if text := source.GetMetadataItem(_KEY):
            return str(text)
        native = json.loads(source.GetMetadataItem("NATIVE_DATA", "NATIVE_DATA") or "{}")
    return json.dumps(native[_KEY], ensure_ascii=False) if _KEY in native else ""


def _flatgeobuf_metadata(header: bytes) -> str:
    """The field `metadata` of a FlatGeobuf's header, which is a table of FlatBuffers."""

    def number(kind: str, position: int) -> Any:  # noqa: ANN401
        return struct.unpack_from(f"<{kind}", header, position)[0]

    table = number("I", 0)
    fields = table - number("i", table)
    place = 4 + 2 * _FLATGEOBUF_FIELD
    offset = number("H", fields + place) if place < number("H", fields) else 0
    if not offset:
        return ""
    start = table + offset + number("I", table + offset)
    return header[start + 4 : start + 4 + number("I", start)].decode("utf-8")


@contextmanager
def _quiet_gdal() -> Iterator[None]:
    """Keeps GDAL from writing to the terminal; where it raises errors, they count as none."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        with suppress(RuntimeError):
            yield
    finally:
        gdal.PopErrorHandler()
