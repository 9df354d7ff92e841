"""Reports of many changes: seconds, bytes, and how long a browser takes to open them.

    python benchmarks/report.py [--image FILE] [--features 500,5000] [--size 6000]

Changes of irregular outline are put all over a pair of `--size` pixels a side, whose ground is that
of `--image` (else of the example of ponds) side by side, and written as a GeoPackage. Timed is
`geochg report`, the command as it is typed, its start among it; then Chromium, from asking for the
page until its script has run and its first rows are laid out. Processor time is that of all
threads; on a machine that does other things meanwhile it tells more than the clock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import machine
import numpy as np
import pandas as pd
import rasterio
import shapely
from affine import Affine

ROOT = Path(__file__).parent.parent
CLASSES = ("building", "road", "vegetation", "water", "bare", "other")
CHANGES = ("appeared", "disappeared", "altered")


def main() -> None:
    """Prints a row for each number of changes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--image", type=Path, default=ROOT / "examples" / "ponds_2012.tif")
    parser.add_argument("--features", default="500,5000")
    parser.add_argument("--size", type=int, default=6_000)
    arguments = parser.parse_args()
    print(machine.describe())
    print("| Changes | Report | Processor | Size | Opened in Chromium after |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".report-") as name:
        folder = Path(name)
        images = ground(arguments.image, arguments.size, folder)
        for count in map(int, arguments.features.split(",")):
            layer = drawn_layer(count, arguments.size, images, folder / f"{count}.gpkg")
            page, seconds, processor = layer.with_suffix(".html"), [], []
            for _ in range(3):
                start, used = time.perf_counter(), processor_s()
                command = [sys.executable, "-m", "geochg_cli", "report", str(layer)]
                subprocess.run([*command, "-o", str(page)], check=True, stdout=subprocess.DEVNULL)
                seconds.append(time.perf_counter() - start)
                processor.append(processor_s() - used)
            size = page.stat().st_size / 1e6
            print(
                f"| {count:,} | {min(seconds):.1f} s | {min(processor):.1f} s | {size:.1f} MB | "
                f"{opening_s(page, folder):.1f} s |"
            )


def processor_s() -> float:
    """Processor time of the processes that were started and have ended."""
    times = os.times()
    return times.children_user + times.children_system


def ground(image: Path, size_px: int, folder: Path) -> list[Path]:
    """A pair of such a side: the image side by side, and the same darker and with noise."""
    with rasterio.open(image) as dataset:
        pixels = dataset.read([1, 2, 3])
    times = [1, -(-size_px // pixels.shape[1]), -(-size_px // pixels.shape[2])]
    before = np.tile(pixels, times)[:, :size_px, :size_px]
    noise = np.random.default_rng(0).integers(0, 20, before.shape, np.uint8)
    paths = []
    for name, values in (("2020-06-01.tif", before), ("2024-06-01.tif", before // 2 + noise)):
        profile = {"driver": "GTiff", "count": 3, "height": size_px, "width": size_px}
        place = {"crs": "EPSG:32614", "transform": Affine(1, 0, 500_000, 0, -1, 5_200_000)}
        with rasterio.open(
            folder / name, "w", dtype="uint8", tiled=True, compress="deflate", **profile, **place
        ) as dataset:
            dataset.write(values)
        paths.append(folder / name)
    return paths


def drawn_layer(count: int, size_px: int, images: list[Path], path: Path) -> Path:
    """So many changes of 10 to 80 m all over the pair, as a run would write them."""
    from geochg.writers.layers import write_features

    rng = np.random.default_rng(count)
    centers = rng.uniform(100, size_px - 100, (count, 2))
    centers = centers[np.argsort(centers[:, 1])]
    shapes = []
    for x, y in centers:
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        radii = rng.uniform(5, 40) * rng.uniform(0.6, 1.0, 40)
        ring = np.column_stack((x + radii * np.cos(angles), y + radii * np.sin(angles)))
        shapes.append(shapely.Polygon(ring * (1, -1) + (500_000, 5_200_000)))
    numbers = np.arange(count)
    values = {
        "id": numbers + 1,
        "class": pd.array([CLASSES[n % 6] for n in numbers], "string"),
        "change": pd.array([CHANGES[n % 3] for n in numbers], "string"),
        "before_class": pd.array(["low plants"] * count, "string"),
        "after_class": pd.array(["building"] * count, "string"),
        "from_date": pd.array(["2020-06-01"] * count, "string"),
        "to_date": pd.array(["2024-06-01"] * count, "string"),
        "confidence": rng.beta(5, 2, count).round(4),
        "caption": pd.array(
            [
                f"In the north-east of the area, {n} m² of low plants were built on."
                for n in numbers
            ],
            "string",
        ),
        "area_m2": np.round(shapely.area(shapes), 1),
    }
    frame = gpd.GeoDataFrame(values, geometry=shapes, crs="EPSG:32614")
    sources = {
        name: {"path": str(image), "size_bytes": image.stat().st_size, "date": image.stem}
        for name, image in zip(("before", "after"), images, strict=True)
    }
    grid = {
        "crs": "EPSG:32614",
        "transform": [1, 0, 500_000, 0, -1, 5_200_000],
        "width_px": size_px,
        "height_px": size_px,
    }
    write_features(frame, path, {"version": "0.1.0", "sources": sources, "grid": grid})
    return path


def opening_s(page: Path, folder: Path) -> float:
    """The median of three openings, each in a browser of its own."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from chromium import Browser

    seconds = []
    for number in range(3):
        with Browser(folder / f"{page.stem}-{number}") as browser:
            seconds.append(browser.open(page))
            assert browser.messages == []
    return sorted(seconds)[1]


if __name__ == "__main__":
    main()
