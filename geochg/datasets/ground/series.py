"""Grounds with real second dates: fields and savanna by the year, floods, cities, clouds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject

from geochg.datasets.ground.covers import ANY, NOTHING, UNKNOWN_CHANGE, Cover
from geochg.datasets.ground.labelled import (
    MASKED_FOLDERS,
    ChangeOf,
    LabelledGround,
    edges,
    map_tiles,
    read_color,
    read_raster,
    stretched_bands,
)
from geochg.datasets.ground.reviewed import reviewed_tiles
from geochg.models.deltavlm.scene import whitening_matrix

_SURE_SHARE = 0.85
"""Share of a pair of Sentinel-2 that is taken for unchanged: what is least unusual in it."""

SAVANNA_LEARNED = 12
"""Plots of savanna that are learned from or calibrated on; the others are looked at only."""

_EXAMPLES = ("dubai", "20120731", "20140720")
"""Imagery of the package's example pairs; left out, so that these were not trained on."""


def all_grounds(root: Path) -> list[LabelledGround]:
    """Every ground that a folder of imagery holds."""
    grounds = [*map_tiles(root), *farmland_years(root), *floods(root), *cities(root)]
    grounds += [*seasons(root), *savanna(root), *clouded_scenes(root), *infrared_chips(root)]
    grounds += reviewed_tiles(root)
    for folder in MASKED_FOLDERS:
        grounds += folder.grounds(root)
    return grounds


def split_grounds(
    grounds: Sequence[LabelledGround],
) -> tuple[list[LabelledGround], list[LabelledGround]]:
    """Grounds to learn from, and others to calibrate on.

    Of each kind with several grounds the last sixth is held out as one block, because neighbours
    in a list are often neighbours on the ground, or of one flood.
    """
    training_grounds, held_out = [], []
    for kind in sorted({ground.kind for ground in grounds}):
        of_kind = [ground for ground in grounds if ground.kind == kind]
        held_out_count = len(of_kind) // HELD_OUT_PART
        training_grounds += of_kind[: len(of_kind) - held_out_count]
        held_out += of_kind[len(of_kind) - held_out_count :]
    return training_grounds, held_out


HELD_OUT_PART = 6


def shares_by_kind(grounds: Sequence[LabelledGround]) -> dict[str, float]:
    """Frequency with which each kind is drawn, to report it."""
    kinds = sorted({ground.kind for ground in grounds})
    total = sum(ground.share for ground in grounds)
    return {
        kind: round(sum(g.share for g in grounds if g.kind == kind) / total, 3) for kind in kinds
    }


def index_cover(
    red: NDArray[np.floating], green: NDArray[np.floating], infrared: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Sets of covers that NDVI and NDWI (McFeeters 1996) of reflectances allow."""
    vegetation = (infrared - red) / (infrared + red + 1e-6)
    water = (green - infrared) / (green + infrared + 1e-6)
    cover = np.full(red.shape, ANY, np.uint8)
    cover[vegetation > 0.55] = Cover.LOW | Cover.WOODY
    cover[vegetation < 0.15] = Cover.BARE | Cover.ROAD | Cover.BUILDING
    cover[(water > 0.05) & (water <= 0.25)] = NOTHING
    cover[water > 0.25] = Cover.WATER
    return cover


def farmland_years(root: Path) -> Iterator[LabelledGround]:
    """Years of fields and lakes: water by its near infrared, all else unchanged."""
    files = sorted((root / "naip_series_nd").glob("*.tif"))
    paths = [path for path in files if not path.stem.endswith(_EXAMPLES)]
    if not paths:
        return
    images, covers, lakes = [], [], []
    with rasterio.open(paths[0]) as first:
        shape, transform, crs = first.shape, first.transform, first.crs
    for path in paths:
        bands = np.zeros((4, *shape), np.uint8)
        with rasterio.open(path) as source:
            for band in range(4):
                reproject(
                    rasterio.band(source, band + 1),
                    bands[band],
                    dst_transform=transform,
                    dst_crs=crs,
                    resampling=Resampling.bilinear,
                )
        green, infrared = bands[1].astype(float), bands[3].astype(float)
        wet = ((green - infrared) / (green + infrared + 1) > 0.15) & (infrared < 90)
        lake = cv2.medianBlur(wet.astype(np.uint8), 7)
        lake_covers = np.where(lake > 0, Cover.WATER, ANY - Cover.WATER)
        # A year in which a third seems wet is one whose infrared is off.
        lakes.append(np.full(shape, 2, np.uint8) if lake.mean() > 0.3 else lake)
        unsure = edges(lake, 3) | (lake.mean() > 0.3)
        covers.append(np.where(unsure, ANY, lake_covers).astype(np.uint8))
        images.append(np.ascontiguousarray(np.moveaxis(bands, 0, -1)))

    def change(before: int, after: int) -> NDArray[np.uint8]:
        mask = np.asarray(lakes[before] != lakes[after], np.uint8)
        mask[edges(mask, 5) | (lakes[before] == 2) | (lakes[after] == 2)] = UNKNOWN_CHANGE
        return mask

    yield LabelledGround("naip", images, covers, 5.0, (5.0, 8.0), 2.5, change=change)


def floods(root: Path) -> Iterator[LabelledGround]:
    """Pairs before and during floods: short-wave and near infrared and green as a picture."""
    folder = root / "floods_s2"
    odd_file = folder / "odd.txt"
    lines = odd_file.read_text("utf-8").splitlines() if odd_file.exists() else []
    odd = {line.split("\t")[0].strip() for line in lines}
    paths = [path for path in sorted(folder.glob("before/*.tif")) if path.stem not in odd]
    for path in paths:
        dates = [read_color(folder / date / path.name)[0] for date in ("before", "after")]
        flooded = (read_raster(folder / "mask" / path.name)[0][..., 0] > 0).astype(np.uint8)
        if flooded.mean() > 0.8 or dates[0].shape != dates[1].shape:
            continue
        unknown = edges(flooded, 3) | np.any([date.sum(axis=2) == 0 for date in dates], axis=0)
        covers = [
            np.where(unknown, NOTHING, np.where(flooded > 0, cover, ANY)).astype(np.uint8)
            for cover in (ANY - Cover.WATER, Cover.WATER)
        ]
        mask = np.where(unknown, UNKNOWN_CHANGE, flooded).astype(np.uint8)
        date_images = [(255 * stretched_bands(date, 0.5, 99.5)).astype(np.uint8) for date in dates]
        # The second of the three is the near infrared.
        images = [np.concatenate((image, image[..., 1:2]), axis=2) for image in date_images]
        yield LabelledGround(
            "flood",
            images,
            covers,
            10.0,
            (5.0, 10.0),
            3.0 / max(len(paths), 1),
            lends=False,
            change=_always(mask),
            name=path.stem,
        )


def cities(root: Path) -> Iterator[LabelledGround]:
    """Pairs of Sentinel-2 without labels: unchanged where the pair finds nothing unusual."""
    folders = sorted(path for path in (root / "s2_pairs").glob("*/") if path.is_dir())
    folders = [folder for folder in folders if folder.name not in _EXAMPLES]
    for folder in folders:
        dates = []
        for number in (1, 2):
            files = folder / f"imgs_{number}"
            bands = [
                read_raster(next(files.glob(f"*{name}.tif")))[0][..., 0].astype(np.float32)
                for name in ("B04", "B03", "B02", "B08")
            ]
            dates.append(np.stack(bands, axis=-1))
        height, width = dates[0].shape[:2]
        dates[1] = np.asarray(cv2.resize(dates[1], (width, height)), np.float32)
        sure_covers = _sure(dates[0][..., :3], dates[1][..., :3])
        covers = [index_cover(date[..., 0], date[..., 1], date[..., 3]) for date in dates]
        images = [(255 * stretched_bands(date, 0.5, 99.5)).astype(np.uint8) for date in dates]
        mask = np.where(sure_covers, 0, UNKNOWN_CHANGE).astype(np.uint8)
        yield LabelledGround(
            "s2",
            images,
            covers,
            10.0,
            (4.5, 10.0),
            2.5 / len(folders),
            lends=False,
            change=_always(mask),
            scenery=True,
            name=folder.name,
        )


def seasons(root: Path) -> Iterator[LabelledGround]:
    """One place from Sentinel-2 in three clear weeks of a summer: nothing changed."""
    folder = root / "s2_two_seasons"
    images, covers = [], []
    for path in sorted((folder / "images").glob("*.tif")):
        pixels, _ = read_raster(path)
        cloud, _ = read_raster(folder / "masks" / path.name)
        bands = pixels.astype(np.float32) / 10_000
        color = bands[..., [3, 2, 1, 7]]
        cover = index_cover(color[..., 0], color[..., 1], color[..., 3])
        cover[cloud[..., 0] > 0] = Cover.NOT_SEEN
        images.append((255 * stretched_bands(color, 0.5, 99.5)).astype(np.uint8))
        covers.append(cover)
    if images:
        mask = np.zeros(covers[0].shape, np.uint8)
        yield LabelledGround(
            "seasons", images, covers, 10.0, (3.5, 4.5), 0.4, lends=False, change=_always(mask)
        )


def savanna_plots(root: Path) -> list[tuple[Path, Path]]:
    """The files of each plot of savanna in its two years, by name."""
    folder = root / "neon_pairs_sjer"
    before = sorted((folder / "2017").glob("*.tif"))
    pairs = [(path, folder / "2018" / path.name) for path in before]
    return [pair for pair in pairs if pair[1].exists()]


def savanna(root: Path) -> Iterator[LabelledGround]:
    """Plots of grass and oaks in two years: season, shadows and seams differ, nothing changed."""
    plots = savanna_plots(root)[:SAVANNA_LEARNED]
    for paths in plots:
        images = [read_color(path)[0] for path in paths]
        shape = images[0].shape[:2]
        if images[1].shape[:2] != shape:
            continue
        covers = [np.full(shape, Cover.WOODY | Cover.LOW | Cover.BARE, np.uint8)] * 2
        mask = np.zeros(shape, np.uint8)
        yield LabelledGround(
            "savanna",
            images,
            covers,
            0.1,
            (0.1, 0.16),
            1.0 / len(plots),
            change=_always(mask),
            name=paths[0].stem,
        )


def clouded_scenes(root: Path) -> Iterator[LabelledGround]:
    """Scenes under broken clouds with their shadows."""
    folder = root / "cloud_shadow_masks"
    table = np.full(256, NOTHING, np.uint8)
    table[[0, 1, 3, 4]] = Cover.NOT_SEEN, Cover.WATER, ANY - Cover.WATER, Cover.NOT_SEEN
    for path in sorted((folder / "images").glob("*.tif")):
        pixels, _ = read_raster(path)
        mask, _ = read_raster(folder / "masks" / path.name)
        color = np.clip(pixels.astype(np.float32)[..., [2, 1, 0, 3]] / 1000, 0, 0.6)
        image = (255 * stretched_bands(color, 0.5, 98)).astype(np.uint8)
        cover = table[mask[..., 0]]
        cover[edges((cover == Cover.NOT_SEEN).astype(np.uint8), 5)] = NOTHING
        yield LabelledGround("cloud", [image], [cover], 30.0, (5.0, 30.0), 0.25, lends=False)


def infrared_chips(root: Path) -> Iterator[LabelledGround]:
    """Aerial chips of 1 m with a near infrared, which tells plants and water."""
    for path in sorted((root / "naip_single").glob("m_*.tif")):
        pixels, resolution = read_raster(path)
        if pixels.shape[2] < 4 or min(pixels.shape[:2]) < 128:
            continue
        red, green, infrared = (pixels[..., band].astype(float) for band in (0, 1, 3))
        cover = index_cover(red, green, infrared)
        # Dark roofs and shadows look like water to the index of an aerial camera.
        cover[cover == Cover.WATER] = NOTHING
        image = np.ascontiguousarray(pixels[..., :4]).astype(np.uint8)
        yield LabelledGround("chip", [image], [cover], resolution, (0.8, 2.5), 0.6)


def _sure(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The pixels at which the difference of two dates is not unusual."""
    dates = []
    for date in (before, after):
        smooth = cv2.GaussianBlur(date, (0, 0), 1)
        dates.append((smooth - smooth.mean((0, 1))) / (smooth.std((0, 1)) + 0.05))
    difference = (dates[0] - dates[1]).reshape(-1, 3).T
    offset, matrix = whitening_matrix(difference)
    unusual = np.square(matrix @ (difference - offset[:, None])).mean(axis=0)
    odd = (unusual > np.quantile(unusual, _SURE_SHARE)).reshape(before.shape[:2])
    spread = cv2.dilate(odd.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(spread == 0, np.bool_)


def _always(mask: NDArray[np.uint8]) -> ChangeOf:
    return lambda before, after: mask
