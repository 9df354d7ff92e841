"""The built-in model end to end: tiles a second where nothing changed and on busy scenes.

    python benchmarks/builtin_speed.py [--model builtin] [--side 24] [--rounds 1]

The scenes are made of the example pairs, mirrored side by side without seams. `busy` is a pair as
it is; `nothing changed` is the earlier date twice, with the noise of a sensor; of `1 tile in 16`
every fourth block along each side shows the later date. Pixels of 10 m are
shown twice as large, so that a tile takes longer; that scene has half as many blocks of 256 px
along a side. The clock covers the whole command, captions and writing included. `first batch` is
how long after the start of Python the first tiles were answered, in a run of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import machine
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

EXAMPLES = Path(__file__).parents[1] / "examples"


class Scene(NamedTuple):
    """A scene to be made.

    Attributes:
        dates: Files of the example pair.
        changed_every: Every how many-th block along each side shows the later date; 0 for none.
        part: The blocks along a side, as a share of `--side`.
    """

    dates: tuple[str, str]
    changed_every: int
    part: float = 1


PONDS, DUBAI = ("ponds_2012.tif", "ponds_2014.tif"), ("dubai_2015.tif", "dubai_2018.tif")
SCENES = {
    "5 m, nothing changed": Scene(PONDS, 0),
    "5 m, 1 tile in 16": Scene(PONDS, 4),
    "5 m, busy": Scene(PONDS, 1),
    "10 m, busy": Scene(DUBAI, 1, 0.5),
}

TILE_PX = 256
NOISE = 0.01
"""Standard deviation of the noise, as a share of a value."""

FIRST = """
import sys, time, geochg
from geochg.events import Progress
def tell(event):
    if isinstance(event, Progress) and event.stage == "tiles" and event.done:
        print(time.time() - float(sys.argv[4]), flush=True)
        raise SystemExit
options = geochg.AnalyzeOptions(model=sys.argv[3], overlap_px=0)
geochg.analyze(*sys.argv[1:3], options, listener=tell)
"""


def main(model: str, side: int, rounds: int) -> None:
    """Prints the table."""
    print(machine.describe())
    print(f"model {model}, best of {rounds}")
    print("  scene                 tiles  tiles/s    whole run  first batch  peak memory  changes")
    with tempfile.TemporaryDirectory() as folder:
        for name, scene in SCENES.items():
            blocks = max(round(side * scene.part), 1)
            pair = [str(path) for path in write_scene(Path(folder), scene, blocks)]
            output = str(Path(folder) / f"{name}.geojson")
            runs = [
                machine.measure(
                    *("-m", "geochg_cli", "analyze", *pair, "--model", model, "--overlap", "0"),
                    *("-o", output, "--json"),
                )
                for _ in range(rounds)
            ]
            first = float(machine.measure("-c", FIRST, *pair, model, str(time.time())).stdout)
            best = min(runs, key=lambda run: run.seconds)
            result = json.loads(best.stdout)
            tiles = result["geochg"]["tiles"]["total"]
            print(
                f"  {name:20} {tiles:6} {tiles / best.seconds:8.1f} {best.seconds:10.1f} s "
                f"{first:10.1f} s {best.peak_mb:9.0f} MB {result['features']['count']:8}",
                flush=True,
            )


def write_scene(folder: Path, scene: Scene, side: int) -> list[Path]:
    """Writes both dates of a scene of `side` squared blocks; a former one is overwritten."""
    random = np.random.default_rng(0)
    with rasterio.open(EXAMPLES / scene.dates[0]) as raster:
        profile = raster.profile | {"height": side * TILE_PX, "width": side * TILE_PX}
        colors, bands = raster.colorinterp, raster.descriptions
    before, after = (mirrored(EXAMPLES / date) for date in scene.dates)
    paths = [folder / date for date in scene.dates]
    with (
        rasterio.open(paths[0], "w", **profile) as one,
        rasterio.open(paths[1], "w", **profile) as two,
    ):
        for target in (one, two):
            target.colorinterp, target.descriptions = colors, bands
        for number in range(side * side):
            row, col = (place * TILE_PX for place in divmod(number, side))
            window = Window(col, row, TILE_PX, TILE_PX)
            image = _block(before, row, col)
            one.write(image, window=window)
            blocks = divmod(number, side)
            if scene.changed_every and not any(block % scene.changed_every for block in blocks):
                two.write(_block(after, row, col), window=window)
            else:
                noise = 1 + NOISE * random.standard_normal(image.shape, np.float32)
                top = np.iinfo(image.dtype).max
                two.write((image * noise).clip(0, top).astype(image.dtype), window=window)
    return paths


def mirrored(path: Path) -> NDArray[np.generic]:
    """An image and its mirrors, `(bands, 2 height, 2 width)`, which repeats without seams."""
    with rasterio.open(path) as raster:
        image = raster.read()
    row = np.concatenate([image, image[:, :, ::-1]], axis=2)
    return np.concatenate([row, row[:, ::-1]], axis=1)


def _block(mosaic: NDArray[np.generic], row: int, col: int) -> NDArray[np.generic]:
    rows = np.arange(row, row + TILE_PX) % mosaic.shape[1]
    cols = np.arange(col, col + TILE_PX) % mosaic.shape[2]
    return mosaic[:, rows][:, :, cols]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--side", type=int, default=24, help="blocks along a side")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    main(arguments.model, arguments.side, arguments.rounds)
