"""What is known of a change, for the sentences about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from shapely import Polygon

from geochg.land_cover import COVERS
from geochg.records import LAND_COVER

_BESIDE = ("road", "water", "building")
"""What is named beside a change, the most telling first; of `land_cover.PROVEN` only."""
_BESIDE_SHARE = 0.5
"""Least share of what lies around a change; of less, the model is seldom right."""
_LONG = 30.0
"""Squared perimeter over area of what is called long: a rectangle six times as long as wide."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a change.

    Attributes:
        class_name: What changed.
        change: One of `Change`.
        before: Land cover at the earlier date, None where that is not known.
        after: Land cover at the later date.
        beside: Land cover that it adjoins at the later date.
        area_m2: Its size; None where that is not known.
        count: Number of separate objects; None for what is not counted.
        place: One of `places.PLACES`, or `places.EVERYWHERE`.
        is_long: Whether it is much longer than wide.
    """

    class_name: str
    change: str
    before: str | None = None
    after: str | None = None
    beside: str | None = None
    area_m2: float | None = None
    count: int | None = None
    place: str = ""
    is_long: bool = False


def adjoining_cover(class_name: str, before: str | None, rim_px: Sequence[int]) -> str | None:
    """The land cover that a piece adjoins; None where none stands out.

    What it consists of itself, or stands on, is not worth naming, but for buildings.

    Args:
        class_name: What changed.
        before: Land cover of the piece at the earlier date.
        rim_px: As `Ground.beside`.
    """
    total = sum(rim_px)
    excluded = COVERS.get(class_name, frozenset()) - {"building"} | {before}
    for name in _BESIDE:
        if (
            total
            and name not in excluded
            and rim_px[LAND_COVER.index(name)] >= _BESIDE_SHARE * total
        ):
            return name
    return None


def is_long(polygon: Polygon) -> bool:
    """Whether a polygon is much longer than wide."""
    return bool(polygon.length**2 >= _LONG * polygon.area)
