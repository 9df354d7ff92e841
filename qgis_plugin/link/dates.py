"""Which of two images is the earlier, from their names."""

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
    """The date a name holds, as sortable text (`2018`, `2018-05`, `2018-05-01`); may be empty."""
    for pattern in (_DAY, _MONTH, _YEAR):
        if found := pattern.findall(name):
            last = found[-1]
            return "-".join(last) if isinstance(last, tuple) else last
    return ""


def guessed_pair(names: Sequence[str]) -> tuple[int, int] | None:
    """Positions of the likely before and after image among names; None when nothing tells.

    Names with dates: the earliest and the latest. Else two names that differ by a word such as
    before and after.
    """
    dated = sorted((date_in(name), position) for position, name in enumerate(names))
    dated = [each for each in dated if each[0]]
    if len(dated) >= 2 and dated[0][0] != dated[-1][0]:
        return dated[0][1], dated[-1][1]
    words = [set(re.split(r"[^a-z0-9]+", name.lower())) for name in names]
    for early, late in _WORDS:
        first = [position for position, each in enumerate(words) if early in each]
        second = [position for position, each in enumerate(words) if late in each]
        if first and second and first[0] != second[0]:
            return first[0], second[0]
    return None
