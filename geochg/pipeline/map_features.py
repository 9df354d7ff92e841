"""The features of a change layer at one place, for answers that agree with the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.features.review import REVIEW_CLASS, without_rejected
from geochg.geometry.vector_file import read_layer
from geochg.models.chat.change_views import MapFeature, MapView
from geochg.records import Change, Channel
from geochg.safety.untrusted_text import without_secrets
from geochg.tiling.footprints import lonlat_box, pixel_polygon

if TYPE_CHECKING:
    import geopandas as gpd

_REQUIRED = ("class", "change", "area_m2")


def map_view(text: str, grid: GeoBox) -> MapView:
    """The changes that a layer shows on a grid; those that a reviewer rejected are left out.

    Args:
        text: The file, with `|layername=NAME` and `|subset=CONDITION` behind it where there are.
        grid: The grid of the place.

    Raises:
        InputError: If the layer cannot be read or is none of changes.
    """
    frame = read_layer(text)
    if missing := [name for name in _REQUIRED if name not in frame.columns]:
        raise InputError(
            f"{without_secrets(text)} has no field {missing[0]!r}",
            "give a change layer that geochg wrote",
        )
    if frame.crs is None:
        raise InputError(
            f"{without_secrets(text)} has no coordinate reference system",
            "give the layer as geochg wrote it",
        )
    frame = _nearby(without_rejected(frame), grid)
    features = [_feature(row, CRS(frame.crs), grid) for _, row in frame.iterrows()]
    height_px, width_px = grid.shape
    box = shapely.box(0, 0, width_px, height_px)
    return MapView(
        [f for f in features if shapely.area(shapely.intersection(f.polygon, box)) > 0],
        (height_px, width_px),
    )


def _nearby(frame: gpd.GeoDataFrame, grid: GeoBox) -> gpd.GeoDataFrame:
    """The features that may lie on a grid: placing all of a large layer takes seconds."""
    frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    west, south, east, north = lonlat_box(grid)
    if not CRS(frame.crs).geographic or not -180 <= west <= east <= 180:
        return frame
    return frame.cx[west:east, south:north]


def _feature(row: pd.Series, crs: CRS, grid: GeoBox) -> MapFeature:
    name = row.get(REVIEW_CLASS)
    try:
        change = Change(str(row["change"]))
    except ValueError as error:
        raise InputError(
            f"{row['change']!r} is no direction of a change", "give a layer that geochg wrote"
        ) from error
    class_name = str(name) if isinstance(name, str) and name else str(row["class"])
    polygon = shapely.make_valid(pixel_polygon(row.geometry, crs, grid))
    return MapFeature(Channel(class_name, change), polygon, float(row["area_m2"]))
