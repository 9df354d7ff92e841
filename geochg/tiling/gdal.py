"""How GDAL reads: its settings, and which of its drivers may open a file on this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from functools import lru_cache
from typing import Any

import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError

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
    # What is read of a server is kept once for all that open the raster: measuring, surveys, every
    # reading thread. Ranges that are asked for side by side would pass that cache by.
    "GDAL_HTTP_MULTIRANGE": "SERIAL",
    "CPL_VSIL_CURL_CACHE_SIZE": 128 * 1024 * 1024,
    # The header of most COGs comes in one piece of this size.
    "CPL_VSIL_CURL_CHUNK_SIZE": 32 * 1024,
}

_NOTHING_ENDS_SO = "{no-such-ending}"

_read_addresses: set[str] = set()
"""The addresses that this process has read."""

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


def forget_address(name: str) -> None:
    """Has a raster on a server asked for anew: GDAL would mix a file with the one it replaced.

    Args:
        name: What is going to be read; of names on this machine nothing is kept.
    """
    if not is_remote(name):
        return
    if name in _read_addresses:
        path = name if name.startswith("/vsi") else f"/vsicurl/{name}"
        # What GDAL keeps of an address goes when it is closed under this option.
        # One that is gone meanwhile is an error here; who opens it says so.
        with rasterio.Env(CPL_VSIL_CURL_NON_CACHED=path), suppress(CPLE_BaseError):
            rasterio.shutil.exists(name)
    _read_addresses.add(name)


def drivers_for(name: str) -> list[str]:
    """The drivers that may open a local name; a virtual raster in an archive is seen by nobody."""
    barred = {*_ASKING, "VRT"} if name.startswith((*ARCHIVES, "/vsimem/")) else _ASKING
    return [driver for driver in _driver_names() if driver not in barred]


@lru_cache(maxsize=1)
def _driver_names() -> tuple[str, ...]:
    with rasterio.Env() as env:
        return tuple(env.drivers())
