"""Grounds that somebody reviewed: the tiles of `geochg dataset build` in a folder of imagery."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS, split_unknown
from geochg.datasets.ground.covers import ANY, COVERS_OF_CLASS, NOTHING, UNKNOWN_CHANGE
from geochg.datasets.ground.labelled import LabelledGround, edges
from geochg.errors import InputError
from geochg.records import Change

FOLDER = "reviewed"
"""Folder of the data sets within that of imagery."""

_ROWS = "train.json"
"""Rows of the tiles that may be learned from; those of `val` and `test` never are."""

_SHARE = 3.0
_EDGE_PX = 3
_COARSEST = 2.0
"""Sides of the pixels that are shown, as a multiple of those of the tile."""


def reviewed_tiles(root: Path) -> Iterator[LabelledGround]:
    """The training tiles of each data set in `reviewed/`, with both dates and what changed.

    Raises:
        InputError: If rows or a tile cannot be read, or a tile has no place on the ground.
    """
    for folder in sorted(path.parent for path in (root / FOLDER).glob(f"*/{_ROWS}")):
        names = _tile_names(folder)
        for name in names:
            yield _ground(folder, name, _SHARE / len(names))


def _tile_names(folder: Path) -> list[str]:
    try:
        rows = json.loads((folder / _ROWS).read_text("utf-8"))
        return sorted({Path(row["image"][0]).name for row in rows})
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{folder / _ROWS} does not hold the rows of geochg dataset build",
            "make the set anew, or take it out of the folder of imagery",
        ) from error


def _ground(folder: Path, name: str, share: float) -> LabelledGround:
    try:
        images = [_bands(folder / side / name) for side in ("A", "B")]
        values, is_known = split_unknown(_bands(folder / "label" / name)[..., 0])
        directions = _bands(folder / "direction" / name)[..., 0]
        side_m = _side_m(folder / "A" / name)
    except RasterioError as error:
        raise InputError(
            f"the tile {name} of {folder} cannot be read", "make the set anew"
        ) from error
    changed = (values > 0).astype(np.uint8)
    # Outlines of a map are a few pixels off.
    changed[~is_known | edges(changed, _EDGE_PX)] = UNKNOWN_CHANGE
    return LabelledGround(
        "reviewed",
        [np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image for image in images],
        _covers(values, directions),
        side_m,
        (side_m, _COARSEST * side_m),
        share,
        lends=False,
        change=lambda before, after: changed if before != after else np.zeros_like(changed),
        name=f"{folder.name}/{Path(name).stem}",
    )


def _bands(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as source:
        return np.asarray(np.moveaxis(source.read(), 0, -1), np.uint8)


def _covers(values: NDArray[np.uint8], directions: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """What each date may be covered by, as class and direction tell it; nothing elsewhere."""
    covers = [np.full(values.shape, NOTHING, np.uint8) for _ in range(2)]
    for class_name, cover in COVERS_OF_CLASS.items():
        of_class = values == CLASS_NAMES.index(class_name)
        for direction, pair in {
            Change.APPEARED: (ANY & ~cover, cover),
            Change.DISAPPEARED: (cover, ANY & ~cover),
            Change.ALTERED: (cover, cover),
        }.items():
            changed = of_class & (directions == DIRECTIONS.index(direction))
            for date, date_cover in zip(covers, pair, strict=True):
                date[changed] = date_cover
    return covers


def _side_m(path: Path) -> float:
    """Side of a pixel on the ground, in metres."""
    from odc.geo.geobox import GeoBox

    from geochg.tiling.grid import pixel_area_m2

    with rasterio.open(path) as source:
        if source.crs is None:
            raise InputError(f"{path} has no place on the ground", "make the set of rasters")
        grid = GeoBox(source.shape, source.transform, str(source.crs))
    return math.sqrt(pixel_area_m2(grid))
