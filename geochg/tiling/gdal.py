"""How GDAL reads: its settings, and which of its drivers may open a file on this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import rasterio

from geochg.files.remote_files import is_remote
from geochg.files.sidecars import ARCHIVES

GDAL_OPTIONS = {
    # A bounded block cache, in bytes, keeps memory flat however large the raster; it holds the
    # rows of blocks that overlapping tiles read twice.
    "GDAL_CACHEMAX": 128 * 1024 * 1024,
    # An MRF of another raster else keeps what is read of that in files beside itself.
    "MRF_BYPASSCACHING": "YES",
    # Masks, overviews and world files beside a raster on this machine are looked for by name;
    # listing a folder of a million files is not worth its time. Beside one on a server nothing is
    # looked for: see `gdal_settings`.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    "VSI_CACHE": "TRUE",
}

_NOTHING_ENDS_SO = "{no-such-ending}"

_ASKING = {
    *("WMS", "WMTS", "WCS", "OGCAPI", "STACIT", "STACTA", "PLMOSAIC", "EEDA", "EEDAI", "DAAS"),
    *("NGW", "HTTP", "GTI", "PostGISRaster"),
}


def gdal_settings(name: str = "", *, fetches: bool = True) -> AbstractContextManager[Any]:
    """How GDAL reads while it lasts, in this thread; its block cache is the whole process's.

    Args:
        name: What is read; empty for all that a run reads.
        fetches: Whether files may be fetched from other machines.
    """
    # Guards what a look into the files has missed: GDAL then opens no file behind an address.
    settings = {} if fetches else {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": _NOTHING_ENDS_SO}
    if is_remote(name):
        # A server may answer each guess at a mask's name with a page, or with one without end.
        settings["GDAL_DISABLE_READDIR_ON_OPEN"] = "EMPTY_DIR"
    env: AbstractContextManager[Any] = rasterio.Env(**{**GDAL_OPTIONS, **settings})
    return env


def drivers_for(name: str) -> list[str]:
    """The drivers that may open a local name; a virtual raster in an archive is seen by nobody."""
    barred = {*_ASKING, "VRT"} if name.startswith((*ARCHIVES, "/vsimem/")) else _ASKING
    return [driver for driver in _driver_names() if driver not in barred]


@lru_cache(maxsize=1)
def _driver_names() -> tuple[str, ...]:
    with rasterio.Env() as env:
        return tuple(env.drivers())
