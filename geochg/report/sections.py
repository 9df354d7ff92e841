"""The parts of the page as plain values: rows, areas, histogram, zones; no markup."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.class_list import ClassList
from geochg.classes import LEGEND
from geochg.errors import OptionError
from geochg.features.review import REJECTED
from geochg.files.table_columns import ZONE_COLUMNS
from geochg.records import Change
from geochg.report.changes import BINS, FACTS, ChangeKind, ChangeTable, ListedChange, svg_path
from geochg.report.contents import Figure
from geochg.report.sprites import SpriteCell
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned
from geochg.tasks.quantities import listed_area, rounded_value
from geochg.tiling.footprints import LonLatBox

if TYPE_CHECKING:
    from pandas import DataFrame

DIRECTIONS = tuple(str(change) for change in Change)
_NO_VALUE = "\N{EN DASH}"
_FALLBACK_COLOR = "#8c8c8c"
_HISTOGRAM_PX = (400, 128)

DETAILS = {
    "before_class": "Before",
    "after_class": "After",
    "count": "Objects",
    "area_m2": "Area in m²",
    "confidence": "Confidence",
    "from_date": "From",
    "to_date": "To",
    "break_date": "Break",
    "break_from": "Break from",
    "break_to": "Break to",
    "strength": "Strength",
    "persistence": "Persistence",
    "first_seen": "First seen",
    "last_seen": "Last seen",
    "review": "Review",
    "note": "Note",
    "longitude": "Longitude",
    "latitude": "Latitude",
}
"""Columns of the table of changes that are shown of a chosen one, and what they are called."""


class ClassKey(NamedTuple):
    """A class as the page draws it: its name, CSS class, color and number of changes."""

    name: str
    key: str
    color: str
    changes: int


class ListRow(NamedTuple):
    """A change in the list and on the map; texts as they stand there."""

    id: str
    key: str
    mark: str
    state: str
    name: str
    review: str
    area: str
    confidence: str
    caption: str
    path: str
    cells: Sequence[SpriteCell]


def class_keys(
    table: ChangeTable, zones: DataFrame | None, metadata: Mapping[str, Any]
) -> list[ClassKey]:
    """The classes that the page names, most frequent first, each with a color of its own."""
    counts: dict[str, int] = {}
    for change in table.listed:
        counts[change.kind.class_name] = counts.get(change.kind.class_name, 0) + 1
    names = sorted(counts, key=lambda name: -counts[name])
    others = [kind.class_name for kind in table.counts]
    if zones is not None:
        others += [_cell_text(name) for name in zones["class"]]
    names += [name for name in dict.fromkeys(others) if name and name not in counts]
    colors = _colors(names, metadata)
    return [
        ClassKey(name, f"k{number}", colors.get(name, _FALLBACK_COLOR), counts.get(name, 0))
        for number, name in enumerate(names)
    ]


def _colors(names: Sequence[str], metadata: Mapping[str, Any]) -> dict[str, str]:
    """The user's colors, else those of geochg's classes, else some of the palette."""
    user_colors = metadata.get("colors")
    colors = {row["name"]: row["color"] for row in LEGEND}
    for name, color in (user_colors if isinstance(user_colors, Mapping) else {}).items():
        digits = str(color).removeprefix("#")
        if len(digits) == 6 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            colors[str(name)] = f"#{digits}"
    unknown = [name for name in names if name not in colors]
    for number, name in enumerate(unknown):
        colors[name] = _palette(len(unknown))[number]
    return colors


def _palette(count: int) -> list[str]:
    """So many colors, as classes of the user's own get them."""
    try:
        colors = ClassList.of_names([f"class {chr(97 + n % 26)}{n}" for n in range(count)]).colors
    except OptionError:
        return [_FALLBACK_COLOR] * count
    return [*colors.values(), *[_FALLBACK_COLOR] * count][:count]


def row_of(change: ListedChange, keys: Mapping[str, str], cells: Sequence[SpriteCell]) -> ListRow:
    """A change as a row of the list."""
    key, direction = keys[change.kind.class_name], change.kind.change
    is_known = direction in DIRECTIONS
    state = REJECTED if change.review == REJECTED else ""
    return ListRow(
        id=change.id,
        key=key,
        mark=" ".join(filter(None, (key, direction if is_known else "", state))),
        state=state,
        name=f"{change.kind.class_name} {direction}".rstrip(),
        review=change.review,
        area=_NO_VALUE if change.area_m2 is None else listed_area(change.area_m2),
        confidence=_NO_VALUE if change.confidence is None else f"{change.confidence:.2f}",
        caption=change.caption,
        path=svg_path(change.outline),
        cells=cells,
    )


def columns_of(table: ChangeTable) -> dict[str, list[Any]]:
    """The table of the listed changes, column by column, as it is saved; plain JSON values."""
    changes = table.listed
    columns: dict[str, list[Any]] = {
        "id": [change.id for change in changes],
        "class": [change.kind.class_name for change in changes],
        "change": [change.kind.change for change in changes],
        "confidence": [change.confidence for change in changes],
        "area_m2": [_rounded_area(change.area_m2) for change in changes],
        "caption": [change.caption for change in changes],
        "from_date": [change.dates[0] for change in changes],
        "to_date": [change.dates[1] for change in changes],
        "step": [change.step for change in changes],
        "review": [change.review for change in changes],
    }
    for name in FACTS:
        if any(name in change.facts for change in changes):
            columns[name] = [change.facts.get(name, "") for change in changes]
    columns["longitude"] = [round(change.lonlat[0], 6) for change in changes]
    columns["latitude"] = [round(change.lonlat[1], 6) for change in changes]
    return columns


def details_of(columns: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """Which columns are told of a chosen change, in their order, and by what name."""
    return {
        name: label
        for name, label in DETAILS.items()
        if any(value not in (None, "") for value in columns.get(name, ()))
    }


def kinds_of(table: ChangeTable, keys: Mapping[str, str]) -> list[dict[str, Any]]:
    """The areas by class and direction, the largest first, each with its share of all."""
    total_m2 = math.fsum(table.areas_m2.values())
    kinds = sorted(table.counts, key=lambda kind: (-table.areas_m2.get(kind, 0.0), kind))
    return [_kind_row(kind, table, keys, total_m2) for kind in kinds]


def _kind_row(
    kind: ChangeKind, table: ChangeTable, keys: Mapping[str, str], total_m2: float
) -> dict[str, Any]:
    area_m2 = table.areas_m2.get(kind, 0.0)
    share = area_m2 / total_m2 if total_m2 else 0.0
    return {
        "key": keys[kind.class_name],
        "name": kind.class_name,
        "change": kind.change,
        "count": f"{table.counts[kind]:,}",
        "area": listed_area(area_m2),
        "width": round(100 * share, 1),
        "share": f"{100 * share:.0f} %" if share >= 0.01 or not share else "< 1 %",
    }


def directions_of(table: ChangeTable) -> list[dict[str, Any]]:
    """The directions of the listed changes, in the order in which they are known."""
    counts: dict[str, int] = {}
    for change in table.listed:
        counts[change.kind.change] = counts.get(change.kind.change, 0) + 1
    names = [*DIRECTIONS, *sorted(set(counts) - set(DIRECTIONS))]
    return [
        {"name": name, "key": name if name in DIRECTIONS else "", "count": counts[name]}
        for name in names
        if name and name in counts
    ]


def histogram_of(table: ChangeTable, nouns: str) -> dict[str, Any]:
    """The histogram of confidence: its bars, marks of the axis, and what it tells in words."""
    counts = table.confidences
    width_px, height_px = _HISTOGRAM_PX
    most_changes, step_px = max(counts) or 1, width_px / BINS
    bars = [
        {
            "x": round(number * step_px + 1, 1),
            "y": round(height_px - count / most_changes * (height_px - 6), 1),
            "width": round(step_px - 2, 1),
            "height": round(count / most_changes * (height_px - 6), 1),
            "text": f"{number / BINS:.2f} to {(number + 1) / BINS:.2f}: {count:,}",
        }
        for number, count in enumerate(counts)
        if count
    ]
    anchors = {0: "start", 4: "end"}
    marks = [
        {"x": width_px * n // 4, "text": f"{n / 4:g}", "anchor": anchors.get(n, "middle")}
        for n in range(5)
    ]
    bar_texts = "; ".join(str(bar["text"]) for bar in bars)
    caption = (
        f"Number of {nouns} by confidence, 0 to 1; the tallest bar stands for {most_changes:,}."
    )
    return {"bars": bars, "marks": marks, "text": f"{caption} {bar_texts}", "caption": caption}


def zone_rows(zones: DataFrame | None, keys: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The rows of the table of zones."""
    if zones is None:
        return
    if "step" in zones:
        zones = zones[zones["step"].isna()]
    for zone, name, change, count, area_m2 in zip(
        *(zones[column] for column in ZONE_COLUMNS), strict=True
    ):
        class_name = _cell_text(name)
        yield {
            "zone": _cell_text(zone) or "outside of all zones",
            "key": keys.get(class_name, ""),
            "name": class_name,
            "change": _cell_text(change),
            "count": _NO_VALUE if _cell_text(count) == "" else f"{float(count):,.6g}",
            "area": _NO_VALUE if _cell_text(area_m2) == "" else listed_area(float(area_m2)),
        }


def figures_of(figures: Sequence[Figure]) -> Iterator[dict[str, str]]:
    """The drawings as pictures of the page."""
    for figure in figures:
        content = base64.b64encode(figure.svg.encode()).decode()
        yield {
            "title": cleaned(figure.title, 200),
            "caption": cleaned(figure.caption, LONGEST_TEXT),
            "address": f"data:image/svg+xml;base64,{content}",
        }


def numbers_of(table: ChangeTable, nouns: str, pixel_m: float) -> Iterator[tuple[str, str]]:
    """The figures that stand below the heading."""
    count = sum(table.counts.values())
    yield nouns.capitalize(), f"{count:,}"
    yield "Area", listed_area(math.fsum(table.areas_m2.values()))
    if table.areas_m2:
        kind = max(table.areas_m2, key=lambda kind: table.areas_m2[kind])
        yield "Largest", f"{kind.class_name} {kind.change}".rstrip()
    if reviewed := sum(number for name, number in table.reviews.items() if name):
        yield "Reviewed", f"{reviewed:,} of {sum(table.reviews.values()):,}"
    if any(table.confidences):
        yield "Median confidence", f"{_median(table.confidences):.2f}"
    yield "Pixel of the map", f"{rounded_value(pixel_m, 1):g} m"


def _median(counts: Sequence[int]) -> float:
    """The middle of the bar that the median lies in."""
    half, cumulated = sum(counts) / 2, 0
    for number, count in enumerate(counts):
        cumulated += count
        if cumulated >= half:
            return (number + 0.5) / BINS
    return 0.0


def place_text(box: LonLatBox) -> str:
    """Where the place is, in words."""
    lon = ((box.west + box.east) / 2 + 180) % 360 - 180
    lat = (box.south + box.north) / 2
    return (
        f"{abs(lat):.4f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.4f}° {'E' if lon >= 0 else 'W'}"
        " (WGS 84), the middle of the area. North is up."
    )


def _rounded_area(value: float | None) -> float | None:
    return None if value is None else rounded_value(value, 1)


def _cell_text(value: Any) -> str:  # noqa: ANN401
    """A cell of a table as text; empty where it is missing."""
    import pandas as pd

    return "" if value is None or pd.isna(value) else cleaned(value, 200)
