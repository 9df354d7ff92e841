"""How long it takes to sum changes up by zone, and what memory that takes.

Draws square zones over 100 km, reads them from a file in degrees, and sums round changes up in
them, of which about a third cross a border:

    python benchmarks/zones.py [--zones 10000] [--changes 100000]
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import psutil
import shapely
from machine import describe

from geochg.features.zone_table import ZoneTable
from geochg.features.zones import ground_areas, read_zones

CRS = 32633
SIDE_M = 100_000
CORNER = np.array((500_000, 5_000_000))
FRAME_ROWS = 2_000


def write_zones(path: Path, count: int) -> int:
    """Writes a lattice of at least so many square zones in longitude and latitude."""
    side = math.ceil(math.sqrt(count))
    step_m = SIDE_M / side
    cols, rows = np.meshgrid(np.arange(side), np.arange(side))
    west, south = CORNER[0] + cols.ravel() * step_m, CORNER[1] + rows.ravel() * step_m
    squares = shapely.box(west, south, west + step_m, south + step_m)
    names = [f"zone {number}" for number in range(side * side)]
    frame = gpd.GeoDataFrame({"name": names}, geometry=shapely.segmentize(squares, 50), crs=CRS)
    frame.to_crs(4326).to_file(path)
    return side * side


def changes(count: int) -> gpd.GeoDataFrame:
    """So many round changes of 10 to 200 m radius, two classes and two land covers."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, SIDE_M, (count, 2)) + CORNER
    shapes = shapely.buffer(shapely.points(places), rng.uniform(10, 200, count), quad_segs=6)
    values = {
        "class": rng.choice(["building", "road"], count),
        "change": "appeared",
        "before_class": rng.choice(["bare", "woody"], count),
        "after_class": "building",
    }
    frame = gpd.GeoDataFrame(values, geometry=shapes, crs=CRS)
    return frame.assign(area_m2=ground_areas(frame.geometry.to_numpy(), frame.crs).round(1))


def main() -> None:
    """Prints times, memory, and how far the sums are from the layer's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=100_000)
    settings = parser.parse_args()
    print(describe())
    ground = shapely.box(*CORNER, *(CORNER + SIDE_M))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zones.gpkg"
        count = write_zones(path, settings.zones)
        start = time.perf_counter()
        zones = read_zones(str(path), CRS, ground)
        print(f"{count} zones read in {time.perf_counter() - start:.1f} s")
    frame = changes(settings.changes)
    process = psutil.Process()
    before_mb = most_mb = process.memory_info().rss / 1e6
    start = time.perf_counter()
    table = ZoneTable(zones)
    for first in range(0, len(frame), FRAME_ROWS):
        table.add(frame.iloc[first : first + FRAME_ROWS])
        most_mb = max(most_mb, process.memory_info().rss / 1e6)
    rows = table.rows()
    print(f"{len(frame)} changes summed up in {time.perf_counter() - start:.1f} s")
    print(f"memory: {before_mb:.0f} MB before, {most_mb:.0f} MB at most")
    shared = int(rows["count"].sum()) - len(frame)
    difference = abs(rows["area_m2"].sum() - frame["area_m2"].sum())
    print(f"{len(rows)} rows, {shared} parts beyond the first of a change")
    print(f"off by {difference:.1f} of {frame['area_m2'].sum():.0f} m²")


if __name__ == "__main__":
    main()
