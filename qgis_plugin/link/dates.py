"""Dates in names, and the likely before and after image of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_MONTH = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.](0[1-9]|1[0-2])(?!\d)")
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")
_WORDS = (
    ("before", "after"),
    ("pre", "post"),
    ("old", "new"),
    ("earlier", "later"),
    ("t1", "t2"),
    ("im1", "im2"),
    ("vorher", "nachher"),
    ("avant", "apres"),
)


def date_in(name: str) -> str:
    """The date in a name, as sortable text (`2018`, `2018-05`, `2018-05-01`); may be empty."""
    for pattern in (_DAY, _MONTH, _YEAR):
        if matches := pattern.findall(name):
            last = matches[-1]
            return "-".join(last) if isinstance(last, tuple) else last
    return ""


def guessed_pair(names: Sequence[str]) -> tuple[int, int] | None:
    """Positions of the likely before and after image among names; None when no name has a clue.

    Names with dates: the earliest and the latest. Else two names that differ by a word such as
    before and after.
    """
    dated = sorted((date_in(name), position) for position, name in enumerate(names))
    dated = [(date, position) for date, position in dated if date]
    if len(dated) >= 2 and dated[0][0] != dated[-1][0]:
        return dated[0][1], dated[-1][1]
    words = [set(re.split(r"[^a-z0-9]+", name.lower())) for name in names]
    for early, late in _WORDS:
        first = [position for position, parts in enumerate(words) if early in parts]
        second = [position for position, parts in enumerate(words) if late in parts]
        if first and second and first[0] != second[0]:
            return first[0], second[0]
    return None
