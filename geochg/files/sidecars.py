"""Files that belong to another one beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_APPENDED = {
    ".gpkg": ("-wal", "-shm", "-journal"),
    ".sqlite": ("-wal", "-shm", "-journal"),
    ".tif": (".aux.xml", ".msk", ".ovr"),
    ".tiff": (".aux.xml", ".msk", ".ovr"),
}
"""What is put behind the whole name, by the suffix of the file."""

_REPLACED = {
    ".shp": (".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix"),
    ".tab": (".dat", ".map", ".id", ".ind"),
    ".mif": (".mid",),
}
"""What stands instead of the suffix."""

ARCHIVES = ("/vsizip/", "/vsitar/", "/vsigzip/", "/vsi7z/", "/vsirar/")
"""How GDAL names what lies in an archive."""

DATABASE_SUFFIXES = ("-wal", "-shm", "-journal")
"""What a program that has a database open, or died with it, keeps beside it."""


def sidecar_files(path: Path, suffix: str = "") -> list[Path]:
    """The files beside a file that belong to it: a log, an index, a mask, statistics.

    Args:
        path: The file, which need not be there.
        suffix: Suffix of its format, where its name has another.
    """
    suffix = (suffix or path.suffix).lower()
    replaced = _REPLACED.get(suffix, ())
    if path.suffix.isupper():
        replaced = tuple(extra_suffix.upper() for extra_suffix in replaced)
    names = [
        *(
            path.with_name(f"{path.name}{extra_suffix}")
            for extra_suffix in _APPENDED.get(suffix, ())
        ),
        *(path.with_suffix(extra_suffix) for extra_suffix in replaced),
    ]
    return [name for name in names if name.is_file()]


def files_behind(name: str) -> list[Path]:
    """The files on this machine of which what is read under a name comes.

    Args:
        name: A file, a folder, or what GDAL takes for one, such as `/vsizip/areas.zip/north.shp`.

    Returns:
        The file with its sidecars, all files in the folder, or the archive; nothing for any other
        name. Without what reading alone changes.
    """
    try:
        path = Path(container(name) or name)
        if path.is_dir():
            files = [file for file in sorted(path.rglob("*")) if file.is_file()]
        else:
            files = [path, *sidecar_files(path)] if path.is_file() else []
        return [file for file in files if not file.name.endswith("-shm") and file.stat().st_size]
    except (OSError, ValueError):  # a name that no file system takes
        return []


def container(name: str) -> str:
    """The archive that a name like `/vsizip/a.zip/b.tif` looks into; empty for others."""
    if not name.startswith(ARCHIVES):
        return ""
    inside = name.split("/", 2)[2]
    # Braces tell where the name of an archive ends that has another suffix.
    braced = re.match(r"\{([^{}]*)\}", inside)
    inner = Path(braced[1] if braced else inside)
    return next((str(path) for path in (inner, *inner.parents) if file_status(path)), "")


GDAL_SIDECAR = ".aux.xml"
"""Suffix of GDAL's own sidecar, into which viewers such as QGIS write statistics."""


def file_states(names: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Path, size and time of the last change of files, by which it is known whether they changed.

    GDAL's own sidecars are left out, and so are names that are no file's on this machine.

    Returns:
        Plain JSON values, once for each name, in their order.
    """
    return [
        {"path": name, "size_bytes": status.st_size, "modified_ns": status.st_mtime_ns}
        for name in dict.fromkeys(map(str, names))
        if not name.endswith(GDAL_SIDECAR) and (status := file_status(name)) is not None
    ]


def file_status(name: str | Path) -> os.stat_result | None:
    """The status of a file on this machine; None for folders and for names that are no file's."""
    try:
        path = Path(name)
        return path.stat() if path.is_file() else None
    except (OSError, ValueError):  # WKT, or a GDAL name that no file system takes
        return None
