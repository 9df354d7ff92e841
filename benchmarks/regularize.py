"""What squaring buildings does to their outlines, held against those that people drew.

    python benchmarks/regularize.py --data FOLDER

`FOLDER` holds `oam_tiles`, `inria_buildings` and so on. Drawn buildings are laid on pixels of the
image's size (`x1`) or of twice or four times it, and outlined anew; `model` are buildings that the
built-in model outlines itself, where the earlier image is the later one turned upside down, and
that overlap a drawn one by 40 %. Of each: overlap (intersection over union) with the drawn outline
before (smoothed only) and after, of those that were squared; the mean change with its 95 % interval
(bootstrap); vertices; the mean deviation of corners from 90 degrees; the most that was added. The
last line is the time for 10,000 of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import machine
import numpy as np
import pyproj
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geochg import AnalyzeOptions, open_pair, read_tiles
from geochg.features.smoothing import smoothed_polygons
from geochg.geometry.lattice import unit_steps
from geochg.geometry.polygonize import labelled_pieces, piece_polygons
from geochg.geometry.regularization import regularized_outlines
from geochg.geometry.right_angles import LEAST_PX, changed_shares
from geochg.models.base import ChangeModel
from geochg.models.loading import mapped_questions
from geochg.models.registry import load_model
from geochg.records import LAND_COVER, Outlines, PixelWindow, Tile

MASKED = ("inria_buildings", "rio_buildings", "spacenet_buildings", "massachusetts_buildings")
OF_MODEL = MASKED[:3]
FACTORS = (1, 2, 4)
MOST = 300
"""Buildings of a place and a size of pixels."""
DRAWS = 2_000
_HALF_WORLD_M = 20_037_508.342789244


class Case(NamedTuple):
    """A building: along pixel edges, smoothed, and as it was drawn, in pixels."""

    pixels: shapely.Polygon
    smooth: shapely.Polygon
    drawn: shapely.Polygon


def main(data: Path) -> None:
    """Prints a table."""
    print(machine.describe())
    print(f"{'':30}    n  left  overlap             change             corners      off 90  added")
    cases: list[Case] = []
    for name, group in groups(data):
        print_row(name, group)
        cases += group
    repeated = [cases[i % len(cases)] for i in range(10_000)]
    start = time.perf_counter()
    squared(repeated)
    print(f"10,000 outlines in {time.perf_counter() - start:.0f} s")


def groups(data: Path) -> Iterator[tuple[str, list[Case]]]:
    """Buildings of each place and size of pixels."""
    for factor in FACTORS:
        yield f"oam_tiles x{factor}", list(of_tiles(data / "oam_tiles", factor))[:MOST]
    for factor in FACTORS[1:]:
        for place in MASKED:
            found = [case for path in masks(data / place) for case in of_mask(path, factor)]
            yield f"{place} x{factor}", found[:MOST]
    model = load_model("builtin", {}, "cpu")
    for place in OF_MODEL:
        found = [case for path in masks(data / place) for case in of_model(model, path)]
        yield f"{place}, model", found[:MOST]


def squared(cases: list[Case]) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """The outlines after squaring, and which were squared, each case by itself."""
    outlines, flags = [], []
    axes = np.eye(2)[None]
    for case in cases:
        pixels, smooth = np.array([case.pixels], object), np.array([case.smooth], object)
        result = regularized_outlines(pixels, smooth, np.ones(1, bool), axes)
        outlines.append(result.outlines[0])
        flags.append(bool(result.is_squared[0]))
    return np.array(outlines, object), np.array(flags)


def print_row(name: str, cases: list[Case]) -> None:
    """One line of the table."""
    outlines, flags = squared(cases)
    pixels, smooth, drawn = (np.array(column, object)[flags] for column in zip(*cases, strict=True))
    after_outlines = outlines[flags]
    before, after = overlaps(smooth, drawn), overlaps(after_outlines, drawn)
    random = np.random.default_rng(0)
    draws = (after - before)[random.integers(0, len(after), (DRAWS, len(after)))].mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    vertices = [(shapely.get_num_coordinates(s) - 1).mean() for s in (smooth, after_outlines)]
    off = [np.mean([off_right_angles(s) for s in group]) for group in (smooth, after_outlines)]
    added = max(changed_shares(o, p)[0] for o, p in zip(after_outlines, pixels, strict=True))
    print(
        f"{name:30} {len(cases):4} {1 - flags.mean():5.0%}  {before.mean():.3f} -> "
        f"{after.mean():.3f}  {after.mean() - before.mean():+.4f} ({low:+.4f} {high:+.4f})  "
        f"{vertices[0]:5.1f} -> {vertices[1]:4.1f}  {off[0]:4.1f} -> {off[1]:.1f}  {added:.3f}"
    )


def overlaps(outlines: NDArray[np.object_], others: NDArray[np.object_]) -> NDArray[np.float64]:
    """Intersection over union, 0-1."""
    shared = shapely.area(shapely.intersection(outlines, others))
    return np.asarray(shared / (shapely.area(outlines) + shapely.area(others) - shared))


def off_right_angles(polygon: shapely.Polygon) -> float:
    """Mean deviation of the shell's corners from 90 degrees, in degrees."""
    sides = np.diff(shapely.get_coordinates(polygon.exterior), axis=0)
    heading = np.degrees(np.arctan2(sides[:, 1], sides[:, 0]))
    turn = (np.roll(heading, -1) - heading + 180) % 360 - 180
    return float(abs(90 - abs(turn)).mean())


# --- buildings -----------------------------------------------------------------------------------


def outlined(mask: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Polygons of the pieces of a mask; none where it is empty."""
    if not mask.any():
        return np.array([], object)
    labels, _ = labelled_pieces(np.zeros(mask.shape, np.intp), mask)
    return piece_polygons(labels, PixelWindow(0, mask.shape[0], 0, mask.shape[1]))


def smoothed(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """The polygons as geochg draws them by default."""
    return smoothed_polygons(unit_steps(shapely.orient_polygons(polygons)))


def masks(folder: Path) -> list[Path]:
    """The masks of a place."""
    return sorted((folder / "masks").glob("*.tif"))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Where buildings are."""
    with rasterio.open(path) as source:
        return np.asarray(source.read(1) == 1)


def matched(found: NDArray[np.object_], mask: NDArray[np.bool_], least: float) -> Iterator[Case]:
    """Outlines and the drawn ones that each overlaps most, all in pixels of the mask."""
    drawn = outlined(mask)
    if not len(drawn) or not len(found):
        return
    drawn = smoothed(drawn)
    tree = shapely.STRtree(drawn)
    frame = shapely.box(1, 1, mask.shape[1] - 1, mask.shape[0] - 1)
    for pixels, smooth in zip(found, smoothed(found), strict=True):
        near = drawn[tree.query(pixels, "intersects")]
        if pixels.area < LEAST_PX or not pixels.within(frame) or not len(near):
            continue
        shares = overlaps(np.full(len(near), pixels), near)
        if shares.max() >= least:
            yield Case(pixels, smooth, near[shares.argmax()])


def of_mask(path: Path, factor: int) -> Iterator[Case]:
    """Buildings of a mask, outlined anew in larger pixels."""
    mask = read_mask(path)
    height, width = (side // factor * factor for side in mask.shape)
    mask = mask[:height, :width]
    blocks = mask.reshape(height // factor, factor, width // factor, factor)
    enlarged = [
        shapely.transform(polygon, lambda xy: xy * factor)
        for polygon in outlined(blocks.mean(axis=(1, 3)) >= 0.5)
    ]
    for case in matched(np.array(enlarged, object), mask, 0.5):
        pixels = shapely.transform(case.pixels, lambda xy: np.round(xy / factor))
        if pixels.area >= LEAST_PX:
            (smooth,) = smoothed(np.array([pixels], object))
            yield Case(pixels, smooth, shapely.transform(case.drawn, lambda xy: xy / factor))


def of_tiles(folder: Path, factor: int) -> Iterator[Case]:
    """Buildings that were drawn as polygons on map tiles."""
    to_map = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
    side = 256 // factor
    paths = sorted(folder.glob("*/labels/*.geojson"))
    for number in np.random.default_rng(0).permutation(len(paths)).tolist():
        col, row, zoom = map(int, paths[number].stem.split("-")[1:])
        tile_m = 2 * _HALF_WORLD_M / 2**zoom
        corner = np.array([col * tile_m - _HALF_WORLD_M, _HALF_WORLD_M - row * tile_m])

        def to_pixels(xy: NDArray, corner: NDArray = corner, tile_m: float = tile_m) -> NDArray:
            x_m, y_m = to_map.transform(*xy.T)
            return (np.column_stack([x_m, y_m]) - corner) * [1, -1] / tile_m * side

        for feature in json.loads(paths[number].read_text("utf-8"))["features"]:
            shape = shapely.transform(shapely.geometry.shape(feature["geometry"]), to_pixels)
            for drawn in shapely.get_parts(shape):
                if drawn.is_valid and drawn.within(shapely.box(0, 0, side, side)):
                    pixels = outlined(rasterize([(drawn, 1)], (side, side)).astype(bool))
                    if len(pixels) == 1 and pixels[0].area >= LEAST_PX:
                        yield Case(pixels[0], smoothed(pixels)[0], drawn)


def of_model(model: ChangeModel, path: Path) -> Iterator[Case]:
    """Buildings as a model outlines them."""
    mask = read_mask(path)
    with tempfile.TemporaryDirectory() as folder:
        image, turned = path.parents[1] / "images" / path.name, Path(folder) / "turned.tif"
        with rasterio.open(image) as source:
            kept = ("width", "height", "count", "dtype", "crs", "transform")
            profile = {key: source.profile[key] for key in kept}
            with rasterio.open(turned, "w", driver="GTiff", **profile) as out:
                out.write(source.read()[:, ::-1, ::-1])
        pair = open_pair(turned, image)
        tiles = [tile for tile in read_tiles(pair) if isinstance(tile, Tile) and tile.valid.any()]
    model.survey(pair.facts, tiles)
    built = np.zeros(mask.shape, bool)
    for tile in tiles:
        (answers,) = model.answer([tile], mapped_questions(model, AnalyzeOptions()))
        (outlines,) = (answer for answer in answers if isinstance(answer, Outlines))
        cover, core = outlines.covers(), tile.window.core
        if cover is not None:
            here = cover.after == LAND_COVER.index("building")
            rows, cols = slice(core.row_start, core.row_stop), slice(core.col_start, core.col_stop)
            built[rows, cols] = here[core.slices_within(tile.window.read)]
    yield from matched(outlined(built), mask, 0.4)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    main(parser.parse_args().data)
