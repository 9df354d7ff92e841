"""The window of days within which scenes are searched."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from geochg.errors import OptionError

_FORMS = "write a year, a month or a day: 2020, 2020-06 or 2020-06-15"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DateWindow:
    """Days, both ends counted, in UTC.

    Attributes:
        first: The first day.
        last: The last day.
    """

    first: date
    last: date

    @classmethod
    def of(cls, start: str, end: str = "") -> Self:
        """The window from the first day of `start` to the last day of `end`.

        Args:
            start: A year, a month or a day, ISO 8601; or two of these with a slash between them.
            end: Likewise, without a slash; empty for the last day of `start`.

        Raises:
            OptionError: If one is none of these, or they are the wrong way round.
        """
        if not end and "/" in start:
            start, _, end = start.partition("/")
            if not end.strip():
                raise OptionError(f"{start}/ names no end of the window", _FORMS)
        first, last = _days_of(start)[0], _days_of(end or start)[1]
        if last < first:
            raise OptionError(
                f"the window begins on {first} and ends on {last}", "give the earlier date first"
            )
        return cls(first, last)

    @property
    def interval(self) -> str:
        """The window as the `datetime` of a STAC search."""
        return f"{self.first}T00:00:00Z/{self.last}T23:59:59Z"

    def holds(self, moment: datetime) -> bool:
        """Whether a moment with a time zone lies in it."""
        return self.first <= moment.astimezone(UTC).date() <= self.last

    @property
    def middle(self) -> datetime:
        """The moment halfway between its ends, in UTC."""
        start = datetime.combine(self.first, time(), UTC)
        return start + (self.last - self.first + _DAY) / 2

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


def _days_of(text: str) -> tuple[date, date]:
    """The first and the last day of a year, a month or a day."""
    parts = re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", text.strip())
    if parts is None:
        raise OptionError(f"{text!r} is no date", _FORMS)
    year, month, day = (int(part) if part else 0 for part in parts.groups())
    try:
        first = date(year, month or 1, day or 1)
        if day:
            return first, first
        if month:
            return first, first.replace(day=monthrange(year, month)[1])
        return first, date(year, 12, 31)
    except (ValueError, OverflowError):
        raise OptionError(f"there is no date {text!r}", _FORMS) from None
