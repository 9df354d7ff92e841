"""The zones of a run: read before it begins, and held against the ground that it came to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from geochg.events import Listener, Notice
from geochg.features.tiles import core_boxes
from geochg.features.zones import Zones, read_zones, zones_with_data
from geochg.geometry.placement import crs_of, on_ground
from geochg.options import AnalyzeOptions
from geochg.records import TileWindow

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from geochg.tiling.aoi import Area


def zones_of_run(
    options: AnalyzeOptions, grid: GeoBox, area: Area | None, listener: Listener
) -> Zones | None:
    """The zones of a run in the CRS of its grid; None where none are wanted.

    Args:
        options: `zones`, `zone_name` and `allow_remote` are taken from these.
        grid: The common grid.
        area: The area of interest on it; None for all of it.
        listener: Told what is remarkable about them.

    Raises:
        InputError: If they cannot be used; see `read_zones`.
    """
    if not options.zones:
        return None
    zones = read_zones(
        options.zones,
        crs_of(grid).proj,
        ground_of(grid, area),
        options.zone_name,
        allow_remote=options.allow_remote,
    )
    for remark in zones.remarks:
        listener(Notice(remark, warning=True))
    return zones


def ground_of(grid: GeoBox, area: Area | None = None) -> BaseGeometry:
    """The ground of a grid, or of the area of interest on it, in the grid's CRS."""
    height_px, width_px = grid.shape
    full_box = shapely.box(0, 0, width_px, height_px)
    polygon = full_box if area is None else shapely.intersection(area.polygon, full_box)
    return _placed(polygon, grid)


def zones_seen(
    zones: Zones, grid: GeoBox, area: Area | None, unseen_tiles: Sequence[TileWindow]
) -> Zones:
    """The zones without those that lie in tiles without data, or in tiles that failed.

    Args:
        zones: Zones in the CRS of the grid.
        grid: The common grid.
        area: The area of interest on it; None for all of it.
        unseen_tiles: Tiles in whose core no pixel is valid at all dates, or that failed.
    """
    if not unseen_tiles:
        return replace(zones, remarks=())
    cores = shapely.union_all(on_ground(core_boxes(unseen_tiles), grid))
    return zones_with_data(zones, shapely.difference(ground_of(grid, area), cores))


def _placed(polygon: BaseGeometry, grid: GeoBox) -> BaseGeometry:
    placed_polygon: BaseGeometry = on_ground(np.array([polygon], dtype=object), grid)[0]
    return placed_polygon
