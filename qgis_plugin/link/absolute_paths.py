"""Absolute paths of what is named relative to the folder that QGIS runs in.

The worker runs in another folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_SEPARATORS = re.compile(r"""([:"'?])""")
"""What stands around the file in GDAL's names of a part of it: `NETCDF:"a.nc":Band1`."""


def absolute_path(path: str, folder: Path | None = None) -> str:
    """The absolute path of a file, which need not exist.

    Args:
        path: Path, or an empty text, which stays.
        folder: Folder that a relative path starts from; the one QGIS runs in when None.
    """
    if not path or os.path.isabs(path):
        return path
    return os.path.abspath(os.path.join(str(folder), path) if folder else path)


def absolute_gdal_name(name: str) -> str:
    """GDAL's name of a raster, the files in it with absolute paths."""
    if os.path.isabs(name):
        return name
    parts = _SEPARATORS.split(name)
    return "".join(absolute_path(part) if os.path.exists(part) else part for part in parts)
