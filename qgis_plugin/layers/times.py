"""When a pair was taken, for QGIS's temporal controller to step from one date to the other."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from qgis.core import Qgis, QgsDateTimeRange, QgsMapLayer, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QDateTime, Qt

from geochg_qgis.link.dates import date_in

_OURS = "geochg/time"
"""Property of a layer: the range that we gave it, so that one of the user's is told from it."""


class Period(NamedTuple):
    """Whole days.

    Attributes:
        first: The first.
        last: The last, which is part of it.
    """

    first: date
    last: date


class PairTimes(NamedTuple):
    """From when to when each image of a pair stands for the place.

    Attributes:
        before: From its date to the day before the later one's.
        after: Its own date, which may be a month or a year; that of the changes, too.
    """

    before: Period
    after: Period


def pair_times(before: str, after: str, result: Mapping[str, Any]) -> PairTimes | None:
    """The times of a pair, from its names and what the files say.

    Args:
        before: Name of the earlier image.
        after: Name of the later one.
        result: What the worker told of the run.

    Returns:
        None unless both are known and in this order.
    """
    sources = result.get("geochg", {}).get("sources", {})
    earlier = _period(before, str(sources.get("before", {}).get("acquired") or ""))
    later = _period(after, str(sources.get("after", {}).get("acquired") or ""))
    if earlier is None or later is None or earlier.first >= later.first:
        return None
    return PairTimes(Period(earlier.first, later.first - timedelta(days=1)), later)


def set_time(layer: QgsMapLayer, period: Period) -> None:
    """Gives a layer a fixed time, unless the user gave it one or took ours away."""
    if not isinstance(layer, (QgsRasterLayer, QgsVectorLayer)):
        return
    properties, ours = layer.temporalProperties(), layer.customProperty(_OURS)
    is_raster = isinstance(layer, QgsRasterLayer)
    modes = Qgis.RasterTemporalMode if is_raster else Qgis.VectorTemporalMode
    is_new = not ours and not properties.isActive()
    is_fixed = properties.isActive() and properties.mode() == modes.FixedTemporalRange
    is_still_ours = is_fixed and ours == _text(properties.fixedTemporalRange())
    if not is_new and not is_still_ours:
        return
    time = _range(period)
    properties.setMode(modes.FixedTemporalRange)
    properties.setFixedTemporalRange(time)
    properties.setIsActive(True)
    layer.setCustomProperty(_OURS, _text(time))


def _period(name: str, acquired: str) -> Period | None:
    """What a name says; what the file says where that is nothing, or less exact.

    A file's date may be that of its writing, so it counts for less than the name.
    """
    told, taken = _days(date_in(name)), _days(date_in(acquired[:10]))
    if told is None or taken is None:
        return told or taken
    return taken if told.first <= taken.first <= told.last else told


def _days(text: str) -> Period | None:
    """A year, month or day as `date_in` gives it; None when there is no such day."""
    parts = [int(part) for part in text.split("-")] if text else []
    try:
        if len(parts) == 1:
            return Period(date(parts[0], 1, 1), date(parts[0], 12, 31))
        if len(parts) == 2:
            last = monthrange(parts[0], parts[1])[1]
            return Period(date(parts[0], parts[1], 1), date(parts[0], parts[1], last))
        if len(parts) == 3:
            day = date(parts[0], parts[1], parts[2])
            return Period(day, day)
    except ValueError:
        return None
    return None


def _range(period: Period) -> QgsDateTimeRange:
    """To the last second: QGIS does not keep whether an end is part of a range."""
    return QgsDateTimeRange(
        QDateTime.fromString(f"{period.first.isoformat()}T00:00:00Z", Qt.DateFormat.ISODate),
        QDateTime.fromString(f"{period.last.isoformat()}T23:59:59Z", Qt.DateFormat.ISODate),
    )


def _text(time: QgsDateTimeRange) -> str:
    form = Qt.DateFormat.ISODate
    return f"{time.begin().toString(form)}/{time.end().toString(form)}"
