"""When an image was taken, as its file says, and which of two images is the earlier one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_TAKEN_TAGS = (
    *("ACQUISITIONDATETIME", "ACQUISITION_DATETIME", "ACQUISITION_DATE", "DATE_ACQUIRED"),
    *("SENSING_TIME", "DATATAKE_1_DATATAKE_SENSING_START", "PRODUCT_START_TIME"),
    *("TIME_COVERAGE_START", "NITF_IDATIM", "EXIF_DATETIMEORIGINAL", "DATETIME"),
)
"""Names of tags, in capitals, that hold the time an image was taken; the most certain first."""

_WRITTEN_TAGS = ("TIFFTAG_DATETIME", "EXIF_DATETIME")
"""Names of tags that hold the time a file was written, which is often all that is known."""

GIVEN = "--dates"
"""What stands for the tag of a date that the user gave."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = timedelta(days=1)
_WIDEST_ZONE = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class Period:
    """The time within which an image was taken.

    Attributes:
        text: ISO 8601, as precise as it is known.
        first: Earliest moment, in UTC.
        end: The moment after the last, in UTC.
        zoned: Whether the time zone is known; a time without one is taken to be in UTC.
    """

    text: str
    first: datetime
    end: datetime
    zoned: bool

    def is_after(self, other: Period) -> bool:
        """Whether it lies wholly after another period, whatever a zone that is not known may be."""
        slack = _WIDEST_ZONE if self.zoned != other.zoned else timedelta(0)
        return self.first >= other.end + slack

    def is_days_after(self, other: Period) -> bool:
        """Whether it lies after another period by more than a day."""
        return self.is_after(other) and self.first - other.end >= _DAY


def acquisition_time(tags: Mapping[str, str]) -> tuple[str, str]:
    """When an image was taken or written, ISO 8601, and the tag that tells it; both may be empty.

    Args:
        tags: Tags of any namespace; names in any case.
    """
    upper_tags = {name.upper(): value for name, value in tags.items()}
    for name in (*_TAKEN_TAGS, *_WRITTEN_TAGS):
        period = period_of(upper_tags.get(name, ""))
        if period is not None:
            # TIFF has no dates without a time; midnight stands for an unknown one.
            is_day = name in _WRITTEN_TAGS and period.text.endswith("T00:00:00")
            return period.text.removesuffix("T00:00:00") if is_day else period.text, name
    return "", ""


def tells_writing(tag: str) -> bool:
    """Whether a tag tells when the file was written, not when the image was taken."""
    return tag in _WRITTEN_TAGS


def period_of(text: str) -> Period | None:
    """The period that a date or time stands for; None where the text is neither.

    Args:
        text: A year, a month, a day or a moment in ISO 8601, or as TIFF and NITF write it, or with
            the year last. Of 03/04/2020 no more than the year is sure.
    """
    text = _year_first(text.strip())
    text = re.sub(r"^(\d{4})[:/](\d\d)[:/](\d\d)", r"\1-\2-\3", text)
    text = re.sub(r"^(\d{8})(\d{6})$", r"\1T\2", text)
    try:
        if re.fullmatch(r"\d{4}", text):
            return _between(text, datetime(int(text), 1, 1), datetime(int(text) + 1, 1, 1))
        if month := re.fullmatch(r"(\d{4})-(\d\d)", text):
            first = datetime(int(month[1]), int(month[2]), 1)
            return _between(text, first, (first + 32 * _DAY).replace(day=1))
        moment = datetime.fromisoformat(text)
        if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text):
            return _between(moment.date().isoformat(), moment, moment + _DAY)
        text = moment.isoformat()
        zoned = moment.tzinfo is not None
        moment = moment.astimezone(UTC) if zoned else moment.replace(tzinfo=UTC)
        return Period(text, moment, moment + timedelta(seconds=1), zoned)
    except (ValueError, OverflowError):
        return None


def _year_first(text: str) -> str:
    """A date whose year stands last in ISO 8601, as precise as it is sure; others as they are."""
    parts = re.fullmatch(r"(\d\d?|[a-z]+)[-./ ]+(\d\d?|[a-z]+),?[-./ ]+(\d{4})\b(.*)", text, re.I)
    if not parts:
        return text
    first, second, year, time = parts.groups()
    months = [_month(first), _month(second)]
    if not all(months):
        # A name of a month, or a number above twelve, tells which of the two is the month.
        month_positions = [position for position, month in enumerate(months) if month]
        if len(month_positions) != 1:
            return text
        month, day = months[month_positions[0]], (second, first)[month_positions[0]]
    elif first.isdigit() and second.isdigit():
        if int(first) != int(second):
            return year
        month, day = months[0], second
    else:
        position = 0 if second.isdigit() else 1
        month, day = months[position], (second, first)[position]
    return f"{year}-{month:02}-{int(day):02}{time}" if day.isdigit() else text


def _month(text: str) -> int:
    """The number of a month, 1 to 12; 0 where it is none."""
    if text.isdigit():
        return int(text) if 1 <= int(text) <= 12 else 0
    return _MONTHS.index(text[:3].lower()) + 1 if text[:3].lower() in _MONTHS else 0


def _between(text: str, first: datetime, end: datetime) -> Period:
    return Period(text, first.replace(tzinfo=UTC), end.replace(tzinfo=UTC), zoned=False)
