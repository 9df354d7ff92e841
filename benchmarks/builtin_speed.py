"""The built-in model end to end: tiles a second where little changed and on a busy scene.

    python benchmarks/builtin_speed.py [--model builtin] [--side 32] [--rounds 3]

The scenes are mosaics of drawn pairs of 256 px: one changed pair in sixteen, and nothing but
changed pairs. The clock covers the whole command, captions and writing included. `first batch`
is how long after the start of Python the first batch of tiles was answered, in a run of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import machine
import numpy as np
import rasterio
from affine import Affine

from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import WorldPair, scene

SCENES = {"little changed": 1 / 16, "busy": 1.0}
TILE_PX = 256
DISTINCT = 64

FIRST = """
import sys, time, psutil, geochg
from geochg.events import Progress
def told(event):
    if isinstance(event, Progress) and event.stage == "tiles" and event.done:
        print(time.time() - psutil.Process().create_time(), flush=True)
        raise SystemExit
options = geochg.AnalyzeOptions(model=sys.argv[3], overlap_px=0)
geochg.analyze(*sys.argv[1:3], options, listener=told)
"""


def main(model: str, side: int, rounds: int) -> None:
    """Prints the table."""
    print(machine.describe())
    print(f"model {model}, {side * side} tiles, best of {rounds}")
    print("  scene            tiles/s    whole run  first batch  peak memory  changes")
    with tempfile.TemporaryDirectory() as folder:
        for name, share in SCENES.items():
            pair = [str(path) for path in _written(Path(folder), name, side, share)]
            runs = [
                machine.measure(
                    "-m", "geochg_cli", "analyze", *pair, "--model", model, "--overlap", "0",
                    "-o", str(Path(folder) / f"{name} {number}.geojson"), "--json",
                )
                for number in range(rounds)
            ]  # fmt: skip
            firsts = [machine.measure("-c", FIRST, *pair, model) for _ in range(rounds)]
            best = min(runs, key=lambda run: run.seconds)
            told = json.loads(best.stdout)
            tiles = told["geochg"]["tiles"]["total"]
            first = min(float(run.stdout) for run in firsts)
            print(
                f"  {name:15} {tiles / best.seconds:8.1f} {best.seconds:10.1f} s {first:10.1f} s "
                f"{best.peak_mb:9.0f} MB {told['features']['count']:8}"
            )


def _written(folder: Path, name: str, side: int, share: float) -> list[Path]:
    """Both dates of a mosaic of `side` squared pairs."""
    size = side * TILE_PX
    dates = np.zeros((2, 3, size, size), np.uint8)
    for number, pair in enumerate(_pairs(side * side, share)):
        row, col = (place * TILE_PX for place in divmod(number, side))
        for date, image in zip(dates, (pair.before, pair.after), strict=True):
            date[:, row : row + TILE_PX, col : col + TILE_PX] = image
    paths = [folder / f"{name} {when}.tif" for when in ("before", "after")]
    for path, date in zip(paths, dates, strict=True):
        with rasterio.open(
            path, "w", driver="GTiff", height=size, width=size, count=3, dtype="uint8",
            crs="EPSG:32633", transform=Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000),
            tiled=True, compress="deflate", photometric="RGB",
        ) as opened:  # fmt: skip
            opened.write(date)
    return paths


def _pairs(count: int, share: float) -> Iterator[WorldPair]:
    """Drawn pairs of which a share, evenly spread, changed; after `DISTINCT` they come again."""
    still = [scene(40_000_000 + seed, WorldOptions(unchanged_share=1)) for seed in range(DISTINCT)]
    drawn = (
        scene(50_000_000 + seed, WorldOptions(unchanged_share=0)) for seed in itertools.count()
    )
    moved = list(itertools.islice((pair for pair in drawn if pair.changed), DISTINCT))
    kinds = (itertools.cycle(moved), itertools.cycle(still))
    for number in range(count):
        yield next(kinds[number % round(1 / share) > 0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.model, arguments.side, arguments.rounds)
