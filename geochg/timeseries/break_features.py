"""The layer of a series: places that left their usual course, and zones that did not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geochg.features.zones import ground_areas
from geochg.geometry.placement import crs_of, layer_frame, on_ground, table_column
from geochg.land_cover import OTHER, class_and_direction
from geochg.records import CANNOT_TELL
from geochg.tasks.quantities import rounded_value
from geochg.timeseries.break_table import BREAK
from geochg.timeseries.images import SeriesDate
from geochg.timeseries.joined_blocks import block_polygons, joined_blocks
from geochg.timeseries.place_table import PlaceTable, cover_name
from geochg.timeseries.places import Blocks, ZonePlaces

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

COLUMNS = {
    "id": "int64",
    "zone": "string",
    "status": "string",
    "class": "string",
    "change": "string",
    "before_class": "string",
    "after_class": "string",
    "break_date": "string",
    "break_from": "string",
    "break_to": "string",
    "watched": "string",
    "difference": "float64",
    "strength": "float64",
    "persistence": "float64",
    "rmse": "float64",
    "aic": "float64",
    "coverage": "float64",
    "forecasts": "Int64",
    "dates": "Int64",
    "valid_share": "float64",
    "blocks": "Int64",
    "caption": "string",
    "area_m2": "float64",
}
"""The columns of the layer and their types, `geometry` behind them.

`zone` is missing for blocks, `blocks` for zones; `status` is one of `break_table.STATUSES`; the
dates are ISO 8601 as precise as they are known, `break_from` the last on the old course,
`break_to`, and `break_date` with it, the first off it; `watched` is the column whose scores are
told: the one that left its course, else the first; `difference` is by how much it changed, new
minus old, in its units; the other columns are those of `PlaceTable`, of several blocks their
median or mean.
"""

_MEDIANS = ("difference", "strength", "rmse", "aic")
_MEANS = ("persistence", "valid_share")
_DECIMALS = {"persistence": 3, "coverage": 3, "valid_share": 3, "aic": 1, "strength": 2}
_USUAL_DECIMALS = 4


def zone_features(
    table: PlaceTable, places: ZonePlaces, dates: Sequence[SeriesDate], watched: Sequence[str]
) -> GeoDataFrame:
    """One row a zone, in the order of the zones; `COLUMNS` says what stands in it."""
    rows = [
        {
            **_row(table, np.array([number]), dates, watched),
            "zone": name,
            "blocks": None,
        }
        for number, name in enumerate(places.zones.names)
    ]
    areas = ground_areas(places.zones.polygons, places.zones.crs)
    return _frame(rows, places.zones.polygons, areas, places.grid)


class BlockFeatures(NamedTuple):
    """Features that blocks make.

    Attributes:
        frame: One row a feature, see `COLUMNS`.
        members: The numbers of the blocks of each.
    """

    frame: GeoDataFrame
    members: list[NDArray[np.intp]]


def block_features(
    table: PlaceTable,
    places: Blocks,
    dates: Sequence[SeriesDate],
    watched: Sequence[str],
    least_area_m2: float = 0.0,
) -> BlockFeatures:
    """One row for neighbouring blocks that broke at the same time; see `COLUMNS`.

    Args:
        table: What became of the blocks.
        places: The blocks.
        dates: The dates of the series.
        watched: Names of the watched columns.
        least_area_m2: Features below this area are left out.
    """
    labels = joined_blocks(table, places.shape)
    members = _members(labels)
    if not members:
        return BlockFeatures(_frame([], np.empty(0, dtype=object), np.empty(0), places.grid), [])
    polygons = on_ground(block_polygons(labels, places), places.grid)
    areas = ground_areas(polygons, crs_of(places.grid).proj)
    rows = [
        {**_row(table, blocks, dates, watched), "zone": None, "blocks": len(blocks)}
        for blocks in members
    ]
    large_features = np.flatnonzero((areas >= least_area_m2) & (areas > 0)).tolist()
    frame = _frame(
        [rows[number] for number in large_features],
        polygons[large_features],
        areas[large_features],
        places.grid,
    )
    return BlockFeatures(frame, [members[number] for number in large_features])


def _members(labels: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """The blocks of each label."""
    flat = labels.ravel()
    blocks = np.flatnonzero(flat)
    order = blocks[np.argsort(flat[blocks], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(flat[order])) + 1) if len(order) else []


def _row(
    table: PlaceTable,
    places: NDArray[np.intp],
    dates: Sequence[SeriesDate],
    watched: Sequence[str],
) -> dict[str, Any]:
    """What is told of one place, or of several blocks that broke together."""
    is_broken = table.status[places[0]] == BREAK
    column = _commonest(table.column[places])
    # Scores of other columns have other units and signs.
    same_column = places[table.column[places] == column]
    values: dict[str, Any] = {
        "status": str(table.status[places[0]]),
        "watched": watched[column],
        "dates": int(np.median(table.dates[places])),
        "forecasts": int(table.forecasts[places].sum()),
        "coverage": _coverage(table, places),
        "before_class": cover_name(_commonest(table.before_class[places])),
        "after_class": cover_name(_commonest(table.after_class[places])),
        **{name: _median(getattr(table, name)[same_column]) for name in _MEDIANS},
        **{name: _mean(getattr(table, name)[places]) for name in _MEANS},
    }
    values["class"], values["change"] = _kind(values) if is_broken else (None, None)
    if is_broken:
        start = dates[int(table.last_on[places].max())].text
        end = dates[int(table.first_off[places].min())].text
        values |= {"break_from": start, "break_to": end, "break_date": end}
    else:
        values |= dict.fromkeys(("break_from", "break_to", "break_date"))
    for name, value in values.items():
        if isinstance(value, float):
            values[name] = rounded_value(value, _DECIMALS.get(name, _USUAL_DECIMALS))
    return values | {"caption": break_sentence(values) if is_broken else None}


def break_sentence(values: Mapping[str, Any]) -> str:
    """A break in words."""
    text = f"Left its usual course between {values['break_from']} and {values['break_to']}"
    old, new = values["before_class"], values["after_class"]
    if old and new and old != new:
        text += f", from {old} to {new}"
    difference = values["difference"]
    if difference:
        text += (
            f": {values['watched']} {'rose' if difference > 0 else 'fell'} by {abs(difference):.3g}"
        )
    return f"{text}."


def _kind(values: Mapping[str, Any]) -> tuple[str, str]:
    """Class and direction of a change, as far as its land covers tell."""
    old, new = values["before_class"], values["after_class"]
    if old is None or new is None or old == new:
        return OTHER.class_name, OTHER.change.value
    class_name, change = class_and_direction(old, new)
    return class_name, change.value


def _coverage(table: PlaceTable, places: NDArray[np.intp]) -> float | None:
    """Share of all held-out observations of some places inside their intervals."""
    forecasts = table.forecasts[places]
    total = forecasts.sum()
    inside = np.nansum(table.coverage[places] * forecasts)
    return float(inside / total) if total else None


def _commonest(codes: NDArray[np.integer]) -> int:
    """The commonest code; of classes, one that is told goes before one that is not."""
    told_codes = codes[codes != CANNOT_TELL]
    known_codes = told_codes if 2 * len(told_codes) >= len(codes) else codes
    return int(np.bincount(known_codes.astype(np.intp)).argmax())


def _median(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def _mean(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return math.fsum(finite.tolist()) / len(finite) if len(finite) else None


def _frame(
    rows: Sequence[Mapping[str, Any]],
    polygons: NDArray[np.object_],
    areas: NDArray[np.float64],
    grid: GeoBox,
) -> GeoDataFrame:
    columns = {
        "id": table_column(range(1, len(rows) + 1), "int64"),
        **{
            name: table_column([row[name] for row in rows], dtype)
            for name, dtype in COLUMNS.items()
            if name not in ("id", "area_m2")
        },
        "area_m2": table_column((rounded_value(area, 1) for area in areas.tolist()), "float64"),
    }
    return layer_frame({name: columns[name] for name in COLUMNS}, polygons, grid)
