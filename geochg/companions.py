"""Files that belong to another one beside them."""

from __future__ import annotations

from pathlib import Path

_APPENDED = {
    ".gpkg": ("-wal", "-shm", "-journal"),
    ".sqlite": ("-wal", "-shm", "-journal"),
    ".tif": (".aux.xml", ".msk", ".ovr"),
    ".tiff": (".aux.xml", ".msk", ".ovr"),
}
"""What is put behind the whole name, by the suffix of the file."""

_REPLACED = {".shp": (".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix")}
"""What stands instead of the suffix."""

DATABASE_SUFFIXES = ("-wal", "-shm", "-journal")
"""What a program that has a database open, or died with it, keeps beside it."""


def companions(path: Path, suffix: str = "") -> list[Path]:
    """The files beside a file that belong to it: a log, an index, a mask, statistics.

    Args:
        path: The file, which need not be there.
        suffix: Of its format, where its name has another.
    """
    suffix = (suffix or path.suffix).lower()
    names = [
        *(path.with_name(f"{path.name}{more}") for more in _APPENDED.get(suffix, ())),
        *(path.with_suffix(more) for more in _REPLACED.get(suffix, ())),
    ]
    return [name for name in names if name.is_file()]
