"""Small pairs for batches, their lists, and how their layers are compared."""

import os
import sys
from pathlib import Path

import numpy as np
from affine import Affine
from pairs import planted_pair
from rasters import UTM, put

MARKER_PLUGIN = Path(__file__).parents[1] / "models" / "marker_plugin"
OPTIONS = {"model": "marker", "align": "off", "tile_size_px": 64, "overlap_px": 16}
SLOW = {**OPTIONS, "model_options": {"delay_s": 0.05}, "batch_size": 4}
"""Options of a scene of a second, in which it can be killed."""


def write_pair(folder: Path, number: int, crs: str = UTM) -> tuple[Path, Path]:
    """A pair with planted changes, 5 km east of the one before."""
    place = Affine(10, 0, 500_000 + 5_000 * number, 0, -10, 5_000_000)
    paths = folder / f"before{number}.tif", folder / f"after{number}.tif"
    for path, values in zip(paths, planted_pair(number), strict=True):
        put(path, values, transform=place, crs=crs)
    return paths


def rows_of(folder: Path, *numbers: int) -> list[dict]:
    """Pairs as Python gives them."""
    return [
        {
            "id": f"s{number}",
            "before": str(folder / f"before{number}.tif"),
            "after": str(folder / f"after{number}.tif"),
        }
        for number in numbers
    ]


def write_list(path: Path, folder: Path, *numbers: int) -> Path:
    """Pairs as a CSV file."""
    rows = [",".join(row.values()) for row in rows_of(folder, *numbers)]
    path.write_text("\n".join(["id,before,after", *rows]) + "\n")
    return path


def features(path: Path, layer: str = "changes"):
    import geopandas

    return geopandas.read_file(path, layer=layer)


def assert_same_features(path: Path, other: Path) -> None:
    left, right = features(path), features(other)
    assert len(left)
    assert left.equals(right)
    assert np.array_equal(left.geometry.to_wkb(), right.geometry.to_wkb())


def geochg(*words: str) -> list[str]:
    """The command line of a batch in a process of its own."""
    return [sys.executable, "-m", "geochg_cli", *words]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(MARKER_PLUGIN)}
