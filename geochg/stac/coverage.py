"""Where and when a collection says that it has scenes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from geochg.stac.date_window import DateWindow
from geochg.stac.items import box_of, moment_of
from geochg.stac.search_area import SearchArea

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


def outside_extent(content: Mapping[str, Any], area: SearchArea, window: DateWindow) -> str:
    """Why a collection can have no scene of an area and a window, in words; else empty.

    A collection that tells its extent in no form that can be read counts as one of everywhere.

    Args:
        content: The collection's document.
        area: The area.
        window: The days.
    """
    extent = content.get("extent")
    extent = extent if isinstance(extent, Mapping) else {}
    boxes = _boxes(extent)
    if boxes and not any(area.share_in(box) > 0 for box in boxes):
        # The first box is that of the whole.
        west, south, east, north = boxes[0].bounds
        return f"it covers {west:g},{south:g},{east:g},{north:g} (west,south,east,north)"
    intervals = _intervals(extent)
    if intervals and not any(_overlaps(interval, window) for interval in intervals):
        first, last = intervals[0]
        start = first.date() if first else "the beginning"
        return f"it has scenes from {start} to {last.date() if last else 'today'}"
    return ""


def _boxes(extent: Mapping[str, Any]) -> list[BaseGeometry]:
    spatial = extent.get("spatial")
    bounds = spatial.get("bbox") if isinstance(spatial, Mapping) else None
    boxes: list[BaseGeometry] = []
    for numbers in bounds if isinstance(bounds, list) else ():
        try:
            box = box_of(numbers)
        except (TypeError, ValueError):
            continue
        if box.is_valid and box.area > 0:
            boxes.append(box)
    return boxes


def _intervals(extent: Mapping[str, Any]) -> list[tuple[datetime | None, datetime | None]]:
    temporal = extent.get("temporal")
    pairs = temporal.get("interval") if isinstance(temporal, Mapping) else None
    intervals = []
    for pair in pairs if isinstance(pairs, list) else ():
        try:
            first, last = (None if text is None else moment_of(str(text)) for text in pair)
        except (TypeError, ValueError):
            continue
        intervals.append((first, last))
    return intervals


def _overlaps(interval: tuple[datetime | None, datetime | None], window: DateWindow) -> bool:
    first, last = interval
    start = datetime.combine(window.first, time(), UTC)
    end = datetime.combine(window.last, time.max, UTC)
    return (first is None or first <= end) and (last is None or last >= start)
