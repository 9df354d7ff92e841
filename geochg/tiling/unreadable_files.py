"""Why GDAL does not open a file, and what to give it instead."""

from __future__ import annotations

import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rasterio.errors import RasterioIOError

from geochg.errors import InputError
from geochg.files.remote_files import stac_item
from geochg.files.sidecars import container
from geochg.files.sqlite import lock_error
from geochg.safety.untrusted_text import cleaned, without_secrets

_RASTERS = (".tif", ".tiff", ".jp2", ".img", ".vrt", ".nc", ".png", ".jpg", ".jpeg", ".bil", ".asc")
_KNOWN_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 2000
_LARGEST_TEXT = 64 * 2**20
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


def open_error(name: str, error: Exception) -> InputError:
    """The error that says why GDAL failed; looks at the file system only after it did."""
    if isinstance(error, RasterioIOError) and ("://" in name or name.startswith("/vsi")):
        shown_name, archive = without_secrets(name), container(name)
        if archive:
            return _archived_error(Path(archive), shown_name, cleaned(error))
        return InputError(f"cannot open {shown_name}: {cleaned(error)}", "check the address")
    if isinstance(error, UnicodeEncodeError):
        return InputError(f"the name {name} is not UTF-8, which GDAL needs", "rename the file")
    if len(name) > 1000:
        return InputError(f"{name[:60]}... is no name of a raster", "check the path")
    try:
        return _local_error(name, cleaned(error).removeprefix(f"'{name}' "))
    except OSError as refused:  # a name longer than file systems take, a share that is gone
        return InputError(f"{name} cannot be opened: {cleaned(refused)}", "check the path")


def _local_error(name: str, reason: str) -> InputError:
    """The error of what should be a file, as the file system tells."""
    file = Path(name)
    if "database is locked" in reason:
        return lock_error(name)
    if not name.strip():
        return InputError("the name of a raster is empty", "give its path")
    if file.is_dir():
        return InputError(f"{name} is a folder, not a raster", "name the raster file in it")
    if file.is_file():
        return _file_error(file, name, reason)
    return InputError(f"{name} does not exist", "check the path")


def _file_error(path: Path, name: str, reason: str) -> InputError:
    """The error of a file on this machine, from a look at it."""
    if path.stat().st_size == 0:
        return InputError(f"{name} is empty", "copy or download it again")
    if not os.access(path, os.R_OK):
        return InputError(f"{name} may not be read", "check its permissions")
    return (
        _whole_archive_error(path, name)
        or _text_error(path, name)
        or _stac_error(path, name)
        or _format_error(path, name)
        or InputError(
            f"{name} is not a raster that GDAL can open: {reason}",
            "check it with `rio info`; copy or download it again if it is damaged",
        )
    )


def _archived_error(archive: Path, name: str, reason: str) -> InputError:
    """The error of what is named within an archive on this machine."""
    if name.lower().endswith(".vrt"):
        return InputError(
            f"{name} is a virtual raster in an archive, which is not looked through",
            "unpack the archive first, or name one of the rasters that it is made of",
        )
    try:
        archive_error = _whole_archive_error(archive, str(archive))
    except OSError as error:
        return InputError(f"{name} cannot be opened: {cleaned(error)}", "check its permissions")
    hint = archive_error.hint if archive_error else "check the path within the archive"
    return InputError(f"cannot open {name}: {reason}", hint)


def _whole_archive_error(path: Path, name: str) -> InputError | None:
    """The error of an archive, which names its rasters as GDAL opens them; None for other files."""
    head = _head(path)
    if head.startswith((b"7z\xbc\xaf", b"Rar!")):
        return InputError(f"{name} is an archive, not a raster", "unpack it first")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _archive_error(name, "ZIP", "/vsizip/", iter(archive.namelist()))
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                return _archive_error(name, "TAR", "/vsitar/", (member.name for member in archive))
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        return InputError(f"the archive {name} is damaged: {cleaned(error)}", "download it again")
    if head.startswith(_GZIP):
        hint = f"unpack it first, or name it /vsigzip/{path.as_posix()}"
        return InputError(f"{name} is packed with gzip", hint)
    return None


def _archive_error(name: str, kind: str, prefix: str, members: Iterator[str]) -> InputError:
    members_listed = [
        member for member in islice(members, _MOST_MEMBERS) if member.lower().endswith(_RASTERS)
    ]
    if not members_listed:
        return InputError(f"{name} is a {kind} archive without a raster", "unpack it and look")
    archive_path = Path(name).as_posix()
    if not archive_path.lower().endswith(_KNOWN_ARCHIVES):
        if _head(Path(name)).startswith(_GZIP):
            hint = "unpack it first, or give it a name that ends in .tgz"
            return InputError(f"{name} is a {kind} archive, not a raster", hint)
        # Where a name ends otherwise, GDAL wants to be told where that of the archive ends.
        archive_path = f"{{{archive_path}}}"
    listed_members = ", ".join(f"{prefix}{archive_path}/{member}" for member in members_listed[:3])
    further_text = f", ... ({len(members_listed)} in all)" if len(members_listed) > 3 else ""
    return InputError(
        f"{name} is a {kind} archive, not a raster",
        cleaned(f"name a raster in it: {listed_members}{further_text}", 600),
    )


def _format_error(path: Path, name: str) -> InputError | None:
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


def _text_error(path: Path, name: str) -> InputError | None:
    """A text that lies where an image was to be: a page of a portal, a pointer of Git LFS."""
    text = _head(path, 200).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return InputError(
            f"{name} is a web page, not a raster",
            "the download went wrong or wants a login: open it in a browser, and download it again",
        )
    if text.startswith(b"version https://git-lfs"):
        return InputError(
            f"{name} is a pointer of Git LFS, not the raster itself", "fetch it with git lfs pull"
        )
    if text.startswith((b"<?xml", b"<error")) and b"<error>" in text:
        return InputError(
            f"{name} is the error message of a server, not a raster", "read it, and download again"
        )
    return None


def _stac_error(path: Path, name: str) -> InputError | None:
    """What a search of a STAC catalogue gives: several items in one file."""
    if not _head(path).lstrip().startswith(b"{") or path.stat().st_size > _LARGEST_TEXT:
        return None
    try:
        items = json.loads(path.read_bytes()).get("features")
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        return None
    return stac_item(name, items[0]) if "stac_version" in items[0] else None


def _head(path: Path, count: int = 16) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
