"""From what a model outlines in a tile to pieces of changed ground in its core."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.features.tile_results import Cell, Ground
from geochg.geometry.grid_cells import cell_numbers
from geochg.geometry.hysteresis import ChangedPixels
from geochg.geometry.objects import object_centres
from geochg.geometry.polygonize import labelled_pieces, piece_polygons
from geochg.records import GRID_CELLS, LAND_COVER, Outlines, PixelWindow
from geochg.tasks.lexicon import ASKED

BESIDE_M = 6.0
"""How far from a piece the ground that it adjoins is looked for."""

_COVERS = len(LAND_COVER) + 1
"""Kinds of land cover, the last of them what the model cannot tell."""
_MOST_BESIDE_PX = 12
_DIRECTIONS = tuple((row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if row or col)


def pieces(
    window_read: PixelWindow,
    core: PixelWindow,
    pixels: ChangedPixels,
    outlines: Outlines,
    pixel_area_m2: float,
) -> Iterator[Cell]:
    """The 4-connected pieces of each channel in the core.

    Args:
        window_read: The window that the arrays cover.
        core: The part of it whose pieces are wanted.
        pixels: The changed pixels of the read window.
        outlines: The model's answer.
        pixel_area_m2: Ground area of a pixel; may be not a number.
    """
    part = core.slices_within(window_read)
    labels, channel_of = labelled_pieces(pixels.channel[part], pixels.changed[part])
    if not channel_of:
        return
    size_px = np.bincount(labels.ravel())[1:]
    total = np.bincount(labels.ravel(), pixels.probability[part].ravel())[1:]
    grid_cells = _grid_cells(labels, cell_numbers(window_read)[part], len(channel_of))
    grounds = _grounds(labels, part, pixels, outlines, pixel_area_m2)
    polygons = piece_polygons(labels, core)
    means = np.minimum(total / size_px, 1.0).tolist()
    for index, mean, polygon, names, ground in zip(
        channel_of, means, polygons, grid_cells, grounds, strict=True
    ):
        class_name, change = pixels.channels[index]
        yield Cell(class_name, change, mean, polygon, names, pixels.captions[index], ground)


def box_grounds(
    zone_of: NDArray[np.intp], pixels: ChangedPixels, outlines: Outlines, pixel_area_m2: float
) -> Sequence[Ground]:
    """What lies under and around the changed pixels of each channel in each 3x3 cell.

    Args:
        zone_of: `(height, width)` what `cell_numbers` gives for the read window.
        pixels: The changed pixels of the read window.
        outlines: The model's answer.
        pixel_area_m2: Ground area of a pixel; may be not a number.

    Returns:
        One entry for each channel and cell, the nine cells of a channel after those of another.
    """
    row, col = np.nonzero(pixels.changed)
    label = pixels.channel[row, col] * 9 + zone_of[row, col]
    inside = _Inside(row, col, label, len(pixels.channels) * 9)
    return _grounds_of(inside, pixels, outlines, pixel_area_m2)


def box_objects(
    core: tuple[slice, slice], zone_of: NDArray[np.intp], pixels: ChangedPixels
) -> dict[tuple[int, int], int]:
    """Objects of the countable channels by channel and 3x3 cell, whose centres lie in the core."""
    inside = np.zeros(pixels.changed.shape, bool)
    inside[core] = True
    counts: dict[tuple[int, int], int] = {}
    for index, (class_name, _) in enumerate(pixels.channels):
        if class_name in ASKED:
            counts |= {(index, zone): 0 for zone in range(9)}
            for row, col in object_centres(pixels.changed & (pixels.channel == index)).tolist():
                counts[index, int(zone_of[row, col])] += int(inside[row, col])
    return counts


def _grid_cells(
    labels: NDArray[np.int32], zones: NDArray[np.intp], count: int
) -> list[tuple[str, ...]]:
    """Names of the 3x3 cells each label lies in, in raster order."""
    inside = labels > 0
    pairs = np.unique(labels[inside].astype(np.int64) * 9 + zones[inside])
    names: list[list[str]] = [[] for _ in range(count)]
    for pair in pairs.tolist():
        names[pair // 9 - 1].append(GRID_CELLS[pair % 9].name)
    return [tuple(cell_names) for cell_names in names]


# --- land cover ----------------------------------------------------------------------------------


class _Inside(NamedTuple):
    """Changed pixels of the read window, and the piece each belongs to, from 0."""

    row: NDArray[np.intp]
    col: NDArray[np.intp]
    label: NDArray[np.intp]
    pieces: int

    def code_counts(self, codes: NDArray[np.intp], among: NDArray[np.bool_]) -> NDArray[np.int64]:
        """`(pieces, covers)` how many of some of the pixels have each code."""
        index = self.label[among] * _COVERS + codes[among]
        counts = np.bincount(index, minlength=self.pieces * _COVERS)
        return counts.reshape(self.pieces, _COVERS)


def _grounds(
    labels: NDArray[np.int32],
    part: tuple[slice, slice],
    pixels: ChangedPixels,
    outlines: Outlines,
    pixel_area_m2: float,
) -> Sequence[Ground]:
    """What lies under and around each piece."""
    row, col = np.nonzero(labels)
    label = labels[row, col].astype(np.intp) - 1
    inside = _Inside(row + part[0].start, col + part[1].start, label, int(labels.max()))
    return _grounds_of(inside, pixels, outlines, pixel_area_m2)


def _grounds_of(
    inside: _Inside, pixels: ChangedPixels, outlines: Outlines, pixel_area_m2: float
) -> Sequence[Ground]:
    cover = outlines.covers()
    if cover is None:
        return [Ground()] * inside.pieces
    all_pixels = np.ones(len(inside.row), bool)
    before, after = (
        inside.code_counts(_codes(date[inside.row, inside.col]), all_pixels) for date in cover
    )
    rim_px = _beside(inside, pixels, cover.after, _reach_px(pixel_area_m2))
    return [
        Ground(tuple(before_px), tuple(after_px), tuple(near))
        for before_px, after_px, near in zip(
            before.tolist(), after.tolist(), rim_px.tolist(), strict=True
        )
    ]


def _beside(
    inside: _Inside, pixels: ChangedPixels, after: NDArray[np.uint8], reach_px: int
) -> NDArray[np.int64]:
    """`(pieces, covers)`: what lies a few pixels away in eight directions.

    More of the same change does not count.
    """
    height_px, width_px = after.shape
    total = np.zeros((inside.pieces, _COVERS), np.int64)
    own_channel = pixels.channel[inside.row, inside.col]
    for distance_px in sorted({max(1, reach_px // 2), reach_px}):
        for row_step, col_step in _DIRECTIONS:
            row, col = inside.row + row_step * distance_px, inside.col + col_step * distance_px
            counts = (row >= 0) & (row < height_px) & (col >= 0) & (col < width_px)
            row, col = row.clip(0, height_px - 1), col.clip(0, width_px - 1)
            counts &= ~(pixels.changed[row, col] & (pixels.channel[row, col] == own_channel))
            total += inside.code_counts(_codes(after[row, col]), counts)
    return total


def _codes(covers: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Indices into the tallies: what cannot be told, and what is no known cover, comes last."""
    return np.minimum(covers, _COVERS - 1).astype(np.intp)


def _reach_px(pixel_area_m2: float) -> int:
    if math.isnan(pixel_area_m2):
        return 2
    return min(max(1, round(BESIDE_M / math.sqrt(pixel_area_m2))), _MOST_BESIDE_PX)
