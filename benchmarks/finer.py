"""What `--refine` and `--vote` make of a model that answers by the 3x3 grid, and what they cost.

    python benchmarks/finer.py [--scenes 6] [--workers 2]

The model is the built-in one, restricted to the grid (`grid_plugin`). Scenes are mosaics of drawn
pairs that no training has seen. Scores compare the mapped area with the truth, pixel by pixel over
all scenes of a family, whatever the class; `whole tiles` maps every tile that changed, `outlines`
is what the unrestricted model maps. Pictures are tiles and enlarged cells shown to the model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import machine
import numpy as np
import rasterio
from affine import Affine
from drawn_pairs import FAMILIES, FIRST_SEED
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from scores import f1

import geochg
from geochg.datasets.world.generate import generate
from geochg.datasets.world.options import WorldOptions

PLUGIN = Path(__file__).parent / "grid_plugin"

SIDE = 3
"""Pairs along a side of a mosaic."""

PAIR_PX = 400
"""No multiple of a tile, so that tiles do not end where pairs do."""

PIXEL = Affine(1, 0, 500_000, 0, -1, 5_000_000)

DRAWN = ("0.4 to 0.7 m", "1 to 2.5 m", "10 m")
"""Families that need no real imagery."""

WAYS: dict[str, dict[str, Any]] = {
    "grid": {},
    "vote": {"vote": True},
    "refine 1": {"refine": 1},
    "refine 2": {"refine": 2},
    "refine 3": {"refine": 3},
    "refine 1, vote": {"refine": 1, "vote": True},
    "refine 2, vote": {"refine": 2, "vote": True},
}


@dataclass
class Mapped:
    """What one way made of the scenes of a family.

    Attributes:
        found: For each scene `(height, width)` bool, mapped as changed.
        calls: Of the model.
        pictures: Shown to it.
    """

    found: list[NDArray[np.bool_]] = field(default_factory=list)
    calls: int = 0
    pictures: int = 0

    def line(self, name: str, truth: NDArray[np.bool_]) -> str:
        """The scores and the cost."""
        found = np.stack(self.found)
        both, either = (found & truth).sum(), (found | truth).sum()
        cost = f"{self.calls:6} {self.pictures:9}" if self.calls else ""
        return (
            f"  {name:16} {both / either:5.3f} {f1(truth, found) or 0:5.3f} "
            f"{both / max(found.sum(), 1):10.3f} {both / truth.sum():7.3f} {cost}"
        )


def main(scenes: int, workers: int, families: list[str]) -> None:
    """Prints a table for each family."""
    sys.path.insert(0, str(PLUGIN))
    print(machine.describe())
    for family in families:
        with tempfile.TemporaryDirectory() as folder:
            truth, mapped = _measured(Path(folder), family, scenes, workers)
        print(f"{family}, {scenes} scenes, {truth.mean():.3f} of the area changed")
        print("  way                IoU    F1  precision  recall  calls  pictures")
        for name, each in mapped.items():
            print(each.line(name, truth), flush=True)


def _measured(
    folder: Path, family: str, scenes: int, workers: int
) -> tuple[NDArray[np.bool_], dict[str, Mapped]]:
    """The truth of all scenes, and what each way made of them."""
    truths = []
    mapped = {name: Mapped() for name in ("whole tiles", *WAYS, "outlines")}
    for number, (dates, truth) in enumerate(_scenes(family, scenes, workers)):
        truths.append(truth)
        paths = [_written(folder / f"{number}_{i}.tif", date) for i, date in enumerate(dates)]
        for name, way in WAYS.items():
            options = {"model": "gridded", "align": "off", **way}
            _look(mapped[name], paths, geochg.AnalyzeOptions.from_dict(options), truth.shape)
        _look(mapped["outlines"], paths, geochg.AnalyzeOptions(align="off"), truth.shape)
        mapped["whole tiles"].found.append(_changed_tiles(folder, paths, truth.shape))
    return np.stack(truths), mapped


def _look(
    mapped: Mapped, paths: list[Path], options: geochg.AnalyzeOptions, shape: tuple[int, int]
) -> None:
    import geochg_gridded

    geochg_gridded.ASKED.clear()
    features = geochg.analyze(*paths, options).features
    mapped.found.append(_inside(features, shape))
    mapped.calls += geochg_gridded.ASKED["calls"]
    mapped.pictures += geochg_gridded.ASKED["pictures"]


def _changed_tiles(folder: Path, paths: list[Path], shape: tuple[int, int]) -> NDArray[np.bool_]:
    import geopandas as gpd

    options = {"model": "gridded", "align": "off"}
    outputs = geochg.Outputs(tiles=folder / "tiles.gpkg")
    geochg.analyze(*paths, geochg.AnalyzeOptions.from_dict(options), outputs=outputs)
    tiles = gpd.read_file(outputs.tiles)
    return _inside(tiles[tiles.changed.astype(bool)], shape)


def _inside(part: GeoDataFrame, shape: tuple[int, int]) -> NDArray[np.bool_]:
    if part.empty:
        return np.zeros(shape, bool)
    found: NDArray[np.bool_] = geometry_mask(part.geometry, shape, PIXEL, invert=True)
    return found


def _scenes(
    family: str, scenes: int, workers: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Both dates `(2, 3, side, side)` and where they differ, of each scene."""
    options = WorldOptions.from_dict({**FAMILIES[family], "size_px": PAIR_PX})
    count = scenes * SIDE**2
    drawn = generate(range(FIRST_SEED, FIRST_SEED + count), options, workers)
    side_px = SIDE * PAIR_PX
    while pairs := list(islice(drawn, SIDE**2)):
        dates = np.zeros((2, 3, side_px, side_px), np.uint8)
        truth = np.zeros((side_px, side_px), bool)
        for number, pair in enumerate(pairs):
            row, col = (place * PAIR_PX for place in divmod(number, SIDE))
            part = np.s_[row : row + PAIR_PX, col : col + PAIR_PX]
            truth[part] = pair.classes > 0
            for date, picture in zip(dates, (pair.before, pair.after), strict=True):
                date[(slice(None), *part)] = picture
        yield dates, truth


def _written(path: Path, date: NDArray[np.uint8]) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=date.shape[1], width=date.shape[2], count=3,
        dtype="uint8", crs="EPSG:32633", transform=PIXEL, photometric="RGB",
    ) as opened:  # fmt: skip
        opened.write(date)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=6, help="of each family")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--families", nargs="*", choices=DRAWN, default=list(DRAWN))
    given = parser.parse_args()
    main(given.scenes, given.workers, given.families)
