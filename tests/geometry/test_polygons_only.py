import numpy as np
import pytest
import shapely
from shapely import GeometryCollection, LineString, MultiPoint, MultiPolygon, Point, Polygon, box

from geochg.errors import InputError
from geochg.geometry.polygons_only import areas, polygon_part

SQUARE = box(0, 0, 10, 10)
ROAD = LineString([(0, 0), (30, 5)])
SPIKED = Polygon([(0, 0), (10, 0), (40, 0), (10, 0), (10, 10), (0, 10)])
BOW = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
"""It crosses itself in lobes that cancel each other out."""

FLAT = Polygon([(0, 0), (5, 0), (9, 0)])


@pytest.mark.parametrize(
    ("shape", "area", "note"),
    [
        (SQUARE, 100, ""),
        (MultiPolygon([SQUARE, box(20, 0, 21, 1)]), 101, ""),
        (SPIKED, 100, ""),
        (GeometryCollection([SQUARE, ROAD]), 100, "1 line is left out"),
        (GeometryCollection([GeometryCollection([SQUARE, ROAD]), Point(1, 1)]), 100, "1 line and"),
        (GeometryCollection([SQUARE, box(5, 0, 15, 10)]), 150, ""),
        (BOW, 50, ""),
        (MultiPolygon([BOW, box(20, 0, 21, 1)]), 51, ""),
        (GeometryCollection([BOW, ROAD]), 50, "1 line is left out"),
        (ROAD, 0, "1 line is left out"),
        (MultiPoint([(0, 0), (1, 1), (2, 2)]), 0, "3 points are left out"),
        (FLAT, 0, "1 polygon without an area is left out"),
        (None, 0, ""),
        (Polygon(), 0, ""),
    ],
)
def test_only_what_has_an_area_is_kept(shape, area, note):
    found = areas([shape])
    assert found.shapes[0].area == pytest.approx(area)
    assert found.shapes[0].geom_type in ("Polygon", "MultiPolygon")
    assert found.shapes[0].is_valid
    assert found.note.startswith(note)
    assert bool(found.note) == bool(note)


def test_what_is_left_out_is_counted_by_kind():
    found = areas([SQUARE, ROAD, MultiPoint([(0, 0), (1, 1)]), FLAT])
    assert found.note == (
        "1 line, 2 points and 1 polygon without an area are left out: only polygons count"
    )
    assert np.count_nonzero(shapely.area(found.shapes)) == 1


@pytest.mark.parametrize("far", [float("inf"), float("-inf"), float("nan"), 1e300])
def test_coordinates_that_no_crs_has_are_refused(far):
    with pytest.raises(InputError, match="not finite, or far beyond"):
        areas([SQUARE, Polygon([(0, 0), (far, 0), (5, 5)])])


def test_shapes_that_touch_are_kept_whole():
    both = polygon_part(GeometryCollection([SQUARE, box(10, 0, 20, 10)]))
    assert both.area == 200
