"""No file makes a request to an address that the user did not type.

A few lines of text, named as one likes, make GDAL ask a server: a VRT of `/vsicurl/`, a service's
XML, a STAC item. Such files are looked through before they are opened; what they name on this
machine is looked through as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from geochg.errors import InputError
from geochg.files.linked_crs import LONGEST_SYSTEM, has_linked_system, is_linked_system

_NETWORK = re.compile(
    r"/vsi(?:curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(?:_streaming)?[/?]", re.IGNORECASE
)
_SERVICES = (
    "wms: wcs: wfs: wmts: oapif: ogcapi: stacit: stacta: plmosaic: plscenes: eeda: eedai: daas: "
    "ngw: http: https: ftp: s3: gs: pg: carto: es: mysql: mssql: postgresql: esrijson: csw:"
).split()
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)

_DOCUMENTS = ("VRTDataset", "OGRVRTDataSource", "PAMDataset", "MRF_META", "GDALDataset")
"""Roots of XML that names files of any kind, each of which is looked at."""

_ASKING = re.compile(r"(GDAL|OGR|WCS|WMS|WMT|WFS|Capabilities)", re.IGNORECASE)
"""Beginnings of roots of XML that describes a service; whatever they hold, they ask it."""

_WORDS = ("SRS", "TargetSRS", "SourceSRS", "Description", "Category", "UnitType", "MDI")
"""Elements that hold words; addresses in them are not fetched, but for some items of metadata."""

_FETCHED_ITEMS = ("OVERVIEW_FILE", "X_DATASET", "Y_DATASET", "MASK_FILE")
_SOURCES = ("SourceFilename", "SourceDataset", "SrcDataSource", "DataFile", "Source")
_STEPS = "gdal_streamed_alg"
"""What GDAL knows a file by that holds commands of its own, which read and fetch what they like."""

_INDEXES = (".gti", ".gti.gpkg", ".gti.fgb", ".gti.geojson")
_HEAD_BYTES = 8192
_WRAPPERS = (b"loadGeoJSON(", b"jsonp(")
"""What GDAL takes off JSON that was made for a script of a page."""

_WRAPPED = re.compile(r"^(?:loadGeoJSON|jsonp)\((.*?)\)?;?\s*$", re.DOTALL)
_LARGEST = 256 * 2**20
_PIECE_BYTES = 2**24
_HINT = "give the address itself, or add --allow-remote if you trust the file with what it asks for"


def is_remote(name: str) -> bool:
    """Whether a name leads off this machine: an address, or the name of a service."""
    low = name.strip().lower()
    return (
        _ADDRESS.match(low) is not None
        or _NETWORK.search(low) is not None
        or low.startswith(tuple(_SERVICES))
    )


def refuse_remote(name: str, *, allow: bool = False) -> None:
    """Does nothing unless a file on this machine would make GDAL ask another.

    Args:
        name: As the user gave it; where it is remote itself, that is what the user wants.
        allow: Whether the user trusts files with it.

    Raises:
        InputError: If the file, or one that it names, leads off this machine.
    """
    if allow or is_remote(name):
        return
    checked_names: set[str] = set()
    waiting = [name]
    while waiting:
        file = waiting.pop()
        if file in checked_names:
            continue
        checked_names.add(file)
        for inner in _named_by(file, name):
            if is_remote(inner):
                shown_name = _NETWORK.sub("", inner.strip()).partition("?")[0][:100]
                raise InputError(
                    f"{_short_name(name)} names a source elsewhere: {shown_name}", _HINT
                )
            waiting.append(inner)


def refuse_remote_item(name: str, item: str, *, allow: bool = False) -> None:
    """As `refuse_remote`, of what metadata in a raster names.

    Args:
        name: The raster.
        item: What is named; may be empty.
        allow: Whether the user trusts files with it.
    """
    if item and not allow and not is_remote(name):
        if is_remote(item):
            raise InputError(f"{_short_name(name)} names a source elsewhere", _HINT)
        refuse_remote(item)


def _short_name(name: str) -> str:
    return name if len(name) <= 200 else f"{name[:60]}..."


def _named_by(name: str, first: str) -> Iterator[str]:
    """What a file, or a document given as text, names; nothing for files of pixels."""
    if name.lstrip().startswith("<"):
        yield from _named_in(name, None, first)
        return
    if name.lower().endswith(_INDEXES):
        raise InputError(
            f"{_short_name(first)} is an index of tiles, which may lie anywhere", _HINT
        )
    for part in (name, *_inner(name)):
        path = Path(part)
        text = _text(path)
        if text:
            yield from _named_in(text, path.parent, first)
        sidecar = _text(path.with_name(f"{path.name}.aux.xml")) if path.name else ""
        if sidecar:
            yield from _named_in(sidecar, path.parent, first)


def _inner(name: str) -> list[str]:
    """The file in a name of GDAL's like `NETCDF:"a.nc":band`."""
    return re.findall(r'"([^"]+)"', name) or re.findall(r"^[A-Za-z0-9_]{2,}:(.+?)(?::\w+)?$", name)


def _text(path: Path) -> str:
    """The text of a file that is a document; empty for any other, and for what is no file."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            start = re.sub(rb"^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)|\0", b"", head).lstrip()
            if start[:1] not in (b"<", b"{") and not start.startswith(_WRAPPERS):
                return ""
            is_large = path.stat().st_size > _LARGEST
            if is_large and start[:1] == b"<":
                raise InputError(
                    f"{_short_name(str(path))} is a document of more than 256 MB", _HINT
                )
            # Too much JSON to be parsed whole: its pieces are searched for a linked CRS, and the
            # head alone tells what else it is.
            if is_large and any(map(has_linked_system, _pieces(file, head))):
                raise _linked_system_error(str(path))
            content = head if is_large else head + file.read()
    except (OSError, ValueError):  # no name that a file system takes, or not to be read
        return ""
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    return content.decode("utf-16" if wide else "utf-8-sig", "replace")


def _pieces(file: BinaryIO, head: bytes) -> Iterator[str]:
    """The ASCII of a file in pieces, which overlap by as much as a CRS may be long."""
    while next_piece := file.read(_PIECE_BYTES):
        piece = head + next_piece
        yield piece.replace(b"\0", b"").decode("ascii", "replace")
        head = piece[-LONGEST_SYSTEM:]


def _named_in(text: str, folder: Path | None, first: str) -> Iterator[str]:
    """What a document names."""
    start = text.lstrip("\ufeff \t\r\n")
    if not start.startswith("<"):
        start = _WRAPPED.sub(r"\1", start)
        _refuse_items(start, first)
        return
    try:
        root = ElementTree.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", start))
    except ElementTree.ParseError:
        # GDAL's own reader is more lenient than ours: nothing that leads away may stand in it.
        yield from (match[0] for match in _NETWORK.finditer(text))
        yield from re.findall(r">\s*(https?://[^<]*)<", text)
        return
    tag = root.tag.rpartition("}")[2]
    if tag not in _DOCUMENTS:
        if _ASKING.match(tag):
            raise InputError(f"{_short_name(first)} describes a service to be asked ({tag})", _HINT)
        return
    for element in root.iter():
        yield from _named_by_element(element, folder)


def _named_by_element(element: ElementTree.Element, folder: Path | None) -> Iterator[str]:
    text = (element.text or "").strip()
    if element.tag in _WORDS and element.get("key", "") not in _FETCHED_ITEMS:
        return
    yield from (value for value in [text, *element.attrib.values()] if value and is_remote(value))
    if text and (element.tag in _SOURCES or element.get("key", "") in _FETCHED_ITEMS):
        relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
        relative = relative or element.tag == "DataFile"
        is_path = not text.startswith(("<", "/"))
        yield str(folder / text) if relative and folder is not None and is_path else text


def _refuse_items(text: str, first: str) -> None:
    """Refuses JSON that GDAL follows: STAC items, steps to take, and references elsewhere."""
    if _STEPS in text:
        raise InputError(f"{_short_name(first)} holds steps for GDAL to take, and no shapes", _HINT)
    systems: list[object] = []

    def note_system(members: dict[str, object]) -> dict[str, object]:
        systems.extend(value for name, value in members.items() if name.lower() == "crs")
        return members

    try:
        content = json.loads(text, object_hook=note_system)
    except (ValueError, RecursionError):
        # GDAL's own reader is more lenient than ours, with comments for one.
        if has_linked_system(text):
            raise _linked_system_error(first) from None
        return
    if not isinstance(content, dict):
        return
    if "stac_version" in content:
        raise stac_item(first, content)
    if any(map(is_linked_system, systems)):
        raise _linked_system_error(first)
    if "refs" in content or "tileMatrixSet" in content:
        raise InputError(
            f"{_short_name(first)} lists pieces of files, which may lie anywhere", _HINT
        )


def _linked_system_error(name: str) -> InputError:
    return InputError(
        f"{_short_name(name)} names its coordinate reference system by an address",
        "name it by its code, or add --allow-remote if you trust the file",
    )


def stac_item(name: str, content: dict[str, object]) -> InputError:
    """The refusal of a STAC item, with the assets it has."""
    assets = content.get("assets")
    entries = assets.items() if isinstance(assets, dict) else ()
    asset_names = [
        f"{key}: {str(asset['href'])[:120]}"
        for key, asset in entries
        if isinstance(asset, dict) and "href" in asset
    ]
    return InputError(
        f"{_short_name(name)} is a STAC item, which describes rasters and is none",
        f"give one of its assets: {', '.join(asset_names[:4])}"
        if asset_names
        else "give one of its assets",
    )
