"""The changes as a report lists, draws and counts them, read in one pass over their tables."""

from __future__ import annotations

import heapq
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.features.review import REJECTED, REVIEW, REVIEW_CLASS
from geochg.geometry.placement import crs_of, transformer
from geochg.report.views import ViewSize
from geochg.safety.untrusted_text import cleaned
from geochg.tiling.footprints import pixel_polygon

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from shapely.geometry.base import BaseGeometry

MOST_LISTED = 10_000
"""Most changes that a report lists and draws; of more, the largest are taken."""

BINS = 20
"""Bars of the histogram of confidence."""

NO_CLASS = "no class"
"""What a change without a class is called."""

_LONGEST_NAME = 120
_LONGEST_CAPTION = 600
_SIMPLER_PX = 0.15
"""Outlines may stray by this share of a pixel of the view."""


class ChangeKind(NamedTuple):
    """What changes are counted by."""

    class_name: str
    change: str


@dataclass(frozen=True)
class ListedChange:
    """One change, as the page shows it. Texts are of bounded length and printable.

    Attributes:
        id: Its `id` in the layer; unique within the report.
        kind: Class and direction; the reviewer's class where there is one.
        confidence: 0-1; None where it was not measured.
        area_m2: None where the layer does not tell it.
        caption: May be empty.
        facts: Further facts by their names, such as `before_class`; only those that are there.
        review: What a reviewer decided; empty where nobody did.
        step: Number of the step of a series; None for the whole and of a pair.
        dates: The dates between which it changed; empty where they are not known.
        bounds_px: Left, top, right and bottom in pixels of the grid.
        lonlat: Longitude and latitude of a point in it, in degrees.
        outline: Its shape in pixels of the view, without points that would not be seen.
    """

    id: str
    kind: ChangeKind
    confidence: float | None
    area_m2: float | None
    caption: str
    facts: Mapping[str, str]
    review: str
    step: int | None
    dates: tuple[str, str]
    bounds_px: tuple[float, float, float, float]
    lonlat: tuple[float, float]
    outline: BaseGeometry


@dataclass
class ChangeTable:
    """All changes of a layer: some of them listed, all of them counted.

    Attributes:
        listed: Those that the page shows, in the order of the layer.
        count: Number of all.
        counts: Number of changes of each kind that count: of a series those of the whole, and none
            that a reviewer rejected.
        areas_m2: Their areas.
        confidences: How many of them there are in each of `BINS` equal parts of 0-1.
        unmeasured: How many of them have no confidence.
        reviews: Number of changes by what a reviewer decided; empty for a layer without a review.
        unplaced: Number of changes that have no place on the grid and are not listed.
        steps: Numbers of the steps of a series, in order.
    """

    listed: list[ListedChange] = field(default_factory=list)
    count: int = 0
    counts: Counter[ChangeKind] = field(default_factory=Counter)
    areas_m2: dict[ChangeKind, float] = field(default_factory=dict)
    confidences: list[int] = field(default_factory=lambda: [0] * BINS)
    unmeasured: int = 0
    reviews: Counter[str] = field(default_factory=Counter)
    unplaced: int = 0
    steps: tuple[int, ...] = ()

    @property
    def is_series(self) -> bool:
        """Whether changes belong to steps of a series."""
        return bool(self.steps)


class _Row(NamedTuple):
    """A row of the layer that may be listed."""

    number: int
    values: Mapping[str, Any]
    crs: CRS


FACTS = (
    *("before_class", "after_class", "count", "break_date", "break_from", "break_to"),
    *("strength", "persistence", "first_seen", "last_seen", "note"),
)
"""Columns whose values are shown with a change where they are there."""


def change_table(
    frames: Iterable[GeoDataFrame], grid: GeoBox, size: ViewSize, most_listed: int = MOST_LISTED
) -> ChangeTable:
    """Reads the tables of a layer; memory holds the listed changes and one table.

    Args:
        frames: The tables, with a CRS.
        grid: The grid that they are drawn on.
        size: The size of its view.
        most_listed: Most changes that are listed.
    """
    table, largest = ChangeTable(), list[tuple[float, int, _Row]]()
    steps: set[int] = set()
    for frame in frames:
        crs = CRS(frame.crs)
        for values in _rows(frame):
            table.count += 1
            step = _integer(values.get("step"))
            if step is not None:
                steps.add(step)
            _count(table, values, counts=step is None)
            area_m2 = _number(values.get("area_m2")) or 0.0
            # The number keeps the order of equal ones, and rows from being compared.
            item = (area_m2, -table.count, _Row(table.count, values, crs))
            if len(largest) < most_listed:
                heapq.heappush(largest, item)
            else:
                heapq.heappushpop(largest, item)
    table.steps = tuple(sorted(steps))
    rows = sorted((row for _, _, row in largest), key=lambda row: row.number)
    table.listed = list(_listed_changes(rows, table, grid, size))
    return table


def _rows(frame: GeoDataFrame) -> Iterator[dict[str, Any]]:
    """The rows as plain values."""
    geometry = frame.geometry.to_numpy()
    columns = {name: frame[name].tolist() for name in frame.columns if name != frame.geometry.name}
    for number in range(len(frame)):
        yield {
            **{name: values[number] for name, values in columns.items()},
            "geometry": geometry[number],
        }


def _count(table: ChangeTable, values: Mapping[str, Any], *, counts: bool) -> None:
    """Counts a change, unless it is one of a step or was rejected."""
    review = _text(values.get(REVIEW), _LONGEST_NAME)
    if REVIEW in values:
        table.reviews[review] += 1
    if not counts or review == REJECTED:
        return
    kind = _kind(values)
    table.counts[kind] += 1
    area_m2 = _number(values.get("area_m2")) or 0.0
    table.areas_m2[kind] = table.areas_m2.get(kind, 0.0) + area_m2
    confidence = _number(values.get("confidence"))
    if confidence is None:
        table.unmeasured += 1
    else:
        table.confidences[min(BINS - 1, max(0, math.floor(confidence * BINS)))] += 1


def _listed_changes(
    rows: Iterable[_Row], table: ChangeTable, grid: GeoBox, size: ViewSize
) -> Iterator[ListedChange]:
    """The changes that can be drawn."""
    used_ids: set[str] = set()
    for row in rows:
        values = row.values
        shape = _pixel_shape(values["geometry"], row.crs, grid)
        if shape is None:
            table.unplaced += 1
            continue
        identifier = _text(values.get("id"), 40)
        if not identifier or identifier in used_ids:
            identifier = f"row {row.number}"
        used_ids.add(identifier)
        bounds_px = shapely.bounds(shape).tolist()
        point = shapely.point_on_surface(shape)
        yield ListedChange(
            id=identifier,
            kind=_kind(values),
            confidence=_number(values.get("confidence")),
            area_m2=_number(values.get("area_m2")),
            caption=_text(values.get("caption"), _LONGEST_CAPTION),
            facts={name: text for name in FACTS if (text := _fact(values.get(name)))},
            review=_text(values.get(REVIEW), _LONGEST_NAME),
            step=_integer(values.get("step")),
            dates=(_text(values.get("from_date"), 20), _text(values.get("to_date"), 20)),
            bounds_px=(bounds_px[0], bounds_px[1], bounds_px[2], bounds_px[3]),
            lonlat=_lonlat(point.x, point.y, grid),
            outline=_simple_outline(shape, size),
        )


def _pixel_shape(geometry: BaseGeometry | None, crs: CRS, grid: GeoBox) -> BaseGeometry | None:
    """A shape in grid pixels; None where it has no area or no place there."""
    if geometry is None or geometry.is_empty:
        return None
    try:
        shape = pixel_polygon(shapely.make_valid(geometry), crs, grid)
    except InputError:
        return None
    return None if shape.is_empty or shape.area == 0 else shape


def _simple_outline(shape: BaseGeometry, size: ViewSize) -> BaseGeometry:
    """A shape in grid pixels brought to pixels of the view."""
    scaled = shapely.transform(shape, lambda xy: xy * (size.per_col, size.per_row))
    return shapely.simplify(scaled, _SIMPLER_PX, preserve_topology=True)


def _lonlat(col: float, row: float, grid: GeoBox) -> tuple[float, float]:
    """Longitude, -180 to 180, and latitude of a place in grid pixels."""
    x, y = grid.transform * (col, row)
    lon, lat = transformer(crs_of(grid), CRS("EPSG:4326")).transform(x, y)
    return (lon + 180) % 360 - 180, lat


def svg_path(outline: BaseGeometry) -> str:
    """A shape as the attribute `d` of an SVG path, to a tenth of its unit.

    Steps are relative, which keeps a path of many points short.
    """
    polygons = [part for part in shapely.get_parts(outline) if part.geom_type == "Polygon"]
    pieces = []
    for ring in shapely.get_rings(polygons):
        points = np.rint(shapely.get_coordinates(ring)[:-1] * 10).astype(np.int64)
        steps = np.diff(points, axis=0)
        steps = steps[np.any(steps != 0, axis=1)]
        start = ",".join(_tenths(value) for value in points[0].tolist())
        line = " ".join(f"{_tenths(x)},{_tenths(y)}" for x, y in steps.tolist())
        pieces.append(f"M{start}l{line}z" if line else f"M{start}h.1z")
    return "".join(pieces)


def _tenths(value: int) -> str:
    """A whole number of tenths in as few characters as there may be."""
    sign, (whole_part, tenth) = "-" if value < 0 else "", divmod(abs(value), 10)
    if not tenth:
        return f"{sign}{whole_part}"
    return f"{sign}{whole_part or ''}.{tenth}"


def _kind(values: Mapping[str, Any]) -> ChangeKind:
    name = _text(values.get(REVIEW_CLASS), _LONGEST_NAME) or _class_name(values)
    return ChangeKind(name or NO_CLASS, _text(values.get("change"), _LONGEST_NAME))


def _class_name(values: Mapping[str, Any]) -> str:
    """The class of a change; of ground that was described, its labels."""
    labels = values.get("labels")
    if isinstance(labels, str) and labels.startswith("["):  # of formats that have no lists
        with suppress(ValueError, RecursionError):
            labels = json.loads(labels)
    if isinstance(labels, list | tuple | np.ndarray):
        return cleaned(", ".join(map(str, labels)), _LONGEST_NAME)
    return _text(values.get("class"), _LONGEST_NAME)


def _fact(value: object) -> str:
    number = _number(value)
    if number is not None:
        return f"{number:,g}"
    return _text(value, _LONGEST_CAPTION)


def _text(value: object, longest: int) -> str:
    """A text on one line; empty for what is missing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or _is_missing(value):
        return ""
    return cleaned(value, longest)


def _number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return None
    return float(value) if math.isfinite(value) else None


def _integer(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _is_missing(value: object) -> bool:
    import pandas as pd

    return value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
