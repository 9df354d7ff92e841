"""Reading and tiling alone, against a plain rasterio loop over the same windows.

    python benchmarks/reading.py [SIDE_PX]

Each way runs in a process of its own, in turn, five times; the table gives the medians.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import machine
import rasterio
from rasterio.windows import Window
from scenes import write_pair

from geochg.options import AnalyzeOptions
from geochg.tiling.layout import Layout
from geochg.tiling.pair import open_pair
from geochg.tiling.read import read_ahead

RUNS = 5
OPTIONS = AnalyzeOptions()


def plain(before: Path, after: Path) -> None:
    """Opens both rasters and reads each window of each."""
    with rasterio.open(before) as a, rasterio.open(after) as b:
        layout = Layout(a.height, a.width, OPTIONS.tile_size_px, OPTIONS.tile_overlap_px)
        for tile in layout:
            read = tile.read
            window = Window(read.col_start, read.row_start, read.width_px, read.height_px)
            a.read(window=window)
            b.read(window=window)


def geochg(before: Path, after: Path) -> None:
    """Reads the tiles as `analyze` does: float32, validity, two threads."""
    pair = open_pair(before, after, OPTIONS, "all")
    for _ in read_ahead(pair.plan(), pair.layout(OPTIONS), 2):
        pass


def main(side_px: int) -> None:
    """Prints the comparison."""
    times: dict[str, list[float]] = {"plain": [], "geochg": []}
    with tempfile.TemporaryDirectory() as folder:
        pair = write_pair(Path(folder), side_px)
        for _ in range(RUNS):
            for way, seconds in times.items():
                run = machine.measure(__file__, way, *map(str, pair))
                seconds.append(float(run.stdout))
    tiles = len(Layout(side_px, side_px, OPTIONS.tile_size_px, OPTIONS.tile_overlap_px))
    print(machine.describe())
    for way, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{way:8} {median:7.2f} s  {tiles / median:7.1f} tiles/s")
    ratio = statistics.median(times["geochg"]) / statistics.median(times["plain"])
    print(f"geochg takes {ratio:.2f} times as long as the plain loop")


if __name__ == "__main__":
    if sys.argv[1:2] in (["plain"], ["geochg"]):
        start = time.perf_counter()
        {"plain": plain, "geochg": geochg}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
        print(time.perf_counter() - start)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 8192)
