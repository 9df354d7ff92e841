"""Time of `geochg series` on 68 Sentinel-2 dates of 101 x 100 pixels, each a block of its own.

    python benchmarks/series_times.py ../shared/data/eolearn_s2_series

The folder holds `NDVI.npy`, `CLM.npy` (1 under cloud), `timestamps.json` and `bbox.geojson` of
eo-learn's example patch. They are written as 68 GeoTIFFs, so that opening and reading files counts.
Reading and watching are timed apart; the table gives medians of three runs, on the clock and of all
processor cores together, which says more where other programs run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import machine
import numpy as np
import rasterio
from rasterio.transform import from_bounds

from geochg.events import Event, Progress
from geochg.timeseries.options import SeriesOptions
from geochg.timeseries.series import SeriesResult, series

RUNS = 3
OPTIONS = SeriesOptions(block="1", land_cover=False)


def write_dates(data: Path, folder: Path) -> list[Path]:
    """Writes the dates as files of one band, not-a-number under clouds."""
    values, clouds = (np.load(data / f"{name}.npy")[..., 0] for name in ("NDVI", "CLM"))
    times = json.loads((data / "timestamps.json").read_text(encoding="utf-8"))
    bounds = json.loads((data / "bbox.geojson").read_text(encoding="utf-8"))
    corners = np.array(bounds["coordinates"][0])
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    height, width = values.shape[1:]
    paths = []
    for number, (date, cloud, moment) in enumerate(zip(values, clouds, times, strict=True)):
        path = folder / f"{number:02}.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=1,
            height=height,
            width=width,
            dtype="float32",
            crs="EPSG:32633",
            transform=from_bounds(west, south, east, north, width, height),
            nodata=np.nan,
        ) as dataset:
            dataset.write(np.where(cloud > 0, np.nan, date).astype(np.float32), 1)
            dataset.descriptions = ("ndvi",)
            dataset.update_tags(ACQUISITIONDATETIME=moment)
        paths.append(path)
    return paths


def timed(paths: list[Path]) -> tuple[float, float, float, SeriesResult]:
    """Seconds until all dates are read, in all, and of the processor; and the result."""
    read: list[float] = []
    start, processor_start = time.perf_counter(), time.process_time()

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "dates" and event.done == event.total:
            read.append(time.perf_counter() - start)

    result = series(paths, OPTIONS, listener=listen)
    processor_s = time.process_time() - processor_start
    return read[0], time.perf_counter() - start, processor_s, result


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of eo-learn's example patch")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_dates(arguments.data, Path(folder))
        runs = [timed(paths) for _ in range(RUNS)]
    reading_s = statistics.median(run[0] for run in runs)
    total_s = statistics.median(run[1] for run in runs)
    processor_s = statistics.median(run[2] for run in runs)
    facts = runs[0][3].metadata["series"]
    print(machine.describe())
    print(f"{len(paths)} dates, {facts['watching']['count']:,} blocks of 1 px")
    print("| stage | seconds |\n|---|---|")
    print(f"| opening and reading | {reading_s:.1f} |")
    print(f"| breaks and features | {total_s - reading_s:.1f} |")
    print(f"| all | {total_s:.1f} |")
    print(f"| all, of the processor | {processor_s:.1f} |")
    print(f"breaks {facts['status'].get('break', 0):,}, scores {facts['scores']}")


if __name__ == "__main__":
    main()
