"""Absolute paths of what is named relative to the folder that QGIS runs in.

The worker runs in another folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_ARCHIVES = re.compile(r"(?:/vsi(?:zip|tar|gzip|7z|rar|sparse|subfile)/(?:[\d_]+,)?\{?)+")
"""GDAL's prefixes of files within files on this machine."""

_SEPARATORS = re.compile(r"""([:"'?|])""")
"""What stands around the file in GDAL's names of a part of it: `NETCDF:"a.nc":Band1`."""

_ADDRESS = re.compile(r"(?:\w+:)?[a-zA-Z][a-zA-Z0-9+]*://")
"""How GDAL's names of what lies on a server begin; one within a file has a dot before `://`."""

_VRT = "vrt://"


def absolute_path(path: str, folder: Path | None = None) -> str:
    """The absolute path of a file, which need not exist.

    Args:
        path: Path, or an empty text, which stays.
        folder: Folder that a relative path starts from; the one QGIS runs in when None.
    """
    if not path or os.path.isabs(path):
        return path
    return os.path.abspath(os.path.join(str(folder), path) if folder else path)


def absolute_gdal_name(name: str, folder: Path | None = None) -> str:
    """GDAL's name of a raster, with the absolute path of its file.

    The worker has the same rule for programs that leave it to it (`geochg/worker/paths.py`), and
    one table of names tests both.

    Args:
        name: GDAL's name of the raster.
        folder: Folder that a relative path starts from; the one QGIS runs in when None.
    """
    if name.startswith(_VRT):
        path, mark, settings = name[len(_VRT) :].partition("?")
        return f"{_VRT}{absolute_gdal_name(path, folder)}{mark}{settings}"
    if archive := _ARCHIVES.match(name):
        return name[: archive.end()] + absolute_gdal_name(name[archive.end() :], folder)
    # On Windows, GDAL's own file systems are not absolute to Python.
    is_elsewhere = name.lstrip().startswith(("<", "/vsi")) or _ADDRESS.match(name.lstrip())
    if os.path.isabs(name) or is_elsewhere:
        return name
    if ":" in name and not _is_there(name, folder):
        parts = _SEPARATORS.split(name)
        return "".join(_absolute_if_there(part, folder) for part in parts)
    return absolute_path(name, folder)


def _absolute_if_there(text: str, folder: Path | None) -> str:
    """A text that may name a file: the absolute path if there is such a file."""
    is_name = bool(text) and text not in (".", "..") and not _SEPARATORS.fullmatch(text)
    return absolute_path(text, folder) if is_name and _is_there(text, folder) else text


def _is_there(path: str, folder: Path | None) -> bool:
    return os.path.exists(os.path.join(str(folder), path) if folder else path)
