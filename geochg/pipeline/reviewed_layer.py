"""The changes of a layer that was written before, and what a review made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import CRS

from geochg.errors import InputError
from geochg.features.review import REVIEW_CLASS, without_rejected
from geochg.geometry.placement import crs_of, table_column
from geochg.geometry.reprojected_areas import Bounds, areas_in_crs
from geochg.geometry.vector_file import field_text, read_layer
from geochg.land_cover import agrees
from geochg.pipeline.zones import ground_of
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.writers.layer_metadata import grid_of, read_metadata

if TYPE_CHECKING:
    import geopandas as gpd

_REQUIRED = ("class", "change")
_LONGEST_NAME = 500
_TEXTS = (*_REQUIRED, "before_class", "after_class", REVIEW_CLASS)


def read_changes(layer: str) -> tuple[gpd.GeoDataFrame, GeoBox | None]:
    """The changes of a layer, and the grid of the run that found them as far as it is told.

    Classes and directions are text of one line, whatever a GIS stored them as, and missing where
    they are empty.

    Args:
        layer: The layer, with `|layername=NAME` and `|subset=CONDITION` behind it where there are.

    Raises:
        InputError: If it cannot be read, or is no layer of changes.
    """
    label = without_secrets(layer)
    grid = None
    try:
        name, metadata = read_metadata(layer)
        grid = grid_of(metadata)
    except InputError:  # saved by another program, or none of ours: its columns tell
        name = None
    frame = read_layer(layer if name is None else name)
    if frame.empty and name is not None:
        # A GeoJSON file without features tells of no fields: the run found nothing.
        missing = [column for column in _REQUIRED if column not in frame.columns]
        frame = frame.assign(**{column: table_column([], "string") for column in missing})
    for column in _REQUIRED:
        if column not in frame.columns:
            raise InputError(
                f"{label} has no field {column!r}", "give a change layer that geochg wrote"
            )
    if getattr(frame, "crs", None) is None:
        raise InputError(
            f"{label} has no coordinate reference system", "give the layer as geochg wrote it"
        )
    texts = {
        name: table_column([_name(value) or None for value in frame[name].tolist()], "string")
        for name in _TEXTS
        if name in frame.columns
    }
    return frame.assign(**texts), grid


def on_grid(frame: gpd.GeoDataFrame, grid: GeoBox) -> gpd.GeoDataFrame:
    """Changes in the CRS of the grid that they were found on; GeoJSON is in degrees.

    Longitudes are on the grid's side of the antimeridian; what lies far off the grid is cut off.
    """
    crs = crs_of(grid).proj
    if CRS(frame.crs) == crs and not crs.is_geographic:
        return frame
    bounds = Bounds(*ground_of(grid).bounds)
    polygons = areas_in_crs(frame.geometry.to_numpy(), CRS(frame.crs), crs, bounds)
    return frame.set_geometry(polygons).set_crs(crs, allow_override=True)


def as_reviewed(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The changes that were not rejected, as the classes that a reviewer gave them."""
    frame = without_rejected(frame).reset_index(drop=True)
    if REVIEW_CLASS not in frame:
        return frame
    new_classes = frame[REVIEW_CLASS]
    is_given = new_classes.notna().to_numpy()
    frame = frame.assign(**{"class": new_classes.where(is_given, frame["class"])})
    covers = {name: _values(frame, name) for name in ("before_class", "after_class")}
    # What the model took the ground for may contradict the class that a person sees.
    for row in np.flatnonzero(is_given).tolist():
        kind = (str(frame["class"][row]), str(frame["change"][row]))
        before, after = covers["before_class"][row], covers["after_class"][row]
        pairs = ((before, after), (before, None), (None, after), (None, None))
        fitting = next((pair for pair in pairs if agrees(*kind, *pair)), (None, None))
        covers["before_class"][row], covers["after_class"][row] = fitting
    return frame.assign(**{name: table_column(values, "string") for name, values in covers.items()})


def _name(value: object) -> str:
    return cleaned(field_text(value), _LONGEST_NAME)


def _values(frame: gpd.GeoDataFrame, name: str) -> list[str | None]:
    values = frame[name].tolist() if name in frame else [None] * len(frame)
    return [value if isinstance(value, str) else None for value in values]
