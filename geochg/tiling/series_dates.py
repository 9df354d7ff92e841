"""When the images of a pair or a series were taken, and whether they stand in order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from geochg.errors import OptionError
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.tiling.acquisition_time import GIVEN, Period, period_of, tells_writing
from geochg.tiling.pair_checks import Remark
from geochg.tiling.source import RasterSource

_DAY = re.compile(
    r"(?<!\d)(?:19[3-9]|20[0-3])\d(?P<mark>[-_.]?)(?:0[1-9]|1[0-2])(?P=mark)"
    r"(?:0[1-9]|[12]\d|3[01])(?!\d)"
)
_MONTH = re.compile(r"(?<!\d)(?:19[3-9]|20[0-3])\d[-_](?:0[1-9]|1[0-2])(?![-_.]?\d)")
_YEAR = re.compile(r"(?:^|[^0-9A-Za-z]|[A-Za-z]{3})((?:19[3-9]|20[0-3])\d)(?![0-9A-Za-z])")
"""Dates in names: years from 1930 to 2039, so that sizes in pixels seldom pass for one."""


@dataclass(frozen=True, slots=True)
class ImageDate:
    """When an image was taken, as far as it is known.

    Attributes:
        text: `2020-06-01`, `2020-06` or `2020`: as precise as it is known, to the day at most.
            Empty where nothing tells it.
        told_by: What tells it: the name of a tag, `name` for the file's name, or `GIVEN`.
    """

    text: str = ""
    told_by: str = ""

    @property
    def period(self) -> Period | None:
        """The days that it stands for; None where it is not known."""
        return period_of(self.text) if self.text else None


def with_given_dates(
    sources: Sequence[RasterSource], dates: Sequence[str]
) -> tuple[RasterSource, ...]:
    """The images with the dates that their user gave, which count instead of their tags.

    Args:
        sources: The images.
        dates: A date for each, or none at all.

    Raises:
        OptionError: If there are more or fewer dates than images, or one is no date.
    """
    if not dates:
        return tuple(sources)
    if len(dates) != len(sources):
        raise OptionError(
            f"--dates names {len(dates)} dates, and there are {len(sources)} images",
            "give one date for each image, in the order of the images",
        )
    periods = [period_of(date) for date in dates]
    for date, period in zip(dates, periods, strict=True):
        if period is None:
            raise OptionError(
                f"--dates: {cleaned(date, 40)!r} is no date",
                "write a day, a month or a year: 2020-06-01, 2020-06 or 2020",
            )
    return tuple(
        replace(source, acquired=period.text, dated_by=GIVEN)
        for source, period in zip(sources, periods, strict=True)
        if period is not None
    )


def date_of(source: RasterSource) -> ImageDate:
    """When an image was taken: as its user or its tags say, else as its name says."""
    # Of a moment the day; months and years are shorter than that already.
    if source.acquired:
        return ImageDate(source.acquired[:10], source.dated_by)
    text = date_in_name(source.label)
    return ImageDate(text, "name") if text else ImageDate()


def date_in_name(name: str) -> str:
    """The date in the name of a file, `2020-06-01`, `2020-06` or `2020`; empty where there is none.

    Of several days the first counts: Landsat and Sentinel name that of the acquisition before that
    of the processing. Of several different years none does.
    """
    last_part = re.split(r"[\\/]", name.split("?")[0])[-1]
    for pattern, form in ((_DAY, "{:.4}-{:.2}-{:.2}"), (_MONTH, "{:.4}-{:.2}")):
        for match in pattern.finditer(last_part):
            digits = re.sub(r"\D", "", match[0])
            text = form.format(digits, digits[4:], digits[6:])
            if period_of(text) is not None:
                return text
    years = set(_YEAR.findall(last_part))
    return years.pop() if len(years) == 1 else ""


def naming_remarks(sources: Sequence[RasterSource]) -> Iterator[Remark]:
    """Tells that a file was written at another time than its name says that it was taken."""
    for source in sources:
        if not tells_writing(source.dated_by):
            continue
        tag_days, name_days = period_of(source.acquired[:10]), period_of(date_in_name(source.label))
        if tag_days and name_days and not name_days.first <= tag_days.first < name_days.end:
            yield Remark(
                f"{_name(source)} is of {tag_days.text} by its tag {source.dated_by}, which may "
                f"tell when it was written, and of {name_days.text} by its name; the tag counts",
                f"give the dates of all images with {GIVEN} if that is wrong",
            )


def series_order_remarks(
    sources: Sequence[RasterSource], *, dates_as_given: bool
) -> Iterator[Remark]:
    """Refuses three images or more whose dates are not known, or are not in order.

    Args:
        sources: The images in the order given.
        dates_as_given: Whether the user knows better than the files when they were taken.
    """
    dates = [date_of(source) for source in sources]
    if missing := [s for s, d in zip(sources, dates, strict=True) if d.period is None]:
        names = ", ".join(_name(source) for source in missing)
        yield Remark(
            f"nothing tells when {names} {'was' if len(missing) == 1 else 'were'} taken",
            f"give a date for each image, {GIVEN} 2020-06-01,2021-06-01,..., or add "
            "--dates-as-given to leave them unknown",
            warning=not dates_as_given,
            refused=not dates_as_given,
        )
    dated = [(s, d.period) for s, d in zip(sources, dates, strict=True) if d.period is not None]
    in_order = sorted(dated, key=lambda item: (item[1].first, item[1].end))
    is_mixed = any(first.is_after(second) for (_, first), (_, second) in combinations(dated, 2))
    if not is_mixed:
        return
    order = ", ".join(f"{_name(source)} ({period.text})" for source, period in in_order)
    if dates_as_given:
        text = f"by their dates the images would stand as {order}; they are taken as given"
        yield Remark(text, warning=False)
        return
    yield Remark(
        f"the images are not in the order of their dates, which is {order}",
        "give them in that order, name their dates with --dates, or add --dates-as-given if the "
        "dates are wrong",
        refused=True,
    )


def _name(source: RasterSource) -> str:
    return without_secrets(source.label)
