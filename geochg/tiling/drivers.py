"""Which of GDAL's drivers may open a file on this machine: none that asks a server."""

from __future__ import annotations

from functools import lru_cache

import rasterio

_ASKING = {
    "WMS",
    "WMTS",
    "WCS",
    "OGCAPI",
    "STACIT",
    "STACTA",
    "PLMOSAIC",
    "EEDA",
    "EEDAI",
    "DAAS",
    "NGW",
    "HTTP",
    "GTI",
    "PostGISRaster",
}
_ARCHIVES = ("/vsizip/", "/vsitar/", "/vsigzip/", "/vsi7z/", "/vsirar/", "/vsimem/")


def drivers_for(name: str) -> list[str]:
    """The drivers that may open a local name; a virtual raster in an archive is seen by nobody."""
    barred = {*_ASKING, "VRT"} if name.startswith(_ARCHIVES) else _ASKING
    return [driver for driver in _known() if driver not in barred]


@lru_cache(maxsize=1)
def _known() -> tuple[str, ...]:
    with rasterio.Env() as env:
        return tuple(env.drivers())
