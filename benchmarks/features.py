"""Merging, naming and writing of many changes: time, and peak memory of the whole process.

A model that looks at nothing outlines a pattern of changes; its answers are kept in a journal once,
and each format is then made of a copy of it.

python benchmarks/features.py [--suffixes .geojson .gpkg] [--tiles] [CHANGES ...]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import machine
import numpy as np
import rasterio
from affine import Affine

from geochg import AnalyzeOptions, Outputs, analyze
from geochg.events import Event, Progress
from geochg.geometry.pieces import label_pieces
from geochg.land_cover import class_and_direction
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.options import Options
from geochg.pipeline.journal_file import journal_path
from geochg.records import LAND_COVER, Channel, LandCover, Outlines, Question, Task, Tile

_PATTERN_PX = 1024
_BLOCK_PX = 512
_COVERS = tuple(LAND_COVER.index(name) for name in ("low plants", "building", "road", "bare"))
_CHANNELS = tuple(
    Channel(*class_and_direction(LAND_COVER[old], LAND_COVER[new]))
    for old in _COVERS
    for new in _COVERS
)


class Pattern(ChangeModel[Options]):
    """A model that outlines the same blobs on each square of 1024 pixels."""

    name, summary = "pattern", "blobs"
    backend_capabilities = Capabilities(
        frozenset({Task.LOCATE}), "mask", "display", "rgb", tells_land_cover=True
    )

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        fields = [_smooth(random, smoothness_px) for smoothness_px in (4, 40, 40)]
        self.changed = fields[0] > np.quantile(fields[0], 0.75)
        self.before, self.after = (
            np.digitize(field, np.quantile(field, (0.25, 0.5, 0.75))) for field in fields[1:]
        )
        self.changes = label_pieces(self.changed)[1]

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> Self:
        """Makes the model."""
        return cls()

    @property
    def identity(self) -> ModelIdentity:
        """Always the same."""
        return ModelIdentity("pattern", "sha256:0")

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[list[Outlines]]:
        """Outlines what of the pattern lies in each tile."""
        return [[self._outlines(tile)] for tile in tiles]

    def _outlines(self, tile: Tile) -> Outlines:
        read = tile.window.read
        part = np.ix_(
            np.arange(read.row_start, read.row_stop) % _PATTERN_PX,
            np.arange(read.col_start, read.col_stop) % _PATTERN_PX,
        )
        changed, before, after = self.changed[part], self.before[part], self.after[part]
        channel = before * len(_COVERS) + after
        layers = np.zeros((len(_CHANNELS), *changed.shape), np.float32)
        np.put_along_axis(layers, channel[None], np.float32(0.75) * changed, axis=0)
        codes = np.array(_COVERS, np.uint8)
        return Outlines(
            _CHANNELS,
            layers,
            change=changed * np.float32(0.75),
            land_cover=LandCover(codes[before], codes[after]),
        )


def _smooth(random: np.random.Generator, smoothness_px: float) -> np.ndarray:
    """Noise that repeats itself without a seam."""
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(_PATTERN_PX)] * 2))
    noise = np.fft.fft2(random.normal(size=(_PATTERN_PX, _PATTERN_PX)))
    return np.fft.ifft2(noise * np.exp(-2 * (np.pi * frequency * smoothness_px) ** 2)).real


def write_image(path: Path, side_px: int) -> None:
    """A raster of one value."""
    profile = {
        "driver": "GTiff", "height": side_px, "width": side_px, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32633", "transform": Affine(1, 0, 500_000, 0, -1, 5_000_000),
        "tiled": True, "blockxsize": _BLOCK_PX, "blockysize": _BLOCK_PX, "compress": "deflate",
        "photometric": "RGB",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        for _, window in raster.block_windows(1):
            raster.write(np.full((3, window.height, window.width), 100, np.uint8), window=window)


class _Stop(Exception):
    """Ends a run before its features are made."""


def run(folder: Path, output: str, *, with_tiles: bool, is_finished: bool) -> None:
    """One run; prints the seconds from its last answer to its end, and features."""
    starts: list[tuple[float, float]] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "write" and event.done == 0:
            starts.append((time.perf_counter(), time.process_time()))
            if not is_finished:
                raise _Stop

    image, path = str(folder / "image.tif"), folder / output
    outputs = Outputs(path, path.with_name(f"tiles{path.suffix}") if with_tiles else None)
    options = AnalyzeOptions(align="off", resume=True, overwrite=True)
    try:
        result = analyze(image, image, options, outputs=outputs, listener=listen, model=Pattern())
    except _Stop:
        return
    seconds = time.perf_counter() - starts[0][0], time.process_time() - starts[0][1]
    print(json.dumps({"seconds": seconds, "features": len(result.layer)}))


def main(counts: Sequence[int], suffixes: Sequence[str], *, with_tiles: bool) -> None:
    """Prints one line a number of changes and format."""
    print(machine.describe())
    print("  features  format     written in   of a core  peak memory   before     file")
    for count in counts:
        side_px = round(_PATTERN_PX * (count / Pattern().changes) ** 0.5)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_image(folder / "image.tif", side_px)
            command = [__file__, "--folder", name, *["--tiles"] * with_tiles]
            answered = machine.measure(*command, "--answer", "answered.gpkg")
            for suffix in suffixes:
                output = folder / f"changes{suffix}"
                shutil.copy(journal_path(folder / "answered.gpkg"), journal_path(output))
                measured = machine.measure(*command, "--finish", output.name)
                told = json.loads(measured.stdout)
                wall_s, core_s = told["seconds"]
                print(
                    f"{told['features']:10,}  {suffix:10} {wall_s:9.1f}s {core_s:10.1f}s"
                    f" {measured.peak_mb:9.0f} MB {answered.peak_mb:5.0f} MB"
                    f" {output.stat().st_size / 1e6:5.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suffixes", nargs="+", default=[".geojson", ".gpkg"])
    parser.add_argument("--tiles", action="store_true", help="write the layer of tiles too")
    parser.add_argument("counts", type=int, nargs="*", default=[20_000, 167_000, 1_000_000])
    for flag in ("--folder", "--answer", "--finish"):
        parser.add_argument(flag, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        output = arguments.answer or arguments.finish
        is_finished = arguments.finish is not None
        run(Path(arguments.folder), output, with_tiles=arguments.tiles, is_finished=is_finished)
        sys.exit()
    main(arguments.counts, arguments.suffixes, with_tiles=arguments.tiles)
