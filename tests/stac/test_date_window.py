"""Windows of days: a month means its first to its last day."""

from datetime import UTC, date, datetime

import pytest

from geochg.errors import OptionError
from geochg.stac.date_window import DateWindow


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2020-06", "", date(2020, 6, 1), date(2020, 6, 30)),
        ("2020-02", "", date(2020, 2, 1), date(2020, 2, 29)),
        ("2021-02", "", date(2021, 2, 1), date(2021, 2, 28)),
        ("2020-12", "", date(2020, 12, 1), date(2020, 12, 31)),
        ("2020", "", date(2020, 1, 1), date(2020, 12, 31)),
        ("2020-06-15", "", date(2020, 6, 15), date(2020, 6, 15)),
        ("2020-06", "2020-08", date(2020, 6, 1), date(2020, 8, 31)),
        ("2020-06-15", "2021", date(2020, 6, 15), date(2021, 12, 31)),
        ("2020-06/2020-08-03", "", date(2020, 6, 1), date(2020, 8, 3)),
        ("9999-12", "", date(9999, 12, 1), date(9999, 12, 31)),
    ],
)
def test_the_ends_of_a_window(start, end, first, last):
    assert DateWindow.of(start, end) == DateWindow(first, last)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("2021-06", "2020-06", "begins on 2021-06-01 and ends on 2020-06-30"),
        ("2020-06-02", "2020-06-01", "begins on"),
        ("2020-08/2020-06", "", "begins on"),
        ("2020-13", "", "no date '2020-13'"),
        ("2021-02-29", "", "no date"),
        ("0000", "", "no date"),
        ("june 2020", "", "is no date"),
        ("03/04/2020", "", "is no date"),
        ("", "", "is no date"),
        ("2020-06/", "", "names no end"),
        ("٢٠٢٠", "2020-0x", "is no date"),
    ],
)
def test_what_is_no_window(start, end, reason):
    with pytest.raises(OptionError, match=reason):
        DateWindow.of(start, end)


def test_a_window_holds_its_last_moment_and_no_more():
    window = DateWindow.of("2020-06")
    assert window.holds(datetime(2020, 6, 30, 23, 59, 59, tzinfo=UTC))
    assert not window.holds(datetime(2020, 7, 1, tzinfo=UTC))
    assert window.interval == "2020-06-01T00:00:00Z/2020-06-30T23:59:59Z"
    assert window.middle == datetime(2020, 6, 16, tzinfo=UTC)
