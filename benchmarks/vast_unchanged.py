"""A vast pair in which hardly anything changed: time against just reading, and what is found.

    python benchmarks/vast_unchanged.py [--side 16384] [--within PX] [--rounds 1] [--model builtin]

Before is an example image mirrored side by side; after is before with noise of up to two levels,
and a lake of 160 px put on dry ground at a few places. Both are GeoTIFFs in deflated blocks.
`reading` reads all blocks of both with rasterio, in one thread. With `--within` only a square in
the corner is written and is the area of interest (`--side 100000 --within 10000`: 1 % of a sparse
pair); reading is not timed then.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import builtin_speed
import geopandas as gpd
import machine
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window
from shapely import Polygon, box, unary_union

BLOCK_PX = 512
PLACE_PX = 160
PLACES = 12

READ = """
import sys, rasterio
for path in sys.argv[1:]:
    with rasterio.open(path) as raster:
        for _, window in raster.block_windows():
            raster.read(window=window)
"""


def write_pair(
    folder: Path, side_px: int, within_px: int | None = None
) -> tuple[list[str], list[tuple[int, int]]]:
    """Writes the pair; its paths, and row and column of the places that changed."""
    random = np.random.default_rng(0)
    example = builtin_speed.EXAMPLES / "ponds_2012.tif"
    mosaic = builtin_speed.mirrored(example)
    lake, dry = wettest_and_driest(mosaic)
    written_px = min(side_px, within_px or side_px)
    starts = range(0, written_px, BLOCK_PX)
    blocks = [(row, col) for row in starts for col in starts]
    changed = [blocks[i] for i in random.choice(len(blocks), min(PLACES, len(blocks)), False)]
    with rasterio.open(example) as raster:
        colors, bands = raster.colorinterp, raster.descriptions
        profile = raster.profile | {
            "height": side_px,
            "width": side_px,
            "tiled": True,
            "blockxsize": BLOCK_PX,
            "blockysize": BLOCK_PX,
            "compress": "deflate",
            "sparse_ok": True,
            "bigtiff": "if_safer",
        }
    paths = [folder / "before.tif", folder / "after.tif"]
    places = []
    with (
        rasterio.open(paths[0], "w", **profile) as before,
        rasterio.open(paths[1], "w", **profile) as after,
    ):
        for target in (before, after):
            target.colorinterp, target.descriptions = colors, bands
        for row, col in blocks:
            rows, cols = (np.arange(start, min(start + BLOCK_PX, side_px)) for start in (row, col))
            image = mosaic[:, rows % mosaic.shape[1]][:, :, cols % mosaic.shape[2]].astype(np.int16)
            later = image + random.integers(-2, 3, image.shape, np.int16)
            if (row, col) in changed:
                image[:, 64 : 64 + PLACE_PX, 64 : 64 + PLACE_PX] = dry
                later[:, 64 : 64 + PLACE_PX, 64 : 64 + PLACE_PX] = lake
                places.append((row + 64, col + 64))
            window = Window(col, row, len(cols), len(rows))
            before.write(image.astype(np.uint8), window=window)
            after.write(later.clip(1, 255).astype(np.uint8), window=window)
    return [str(path) for path in paths], places


def wettest_and_driest(
    mosaic: NDArray[np.generic],
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """The squares of `PLACE_PX` with the highest and the lowest mean NDWI of green and infrared."""
    green, infrared = (mosaic[band].astype(np.float32) for band in (1, 3))
    index = (green - infrared) / (green + infrared + 1)
    starts = [
        (row, col)
        for row in range(0, index.shape[0] - PLACE_PX, 40)
        for col in range(0, index.shape[1] - PLACE_PX, 40)
    ]
    means = [index[r : r + PLACE_PX, c : c + PLACE_PX].mean() for r, c in starts]
    lake, dry = (
        mosaic[:, r : r + PLACE_PX, c : c + PLACE_PX]
        for r, c in (starts[int(np.argmax(means))], starts[int(np.argmin(means))])
    )
    return lake, dry


def main(side_px: int, within_px: int | None, rounds: int, model: str) -> None:
    """Prints the comparison."""
    print(f"{machine.describe()}; model {model}")
    with tempfile.TemporaryDirectory() as folder:
        pair, places = write_pair(Path(folder), side_px, within_px)
        output = Path(folder) / "changes.geojson"
        with rasterio.open(pair[0]) as raster:
            squares = [_square(raster, *place, PLACE_PX) for place in places]
            area = gpd.GeoSeries([_square(raster, 0, 0, within_px or side_px)], crs=raster.crs)
        area_file = Path(folder) / "area.gpkg"
        area.to_file(area_file)
        aoi = ["--aoi", str(area_file)] if within_px else []
        command = ["-m", "geochg_cli", "analyze", *pair, "--model", model, *aoi]
        runs = [machine.measure(*command, "-o", str(output), "--overwrite") for _ in range(rounds)]
        run = min(runs, key=lambda run: run.seconds)
        print(f"  {side_px:,} px a side: analyze {run.seconds:.1f} s, peak {run.peak_mb:.0f} MB")
        if not within_px:
            reading = min(machine.measure("-c", READ, *pair).seconds for _ in range(rounds))
            print(
                f"  reading {reading:.1f} s; analyze takes {run.seconds / reading:.1f} times that"
            )
        features = gpd.read_file(output).to_crs(area.crs)
    found = sum(bool(features.intersects(square).any()) for square in squares)
    elsewhere = int((~features.intersects(unary_union(squares))).sum())
    print(f"  {found} of {len(squares)} changed places found, {elsewhere} features elsewhere")


def _square(raster: rasterio.DatasetReader, row: int, col: int, side_px: int) -> Polygon:
    left, top = raster.transform @ (col, row)
    right, bottom = raster.transform @ (col + side_px, row + side_px)
    return box(left, bottom, right, top)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=16384, help="pixels along a side")
    parser.add_argument("--within", type=int, help="side of the square that is written, in pixels")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--model", default="builtin")
    arguments = parser.parse_args()
    main(arguments.side, arguments.within, arguments.rounds, arguments.model)
