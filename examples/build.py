"""Cuts the example pairs out of the full imagery they come from.

    python examples/build.py FOLDER

`FOLDER` holds `naip_series_nd/` and `s2_pairs/dubai/` as their publishers give them. The pairs in
this folder were written by this script; see README.md here for their sources and licences.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

BANDS = ("red", "green", "blue", "nir")
HERE = Path(__file__).parent
ONE_FILE = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": 256,
    "blockysize": 256,
    "compress": "deflate",
    "predictor": 2,
    "zlevel": 9,
}


def write(name: str, sources: list[tuple[Path, int]], acquired: str, credit: str) -> None:
    """Stacks one band of each source into a GeoTIFF whose bands say what they are."""
    planes = []
    for path, number in sources:
        with rasterio.open(path) as source:
            planes.append(source.read(number))
            profile = source.profile | ONE_FILE | {"count": len(BANDS), "interleave": "pixel"}
    with rasterio.open(HERE / name, "w", **profile) as target:
        target.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir]
        target.descriptions = BANDS
        target.write(np.stack(planes))
        target.update_tags(TIFFTAG_DATETIME=f"{acquired} 00:00:00", TIFFTAG_COPYRIGHT=credit)


def main(folder: Path) -> None:
    """Writes both pairs."""
    for year, day in (("2012", "2012:07:31"), ("2014", "2014:07:20")):
        (path,) = (folder / "naip_series_nd").glob(f"*_{year}*.tif")
        sources = [(path, number) for number in (1, 2, 3, 4)]
        write(f"ponds_{year}.tif", sources, day, "USDA NAIP, public domain")
    for side, year, day in (("imgs_1", "2015", "2015:12:11"), ("imgs_2", "2018", "2018:03:30")):
        paths = [
            next((folder / "s2_pairs" / "dubai" / side).glob(f"*_{band}.tif"))
            for band in ("B04", "B03", "B02", "B08")
        ]
        credit = f"Contains modified Copernicus Sentinel data {year}"
        write(f"dubai_{year}.tif", [(path, 1) for path in paths], day, credit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
