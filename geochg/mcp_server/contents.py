"""Files that say of others where they lie: looked through before GDAL opens them.

A raster in the folders of the server may be made by anyone, and a few lines of text make GDAL read
any file of the machine. So of the formats only those are opened that hold their pixels and shapes
themselves, told by their first bytes, and virtual rasters that place such files beside and over
each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from geochg.errors import InputError
from geochg.mcp_server.folders import AllowedFolders

_RASTERS = (
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF, BigTIFF
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"),
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),  # JPEG 2000
)
_SHAPES = {
    ".geojson": (b"{",),
    ".json": (b"{",),
    ".gpkg": (b"SQLite format 3\0",),
    ".fgb": (b"fgb\3",),
    ".shp": (b"\0\0\x27\x0a",),
    ".parquet": (b"PAR1",),
    ".geoparquet": (b"PAR1",),
}
"""First bytes of vector files by suffix."""

RASTER_SUFFIXES = (".tif", ".tiff", ".jp2", ".j2k", ".png", ".jpg", ".jpeg", ".vrt")
"""Suffixes of rasters that calls list; others are told by their first bytes too."""

SHAPE_SUFFIXES = tuple(_SHAPES)

_APPENDED = (".aux.xml", ".ovr", ".msk", ".msk.ovr", ".ovr.msk")
_REPLACED = (
    *(".aux", ".tfw", ".tifw", ".tiffw", ".wld", ".j2w", ".jp2w", ".pgw", ".pngw", ".jgw"),
    *(".jpgw", ".jpegw", ".prj", ".rpb", ".imd", ".shx", ".dbf", ".cpg", ".sbn", ".sbx", ".qix"),
)
"""What GDAL looks for beside a file, behind its whole name and instead of its suffix."""

_TAGS = frozenset(
    "VRTDataset SRS GeoTransform Metadata MDI VRTRasterBand Description UnitType Offset Scale "
    "CategoryNames Category ColorTable Entry ColorInterp NoDataValue HideNoDataValue SimpleSource "
    "ComplexSource SourceFilename SourceBand SourceProperties SrcRect DstRect NODATA LUT "
    "ScaleRatio ScaleOffset UseMaskBand MaskBand OverviewList BlockXSize BlockYSize Histograms "
    "HistItem HistMin HistMax BucketCount IncludeOutOfRange Approximate HistCounts".split()
)
_ATTRIBUTES = frozenset(
    "rasterXSize rasterYSize dataType band blockXSize blockYSize relativeToVRT shared RasterXSize "
    "RasterYSize DataType BlockXSize BlockYSize xOff yOff xSize ySize dataAxisToSRSAxisMapping "
    "coordinateEpoch key domain resampling c1 c2 c3 c4".split()
)
"""What a mosaic is written with. GDAL takes much else, and attributes for elements."""

_NAMING = re.compile(r"OVERVIEW_FILE|[XY]_DATASET|MASK_FILE|GEOLOCATION|SourceFilename|/vsi", re.I)
"""What metadata name other files by."""

_LARGEST_BYTES = 16 * 2**20
_MOST_FILES = 10_000
_HEAD_BYTES = 64


def check_raster(path: Path, folders: AllowedFolders) -> None:
    """Refuses a raster that is not all within the folders, or whose format may lead out of them.

    Args:
        path: The file, without links.
        folders: The folders.

    Raises:
        InputError: If it is one.
    """
    waiting, checked_files = [path], set()
    while waiting:
        file = waiting.pop()
        if file in checked_files:
            continue
        checked_files.add(file)
        if len(checked_files) > _MOST_FILES:
            raise InputError(f"{path} names more than {_MOST_FILES:,} files", "give a smaller one")
        _check_sidecars(file, folders)
        head = _head(file)
        if head.startswith(_RASTERS):
            continue
        if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise InputError(
                f"{file} is none of the rasters that calls may name",
                "give a GeoTIFF, JPEG 2000, PNG, JPEG or a virtual mosaic of such; others go when"
                " the server is started with --allow-raster NAME",
            )
        waiting += _mosaic_files(file, folders)


def check_shapes(path: Path, folders: AllowedFolders) -> None:
    """Refuses a vector file whose content is not what its suffix says, and links beside it.

    Raises:
        InputError: If it is one.
    """
    _check_sidecars(path, folders)
    heads = _SHAPES.get(path.suffix.lower())
    head = _head(path).removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n") or b"-"
    if heads is None or not (head.startswith(heads) or _head(path).startswith(heads)):
        raise InputError(
            f"{path} is none of the vector files that calls may name",
            f"give one of {', '.join(_SHAPES)} that is one",
        )


def check_files(path: Path, files: Iterator[str] | set[str], folders: AllowedFolders) -> None:
    """Refuses a raster of which GDAL says that some of its files lie outside of the folders.

    Raises:
        InputError: If it is one.
    """
    if any(not folders.holds(file) for file in files):
        raise _leading_out(path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "check the file") from error


def _leading_out(path: Path) -> InputError:
    return InputError(
        f"{path} names files outside the folders of the server",
        "give a raster that is all within them, or start the server with that folder too",
    )


def _check_sidecars(path: Path, folders: AllowedFolders) -> None:
    """Refuses links out of the folders beside a file, and metadata that names other files."""
    names = [f"{path.name}{suffix}" for suffix in _APPENDED]
    names += [f"{path.stem}{suffix}" for suffix in _REPLACED]
    names += [f"{path.stem}{suffix.upper()}" for suffix in _REPLACED]
    for name in names:
        sidecar = path.with_name(name)
        if not sidecar.is_file():
            continue
        if not folders.holds(sidecar):
            raise _leading_out(path)
        if name.lower().endswith(".aux.xml") and _NAMING.search(_text(sidecar)):
            raise InputError(f"{sidecar} names other files", "remove it, or give another raster")
        if name.lower().endswith((".ovr", ".msk")) and not _head(sidecar).startswith(_RASTERS):
            raise InputError(f"{sidecar} is no TIFF", "remove it, or give another raster")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"{path} is a document of more than 16 MB", "give a smaller one")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path} is no text in UTF-8", "give another raster") from error


def _mosaic_files(path: Path, folders: AllowedFolders) -> Iterator[Path]:
    """The files that a virtual raster places, which holds nothing else that GDAL follows."""
    for element in _mosaic(path).iter():
        if unknown := next(
            (name for name in element.attrib if name not in _ATTRIBUTES),
            element.tag if element.tag not in _TAGS else "",
        ):
            raise InputError(
                f"{path} is a virtual raster with {unknown}, which calls may not name",
                "give one that only places rasters, as gdalbuildvrt writes it, or a GeoTIFF",
            )
        words = [element.text or "", *element.attrib.values()]
        if element.tag == "SourceFilename":
            yield _source_of(path, element, folders)
        elif any(map(_NAMING.search, words)):
            raise _leading_out(path)


def _mosaic(path: Path) -> ElementTree.Element:
    """The document of a virtual raster.

    Comments, entities and the like are refused: GDAL's reader may take them otherwise than ours.
    """
    text = _text(path)
    refusal = InputError(f"{path} is no plain virtual raster", "give one of gdalbuildvrt's")
    body = re.sub(r"\A\s*<\?xml[^?<>]*\?>", "", text)
    if "<!" in body or "<?" in body:
        raise refusal
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise refusal from None
    if root.tag != "VRTDataset":
        raise refusal
    return root


def _source_of(path: Path, element: ElementTree.Element, folders: AllowedFolders) -> Path:
    """The file of a source, which must be a plain path within the folders."""
    name = (element.text or "").strip()
    relative = element.get("relativeToVRT", "0")
    is_relative = relative == "1"
    is_doubtful = relative not in ("0", "1") or not (is_relative or Path(name).is_absolute())
    if len(element) or is_doubtful:
        raise _leading_out(path)
    # Written from the folder of the virtual raster, as GDAL joins them.
    upwards = str(path.parent / name) if is_relative else name
    try:
        return folders.file(_without_steps_up(upwards))
    except InputError:
        raise _leading_out(path) from None


def _without_steps_up(name: str) -> str:
    """A path with `..` resolved where no link stands before it."""
    parts: list[str] = []
    for part in Path(name).parts:
        if part == "..":
            if Path(*parts).is_symlink() or len(parts) < 2:
                return name
            parts.pop()
        else:
            parts.append(part)
    return str(Path(*parts))
