"""Of shapes, what has an area: lines and points among polygons are left out, and said to be."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_FARTHEST = 1e15
"""Of coordinates in any unit: beyond it they are rubbish, and GEOS computes with infinities."""

_KINDS = {"Point": "point", "MultiPoint": "point", "LineString": "line", "MultiLineString": "line"}
_KINDS |= {"LinearRing": "line", "Polygon": "polygon without an area"}


class Areas(NamedTuple):
    """What has an area of some shapes.

    Attributes:
        shapes: `(n,)` valid polygons and multipolygons, one for each shape; empty where the shape
            has no area.
        note: What was left out, in words; empty where nothing was.
    """

    shapes: NDArray[np.object_]
    note: str


def areas(shapes: Iterable[BaseGeometry | None]) -> Areas:
    """Mends shapes and leaves out what has no area: lines, points, spikes.

    Args:
        shapes: Shapes of any kind; None where there is none.

    Raises:
        InputError: If the coordinates of one are not finite, or beyond all CRSs.
    """
    import shapely

    kept_areas: list[BaseGeometry] = []
    kind_totals: Counter[str] = Counter()
    for shape in shapes:
        if shape is None or shape.is_empty:
            kept_areas.append(shapely.Polygon())
            continue
        if not in_reach(shape):
            raise InputError(
                "a shape has coordinates that are not finite, or far beyond any CRS",
                "mend or remove it in QGIS",
            )
        kept_areas.append(polygon_part(shapely.make_valid(shape)))
        kind_totals.update(_without_area(shape))
    polygons = np.empty(len(kept_areas), dtype=object)
    polygons[:] = kept_areas
    return Areas(polygons, _note(kind_totals))


def in_reach(shape: BaseGeometry) -> bool:
    """Whether all coordinates of a shape are numbers that some CRS may have."""
    import shapely

    return bool(np.all(np.abs(shapely.get_coordinates(shape)) <= _FARTHEST))


def polygon_part(shape: BaseGeometry) -> BaseGeometry:
    """The polygons of a valid shape as one; empty where it has none."""
    import shapely

    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = [polygon_part(part) for part in shapely.get_parts(shape) if part.geom_type not in _THIN]
    return shapely.union_all(parts) if parts else shapely.Polygon()


_THIN = frozenset(kind for kind in _KINDS if kind != "Polygon")


def _without_area(shape: BaseGeometry) -> list[str]:
    """The kinds of the shapes given that have no area; a spike of a polygon is none of them."""
    import shapely

    if shape.geom_type == "GeometryCollection":
        return [kind for part in shapely.get_parts(shape) for kind in _without_area(part)]
    if shape.geom_type in _THIN:
        return [_KINDS[shape.geom_type]] * shapely.get_num_geometries(shape)
    # The lobes of a polygon that crosses itself may cancel each other out.
    has_area = shape.area != 0 or polygon_part(shapely.make_valid(shape)).area != 0
    return [] if has_area else ["polygon without an area"]


def _note(kind_totals: Counter[str]) -> str:
    kind_counts = [f"{count} {_plural(kind, count)}" for kind, count in sorted(kind_totals.items())]
    if not kind_counts:
        return ""
    *others, last = kind_counts
    names = f"{', '.join(others)} and {last}" if others else last
    return (
        f"{names} {'is' if sum(kind_totals.values()) == 1 else 'are'} left out: only polygons count"
    )


def _plural(kind: str, count: int) -> str:
    head, _, remainder = kind.partition(" ")
    return kind if count == 1 else f"{head}s {remainder}".rstrip()
