"""Why GDAL does not open a file, and what to give it instead."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from geochg.errors import InputError
from geochg.foreign_text import cleaned

_RASTERS = (".tif", ".tiff", ".jp2", ".img", ".vrt", ".nc", ".png", ".jpg", ".jpeg", ".bil", ".asc")
_KNOWN_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 2000
_FORMATS = (
    ("ECW", (".ecw",), b""),
    ("MrSID", (".sid",), b"msid"),
    ("HDF4", (), b"\x0e\x03\x13\x01"),
    ("HDF5", (), b"\x89HDF\r\n\x1a\n"),
    ("JPEG 2000", (".jp2", ".j2k"), b"\x00\x00\x00\x0cjP  "),
    ("GRIB", (".grb", ".grib", ".grb2"), b"GRIB"),
    ("HEIF", (".heic", ".heif"), b""),
)
"""Formats that not every GDAL reads: names of files and their first bytes."""


def cannot_open(path: Path, name: str, reason: str) -> InputError:
    """The refusal of a file on this machine, told by a look at it.

    Args:
        path: The file.
        name: As its user gave it.
        reason: What GDAL said, fit to be told.
    """
    if path.stat().st_size == 0:
        return InputError(f"{name} is empty", "copy or download it again")
    if not os.access(path, os.R_OK):
        return InputError(f"{name} may not be read", "check its permissions")
    return (
        _archive(path, name)
        or _unknown_format(path, name)
        or InputError(
            f"{name} is not a raster that GDAL can open: {reason}",
            "check it with `rio info`; copy or download it again if it is damaged",
        )
    )


def _archive(path: Path, name: str) -> InputError | None:
    """Names the rasters in an archive as GDAL opens them."""
    head = _head(path)
    if head.startswith((b"7z\xbc\xaf", b"Rar!")):
        return InputError(f"{name} is an archive, not a raster", "unpack it first")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _packed(name, "ZIP", "/vsizip/", iter(archive.namelist()))
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                return _packed(name, "TAR", "/vsitar/", (member.name for member in archive))
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        return InputError(f"the archive {name} is damaged: {cleaned(error)}", "download it again")
    if head.startswith(_GZIP):
        hint = f"unpack it first, or name it /vsigzip/{_absolute(path)}"
        return InputError(f"{name} is packed with gzip", hint)
    return None


def _packed(name: str, kind: str, prefix: str, members: Iterator[str]) -> InputError:
    found = [each for each in islice(members, _MOST_MEMBERS) if each.lower().endswith(_RASTERS)]
    if not found:
        return InputError(f"{name} is a {kind} archive without a raster", "unpack it and look")
    place = _absolute(Path(name))
    if not place.lower().endswith(_KNOWN_ARCHIVES):
        if _head(Path(name)).startswith(_GZIP):
            hint = "unpack it first, or give it a name that ends in .tgz"
            return InputError(f"{name} is a {kind} archive, not a raster", hint)
        # Where a name ends otherwise, GDAL wants to be told where that of the archive ends.
        place = f"{{{place}}}"
    listed = ", ".join(f"{prefix}{place}/{each}" for each in found[:3])
    more = f", ... ({len(found)} in all)" if len(found) > 3 else ""
    return InputError(
        f"{name} is a {kind} archive, not a raster",
        cleaned(f"name a raster in it: {listed}{more}", 600),
    )


def _absolute(path: Path) -> str:
    """A path as GDAL's names of archives take it."""
    return path.as_posix()


def _unknown_format(path: Path, name: str) -> InputError | None:
    head = _head(path)
    for kind, suffixes, magic in _FORMATS:
        if path.suffix.lower() in suffixes or (magic and head.startswith(magic)):
            return InputError(
                f"{name} seems to be {kind}, for which this GDAL has no driver, or one that does "
                "not open it",
                "convert it to GeoTIFF with a program that reads it, such as QGIS (Export > Save "
                "As) or gdal_translate",
            )
    return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)
