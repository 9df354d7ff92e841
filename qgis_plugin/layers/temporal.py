"""The dates of a pair as times of layers, for QGIS's temporal controller."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from qgis.core import Qgis, QgsDateTimeRange, QgsMapLayer, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QDateTime, Qt

from geochg_qgis.link.dates import date_in

_TIME = "geochg/time"
"""Property of a layer: the time that this plugin gave it, to recognise one of the user's."""


class DateRange(NamedTuple):
    """A range of whole days.

    Attributes:
        first: First day.
        last: Last day, which is part of the range.
    """

    first: date
    last: date


class PairTimes(NamedTuple):
    """The days for which each image of a pair is shown.

    Attributes:
        before: Days from the before date to the day before the after date.
        after: Days of the after date, which may be a month or a year; those of the changes, too.
    """

    before: DateRange
    after: DateRange


def pair_times(before: str, after: str, result: Mapping[str, Any]) -> PairTimes | None:
    """The times of a pair, of the names of its images and the dates in their files.

    Args:
        before: Name of the earlier image.
        after: Name of the later image.
        result: Result of the run as the worker gives it.

    Returns:
        The times; None unless both dates are known and in this order.
    """
    metadata = result.get("geochg", {})
    # Dates that were given by hand count before those in names.
    is_by_hand = bool(metadata.get("options", {}).get("dates"))
    names = ("", "") if is_by_hand else (before, after)
    earlier, later_days = (
        _acquired_days(name, str(metadata.get("sources", {}).get(date, {}).get("acquired") or ""))
        for name, date in zip(names, ("before", "after"), strict=True)
    )
    if earlier is None or later_days is None or earlier.first >= later_days.first:
        return None
    return PairTimes(DateRange(earlier.first, later_days.first - timedelta(days=1)), later_days)


def set_time(layer: QgsMapLayer, days: DateRange) -> None:
    """Gives a layer a fixed time, unless the user gave it another or removed that of the plugin."""
    if not isinstance(layer, (QgsRasterLayer, QgsVectorLayer)):
        return
    properties, own_time = layer.temporalProperties(), layer.customProperty(_TIME)
    is_raster = isinstance(layer, QgsRasterLayer)
    modes = Qgis.RasterTemporalMode if is_raster else Qgis.VectorTemporalMode
    is_new = not own_time and not properties.isActive()
    is_fixed = properties.isActive() and properties.mode() == modes.FixedTemporalRange
    is_unedited = is_fixed and own_time == _iso_text(properties.fixedTemporalRange())
    if not is_new and not is_unedited:
        return
    time = _time_range(days)
    properties.setMode(modes.FixedTemporalRange)
    properties.setFixedTemporalRange(time)
    properties.setIsActive(True)
    layer.setCustomProperty(_TIME, _iso_text(time))


def _acquired_days(name: str, acquired: str) -> DateRange | None:
    """The date in a name; the file's where the name has none, or a less exact one that holds it.

    A file's date may be that of its writing, so it counts for less than the name.
    """
    named_days, filed = _days(date_in(name)), _days(date_in(acquired[:10]))
    if named_days is None or filed is None:
        return named_days or filed
    return filed if named_days.first <= filed.first <= named_days.last else named_days


def _days(text: str) -> DateRange | None:
    """The days of a year, month or day as `date_in` gives it; None when there is no such day."""
    parts = [int(part) for part in text.split("-")] if text else []
    try:
        if len(parts) == 1:
            return DateRange(date(parts[0], 1, 1), date(parts[0], 12, 31))
        if len(parts) == 2:
            last = monthrange(parts[0], parts[1])[1]
            return DateRange(date(parts[0], parts[1], 1), date(parts[0], parts[1], last))
        if len(parts) == 3:
            day = date(parts[0], parts[1], parts[2])
            return DateRange(day, day)
    except ValueError:
        return None
    return None


def _time_range(days: DateRange) -> QgsDateTimeRange:
    """The time up to the last second: QGIS does not store whether an end is part of a range."""
    return QgsDateTimeRange(
        QDateTime.fromString(f"{days.first.isoformat()}T00:00:00Z", Qt.DateFormat.ISODate),
        QDateTime.fromString(f"{days.last.isoformat()}T23:59:59Z", Qt.DateFormat.ISODate),
    )


def _iso_text(time: QgsDateTimeRange) -> str:
    iso = Qt.DateFormat.ISODate
    return f"{time.begin().toString(iso)}/{time.end().toString(iso)}"
