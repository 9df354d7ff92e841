"""The places that are watched: blocks of pixels, or zones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from geochg.errors import InputError, OptionError
from geochg.features.zones import Zones, read_zones
from geochg.geometry.placement import crs_of
from geochg.pipeline.zones import ground_of
from geochg.records import PixelWindow
from geochg.tiling.aoi import Area
from geochg.tiling.grid import pixel_m
from geochg.timeseries.options import SeriesOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BLOCKS = 10_000_000
"""Most blocks of a series; of more, the observations would fill a disk."""

_MOST_KEPT_PX = 32_000_000
"""Pixels of zones of which it is kept where they lie, from date to date."""


class Members(NamedTuple):
    """The pixels of a window that belong to places.

    Attributes:
        places: `(n,)` numbers of the places that have pixels there.
        positions: `(pixels,)` position in `places` of the place of each pixel; a pixel of two zones
            stands twice.
        pixels: `(pixels,)` positions of the pixels in the flattened window; None for all of them,
            in order.
    """

    places: NDArray[np.intp]
    positions: NDArray[np.intp]
    pixels: NDArray[np.intp] | None


class Places(Protocol):
    """Places on a grid."""

    def __len__(self) -> int:
        """Number of places."""

    def members(self, window: PixelWindow) -> Members:
        """The pixels of a window that belong to places."""


@dataclass(frozen=True)
class Blocks:
    """Square blocks from the grid's top-left corner; those at its edges may be cut off.

    Attributes:
        grid: The grid.
        side_px: Side of a block in pixels.
        area: The area of interest; pixels outside belong to no block.
    """

    grid: GeoBox
    side_px: int
    area: Area | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        height_px, width_px = self.grid.shape
        return -(-height_px // self.side_px), -(-width_px // self.side_px)

    def __len__(self) -> int:
        return self.shape[0] * self.shape[1]

    def members(self, window: PixelWindow) -> Members:
        """The pixels of a window that belong to blocks."""
        rows = np.arange(window.row_start, window.row_stop) // self.side_px
        cols = np.arange(window.col_start, window.col_stop) // self.side_px
        block_rows, row_index = np.unique(rows, return_inverse=True)
        block_cols, col_index = np.unique(cols, return_inverse=True)
        places = (block_rows[:, None] * self.shape[1] + block_cols).ravel()
        index = (row_index[:, None] * len(block_cols) + col_index).ravel()
        if self.area is None:
            return Members(places, index, None)
        pixels = np.flatnonzero(self.area.mask(window))
        return Members(places, index[pixels], pixels)


@dataclass(frozen=True)
class ZonePlaces:
    """Zones as places: a pixel belongs to those that its centre lies in.

    Attributes:
        zones: The zones, in the grid's CRS.
        grid: The grid.
        area: The area of interest; pixels outside belong to no zone.
    """

    zones: Zones
    grid: GeoBox
    area: Area | None = None
    _kept: dict[PixelWindow, Members] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.zones)

    @cached_property
    def _areas(self) -> list[Area]:
        """The zones in pixels of the grid."""
        to_pixels = ~self.grid.affine
        a, b, c, d, e, f = to_pixels[:6]
        polygons = shapely.transform(
            self.zones.polygons,
            lambda xy: np.column_stack(
                [a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f]
            ),
        )
        return [Area(polygon) for polygon in polygons]

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree([area.polygon for area in self._areas])

    def members(self, window: PixelWindow) -> Members:
        """The pixels of a window that belong to zones."""
        if window not in self._kept:
            members = self._found_members(window)
            kept_px = sum(len(former.positions) for former in self._kept.values())
            if kept_px + len(members.positions) > _MOST_KEPT_PX:
                return members
            self._kept[window] = members
        return self._kept[window]

    def _found_members(self, window: PixelWindow) -> Members:
        box = shapely.box(window.col_start, window.row_start, window.col_stop, window.row_stop)
        inside = None if self.area is None else self.area.mask(window)
        places, parts = [], []
        for place in sorted(self._tree.query(box, predicate="intersects").tolist()):
            mask = self._areas[place].mask(window)
            pixels = np.flatnonzero(mask if inside is None else mask & inside)
            if len(pixels):
                places.append(place)
                parts.append(pixels)
        index = np.repeat(np.arange(len(parts)), [len(pixels) for pixels in parts])
        pixels = np.concatenate(parts) if parts else np.empty(0, np.intp)
        return Members(np.array(places, np.intp), index, pixels)


def places_of(grid: GeoBox, area: Area | None, options: SeriesOptions) -> Blocks | ZonePlaces:
    """The places that the options ask for.

    Raises:
        InputError: If the zones cannot be used.
        OptionError: If there are more blocks than a series takes.
    """
    if options.zones:
        zones = read_zones(
            options.zones,
            crs_of(grid).proj,
            ground_of(grid, area),
            options.zone_name,
            allow_remote=options.allow_remote,
        )
        return ZonePlaces(zones, grid, area)
    blocks = Blocks(grid, options.block_size.pixels(pixel_m(grid)), area)
    if len(blocks) > MOST_BLOCKS:
        raise OptionError(
            f"{len(blocks):,} blocks of {blocks.side_px} px, and a series has at most "
            f"{MOST_BLOCKS:,}",
            "choose larger blocks, such as --block 100m, or an --aoi",
        )
    return blocks


def unseen_zones(zones: Zones, pixels: NDArray[np.int64]) -> Sequence[str]:
    """Names of the zones in which no pixel has its centre.

    Raises:
        InputError: If that are all zones.
    """
    names = [name for name, count in zip(zones.names, pixels.tolist(), strict=True) if not count]
    if len(names) == len(zones):
        raise InputError(
            "no pixel has its centre in one of the zones", "give zones of more than a pixel"
        )
    return names
