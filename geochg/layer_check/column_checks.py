"""Columns of a layer that the format of the output has no place for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from geochg.errors import InputError
from geochg.safety.untrusted_text import printable
from geochg.writers.recognition import PARQUET_SUFFIXES

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import Series

_SHAPE = "geom"
"""Column of the shapes in each GeoPackage that geochg writes."""

_GREATEST = np.iinfo(np.int64).max


def check_columns(frame: GeoDataFrame, label: str, suffix: str) -> None:
    """Refuses a layer with columns that could not be written at the end of the run.

    Args:
        frame: The layer.
        label: Its name, for messages.
        suffix: Suffix of the output, such as `.gpkg`.

    Raises:
        InputError: If a column cannot be stored.
    """
    suffix = suffix.lower()
    if suffix in PARQUET_SUFFIXES:
        return
    for name in frame.columns.drop(frame.geometry.name):
        if (kind := _unknown_kind(frame[name])) is not None:
            raise InputError(
                f"the column {printable(str(name))!r} of {label} holds {kind}, "
                f"for which {suffix} has no type",
                "make it text or leave it out, or write .parquet",
            )
    if suffix == ".gpkg":
        _check_geopackage(frame, label)


def _unknown_kind(column: Series) -> str | None:
    """What a column holds that GDAL does not write, in words; None where it does."""
    type_name = str(column.dtype)
    if type_name == "geometry":
        return "further shapes"
    if type_name.startswith(("timedelta", "duration")):
        return "durations"
    if type_name.lower() == "uint64" and len(column.dropna()) and column.max() > _GREATEST:
        return "numbers above 2^63"
    return None


def _check_geopackage(frame: GeoDataFrame, label: str) -> None:
    names = [str(name) for name in frame.columns.drop(frame.geometry.name)]
    counts = Counter(name.lower() for name in names)
    for name in names:
        column_text = f"the column {printable(name)!r} of {label}"
        hint = "rename it, or write .geojson, .fgb or .parquet"
        if name.lower() == _SHAPE:
            raise InputError(f"{column_text} is named as the shapes of a GeoPackage are", hint)
        if counts[name.lower()] > 1:
            raise InputError(
                f"{column_text} differs from another one in upper and lower case alone, "
                "which a GeoPackage does not tell apart",
                hint,
            )
