"""What rules answer from: the changes in a tile that a model outlines, or that a map shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geochg.classes import CLASSES
from geochg.geometry.grid_cells import axis_cells, thirds
from geochg.geometry.hysteresis import ChangedPixels, changed_pixels, least_size_px
from geochg.geometry.pieces import label_pieces
from geochg.land_cover import OTHER, is_borne_out
from geochg.records import (
    CELL_AREA_SHARE,
    GRID_CELLS,
    LAND_COVER,
    Channel,
    GridCell,
    LandCover,
    Outlines,
)
from geochg.tasks.lexicon import ASKED

_LEAST_SHARE = 0.0005
"""Channels on less than this share of what a tile shows are not worth a word."""

_PLACE_SHARE = 0.1
"""Share of a channel's area from which on its part in a cell of a map is told."""


class ChannelChange(NamedTuple):
    """The changes of one class and direction.

    Attributes:
        channel: Class and direction.
        pieces: Number of separate changes.
        share: Share of what the tile shows that they cover.
        area_m2: Area on the ground; NaN for images without georeference.
        cells: Cells of the 3x3 grid in which they lie.
    """

    channel: Channel
    pieces: int
    share: float
    area_m2: float
    cells: tuple[GridCell, ...]


class ChangeView(Protocol):
    """The changes in a tile."""

    @property
    def classes(self) -> set[str]:
        """Names of the classes that could be seen."""

    @property
    def counted_classes(self) -> tuple[str, ...] | None:
        """Classes whose changes are counted; None where nothing is."""

    @property
    def is_exact(self) -> bool:
        """Whether numbers are those of a map."""

    def changes(self, cells: NDArray[np.bool_]) -> list[ChannelChange]:
        """The changes by class and direction, the largest first.

        Args:
            cells: `(9,)` cells of the 3x3 grid that count.
        """


@dataclass(frozen=True, slots=True, eq=False)
class ObservedTile:
    """What a model outlined in a tile.

    Attributes:
        outlines: The outlines of changes.
        valid: `(height, width)` bool.
        pixel_area_m2: Area of a pixel on the ground; NaN for images without georeference.
        shown_px: Number of pixels that show anything: valid, and not empty at both dates.
        counts: Whether the model counts changes.
        keeps_names: Whether the model's classes stand, see `Capabilities.keeps_names`.
    """

    outlines: Outlines
    valid: NDArray[np.bool_]
    pixel_area_m2: float
    shown_px: int
    counts: bool = True
    keeps_names: bool = False
    is_exact = False

    @property
    def classes(self) -> set[str]:
        """Names of the classes that the model outlines."""
        return {channel.class_name for channel in self.outlines.channels}

    @property
    def counted_classes(self) -> tuple[str, ...] | None:
        """Classes whose changes are counted; None where nothing is."""
        return ASKED if self.counts else None

    def changes(self, cells: NDArray[np.bool_]) -> list[ChannelChange]:
        """The changes by class and direction; see `ChangeView`."""
        outlines = changed_pixels(
            self.outlines, self.valid, least_px=least_size_px(self.pixel_area_m2)
        )
        if outlines is None:
            return []
        if not self.keeps_names:
            outlines = _with_borne_out_names(outlines, self.outlines.covers(), self.pixel_area_m2)
        cell_of = cells_of_pixels(self.valid)
        changed = outlines.changed & cells[cell_of]
        valid_px = np.bincount(cell_of[self.valid], minlength=9)
        changes = []
        for index, channel in enumerate(outlines.channels):
            inside = changed & (outlines.channel == index)
            count_px = int(np.count_nonzero(inside))
            if count_px <= _LEAST_SHARE * self.shown_px:
                continue
            named_cells = _named_cells(np.bincount(cell_of[inside], minlength=9), valid_px)
            share, area_m2 = count_px / max(self.shown_px, 1), count_px * self.pixel_area_m2
            pieces = _pieces(inside)[1]
            changes.append(ChannelChange(channel, pieces, share, area_m2, named_cells))
        return _largest_first(changes)


class MapFeature(NamedTuple):
    """A change that a map shows.

    Attributes:
        channel: Class and direction.
        polygon: Polygon in pixel coordinates of the tile.
        area_m2: Area on the ground.
    """

    channel: Channel
    polygon: BaseGeometry
    area_m2: float


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """The changes that a map shows in a tile; numbers and areas are those of its features.

    Of a feature that reaches beyond the tile, the part inside counts.

    Attributes:
        features: Features of the map, some of which may lie outside the tile.
        shape: Height and width of the tile in pixels.
    """

    features: Sequence[MapFeature]
    shape: tuple[int, int]
    is_exact = True

    @property
    def classes(self) -> set[str]:
        """Names of all classes, and of those that other models gave to features."""
        return {*CLASSES, *(feature.channel.class_name for feature in self.features)}

    @property
    def counted_classes(self) -> tuple[str, ...]:
        """All classes are counted."""
        names = (feature.channel.class_name for feature in self.features)
        return tuple(dict.fromkeys((*CLASSES, *names)))

    def changes(self, cells: NDArray[np.bool_]) -> list[ChannelChange]:
        """The changes by class and direction; see `ChangeView`."""
        boxes, channels = self._cell_boxes(), dict.fromkeys(f.channel for f in self.features)
        cell_px, asked_px = shapely.area(boxes), np.where(cells, 1.0, 0.0)
        changes = []
        for channel in channels:
            features = [feature for feature in self.features if feature.channel == channel]
            polygons = np.array([feature.polygon for feature in features])
            # (features, 9): pixels of each feature in each cell that was asked for.
            parts_px = shapely.area(shapely.intersection(polygons[:, None], boxes)) * asked_px
            sizes_px = parts_px.sum(axis=1)
            if not (sizes_px > 0).any():
                continue
            area_m2 = sum(
                feature.area_m2 * size_px / feature.polygon.area
                for feature, size_px in zip(features, sizes_px, strict=True)
            )
            share = float(sizes_px.sum() / (self.shape[0] * self.shape[1]))
            # Small features in a cell of their own are seen on the map, too.
            least_px = np.minimum(cell_px, sizes_px.sum() * _PLACE_SHARE / CELL_AREA_SHARE)
            named_cells = _named_cells(parts_px.sum(axis=0), least_px)
            pieces = int(np.count_nonzero(sizes_px > 0))
            changes.append(ChannelChange(channel, pieces, share, float(area_m2), named_cells))
        return _largest_first(changes)

    def _cell_boxes(self) -> NDArray[np.object_]:
        rows, cols = thirds(0, self.shape[0]), thirds(0, self.shape[1])
        boxes = [
            shapely.box(cols[cell.col], rows[cell.row], cols[cell.col + 1], rows[cell.row + 1])
            for cell in GRID_CELLS
        ]
        return np.array(boxes)


def _named_cells(changed_px: NDArray[Any], shown_px: NDArray[Any]) -> tuple[GridCell, ...]:
    """The cells of which enough changed, or the one of which most did."""
    cells = np.flatnonzero(changed_px > CELL_AREA_SHARE * np.maximum(shown_px, 1))
    if not len(cells):
        cells = np.array([changed_px.argmax()])
    return tuple(GRID_CELLS[cell] for cell in cells)


def _largest_first(changes: list[ChannelChange]) -> list[ChannelChange]:
    return sorted(changes, key=lambda change: -change.share)


def _with_borne_out_names(
    outlines: ChangedPixels, land_cover: LandCover | None, pixel_area_m2: float
) -> ChangedPixels:
    """The changed pixels, pieces whose class is in doubt called other, as on the map."""
    if land_cover is None:
        return outlines
    channels, channel = (*outlines.channels, OTHER), outlines.channel.copy()
    for index, kind in enumerate(outlines.channels):
        inside = outlines.changed & (outlines.channel == index)
        labels, count = _pieces(inside)
        tallies = [_cover_tallies(date[inside], labels[inside], count) for date in land_cover]
        is_doubted = [False] + [
            not is_borne_out(kind.class_name, kind.change, before, after, pixel_area_m2)
            for before, after in zip(*tallies, strict=True)
        ]
        channel[np.array(is_doubted)[labels]] = len(outlines.channels)
    channel[channel == len(outlines.channels)] = channels.index(OTHER)
    return outlines._replace(channels=channels, channel=channel)


def _pieces(changed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """`(height, width)` number of the piece of each changed pixel from 1 on, and their number.

    Pixels that touch at a corner are of one piece, as on the map.
    """
    labels, count = label_pieces(changed, corners=True)
    return labels.astype(np.intp, copy=False), int(count)


def _cover_tallies(
    covers: NDArray[np.uint8], labels: NDArray[np.intp], count: int
) -> list[list[int]]:
    """Pixels of each land cover in each piece, those that cannot be told last."""
    codes = len(LAND_COVER) + 1
    kinds = (labels - 1) * codes + np.minimum(covers, codes - 1)
    return np.bincount(kinds, minlength=count * codes).reshape(-1, codes).tolist()


def cells_of_pixels(valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """`(height, width)` index into `GRID_CELLS`: thirds of what is valid, not of its padding."""
    row, col = (_cells_along(np.any(valid, axis=axis)) for axis in (1, 0))
    return row[:, None] * 3 + col


def _cells_along(is_valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    valid = np.flatnonzero(is_valid)
    first, last = (int(valid[0]), int(valid[-1])) if len(valid) else (0, len(is_valid) - 1)
    return axis_cells(first, last - first + 1, len(is_valid))
