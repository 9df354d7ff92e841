"""How the class and direction of a change agree with the land cover of both dates.

This is the one place that says so: models may shape their channels by it, and features by it name
what the ground was and is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from geochg.classes import CHANGE_CLASSES
from geochg.records import LAND_COVER, Change, Channel

COVERS = {row.name: row.covers for row in CHANGE_CLASSES if row.covers}
"""The land cover that a class consists of; classes that are not here may consist of any."""

_GROWTH = ("low plants", "woody")
"""Vegetation appears also where low plants become woody, and disappears the other way."""

_RANK = ("low plants", "bare", "woody", "road", "water", "building")
"""Of two covers, a change is named after the later one: soil after a crop is bare ground."""

OTHER = Channel("other", Change.ALTERED)
"""What changed ground is called whose class is in doubt."""

PROVEN = ("building", "road", "water")
"""Land covers that captions may tell as facts; see `PROVEN_KINDS`."""

PROVEN_KINDS: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("building", "appeared"): 0.5,
        ("road", "appeared"): 0.5,
        ("water", "appeared"): 0.1,
        ("water", "disappeared"): 0.5,
    }
)
"""Classes and directions by which changes are named, each with the least share of a feature's
ground, 0-1, whose land covers at both dates have to bear it out.

New water was right on held-out ground even where little bore it out: what lay there before, such
as mud, can often not be told. Vegetation, bare ground and what is altered were seldom right there.
Buildings and roads that disappeared were right there, where things go as often as they come, but
hardly ever on real pairs.
"""

LEAST_WATER_PX_M2 = 9.0
"""Water is named where pixels cover at least this: in finer pictures the dark green of fields and
shadows beside roofs were taken for it on real pairs (`benchmarks/captions_by_eye.py`)."""

_UNKNOWN_SHARE = 0.5
"""A cover that agrees with the class must have at least this share of the ground; with less,
"unknown" is the better answer."""


def agrees(class_name: str, change: str, before: str | None, after: str | None) -> bool:
    """Whether a class and direction can be true of ground that was and is of these covers.

    Args:
        class_name: What changed.
        change: One of `Change`.
        before: One of `LAND_COVER`, or None where that is not known.
        after: As `before`.
    """
    covers = COVERS.get(class_name)
    if covers is None:
        return True
    was_covered, is_covered = before in covers, after in covers
    if change == Change.APPEARED:
        return (is_covered or after is None) and (not was_covered or (before, after) == _GROWTH)
    if change == Change.DISAPPEARED:
        return (was_covered or before is None) and (not is_covered or (after, before) == _GROWTH)
    return (was_covered or before is None) and (is_covered or after is None)


def class_and_direction(before: str, after: str) -> tuple[str, Change]:
    """What a change from one land cover to another is called.

    It is named after the rarer of the two, see `_RANK`: a building on what was woods is a building
    that appeared. Ground of one cover that changed all the same is altered.

    Args:
        before: One of `LAND_COVER`.
        after: As `before`, at the later date.
    """
    classes = {cover: name for name, covers in COVERS.items() for cover in covers}
    if before == after:
        return classes[after], Change.ALTERED
    if _RANK.index(after) > _RANK.index(before):
        return classes[after], Change.APPEARED
    return classes[before], Change.DISAPPEARED


def share_borne_out(
    class_name: str, change: str, before: Sequence[int], after: Sequence[int]
) -> float:
    """Share of the ground, 0-1, on which a class came or went as its land cover tells.

    Ground whose cover cannot be told at either date counts against it, and so does ground of one
    cover: what stayed the same neither came nor went.

    Args:
        class_name: What changed.
        change: One of `Change`.
        before: As `covers_of` takes it.
        after: Likewise.
    """
    if not sum(before) or not sum(after):
        return 0.0
    borne_out = sum(
        before[old] * after[new]
        for old, new in _agreeing(class_name, change)
        if old != new and old < len(LAND_COVER) and new < len(LAND_COVER)
    )
    return borne_out / (sum(before) * sum(after))


def is_borne_out(
    class_name: str,
    change: str,
    before: Sequence[int],
    after: Sequence[int],
    pixel_area_m2: float,
) -> bool:
    """Whether ground may be called by a class and direction, as far as its land cover tells.

    Args:
        class_name: What changed; classes that consist of no certain land cover always may.
        change: One of `Change`.
        before: As `covers_of` takes it.
        after: As `before`, at the later date.
        pixel_area_m2: Ground area of a pixel; not a number where it is not known.
    """
    if class_name not in COVERS:
        return True
    if class_name == "water" and not pixel_area_m2 >= LEAST_WATER_PX_M2:
        return False
    least = PROVEN_KINDS.get((class_name, change), math.inf)
    return share_borne_out(class_name, change, before, after) >= least


def covers_of(
    class_name: str, change: str, before: Sequence[int], after: Sequence[int]
) -> tuple[str | None, str | None]:
    """What the ground of a feature was and is, as far as that agrees with its class and direction.

    Args:
        class_name: What changed.
        change: One of `Change`.
        before: Pixels of each of `LAND_COVER` at the earlier date, then those that cannot be told;
            empty for models that tell no land cover.
        after: As `before`, at the later date.

    Returns:
        One of `LAND_COVER` for each date, or None: of all pairs of covers that agree, the one that
        most of the ground has.
    """
    if not sum(before) or not sum(after):
        return None, None
    shares = [_shares(before), _shares(after)]
    old, new = max(
        _agreeing(class_name, change), key=lambda pair: shares[0][pair[0]] * shares[1][pair[1]]
    )
    return _NAMES[old], _NAMES[new]


_NAMES = (*LAND_COVER, None)


@lru_cache
def _agreeing(class_name: str, change: str) -> tuple[tuple[int, int], ...]:
    """Codes of the land covers before and after that agree with a class and direction."""
    return tuple(
        (old, new)
        for old, old_cover in enumerate(_NAMES)
        for new, new_cover in enumerate(_NAMES)
        if agrees(class_name, change, old_cover, new_cover)
    )


def _shares(pixels: Sequence[int]) -> list[float]:
    """Share of the ground of each cover, 0-1; that of what cannot be told has a least one."""
    total = sum(pixels)
    shares = [count / total for count in pixels]
    return [*shares[:-1], max(shares[-1], _UNKNOWN_SHARE)]
