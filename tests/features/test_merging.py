from itertools import pairwise

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.features import rasterize
from scipy import ndimage
from tile_factory import results_of

from geochg.features.merging import Contacts
from geochg.geometry.lattice import outline_polygons, united_steps


def cells_of(classes, core_px):
    cells = [cell for result in results_of(classes, core_px) for cell in result.cells]
    kind = np.array([("building", "road").index(cell.class_name) for cell in cells], np.int64)
    return np.array([cell.polygon for cell in cells], dtype=object), kind


def feature_numbers(polygons, kind):
    return Contacts.of(polygons).feature_numbers(kind)


def merged_polygons(polygons, feature):
    return outline_polygons(united_steps(Contacts.of(polygons).steps, feature))


@settings(deadline=None, max_examples=80)
@given(hnp.arrays(np.int8, (12, 18), elements=st.integers(0, 2)).filter(np.any))
def test_cutting_into_tiles_and_merging_gives_the_whole_pieces_back(classes):
    polygons, kind = cells_of(classes, 6)
    feature = feature_numbers(polygons, kind)
    whole = merged_polygons(polygons, feature)
    expected = sum(ndimage.label(classes == i)[1] for i in (1, 2))
    assert len(whole) == feature.max() + 1 == expected
    assert shapely.is_valid(whole).all()
    assert set(shapely.get_type_id(whole)) == {shapely.GeometryType.POLYGON}
    drawn = np.zeros(classes.shape, int)
    for index, polygon in enumerate(whole):
        assert polygon.equals(shapely.union_all(polygons[feature == index]))
        inside = rasterize([polygon], classes.shape).astype(bool)
        assert inside.sum() == polygon.area
        drawn[inside] = kind[feature == index][0] + 1
    np.testing.assert_array_equal(drawn, classes)


def test_one_piece_over_four_tiles():
    classes = np.zeros((16, 16), int)
    classes[6:10, 5:11] = 1
    polygons, kind = cells_of(classes, 8)
    assert len(polygons) == 4
    (whole,) = merged_polygons(polygons, feature_numbers(polygons, kind))
    assert whole.equals(shapely.box(5, 6, 11, 10))


def test_a_ring_over_four_tiles_keeps_its_hole():
    classes = np.zeros((16, 16), int)
    classes[4:12, 4:12] = 1
    classes[6:10, 6:10] = 0
    polygons, kind = cells_of(classes, 8)
    (whole,) = merged_polygons(polygons, feature_numbers(polygons, kind))
    assert whole.area == 48
    assert len(whole.interiors) == 1


def test_corner_contact_other_classes_and_a_gap_do_not_join():
    classes = np.zeros((16, 16), int)
    classes[6:8, 6:8] = 1
    classes[8:10, 8:10] = 1
    classes[6:8, 8:10] = 2
    classes[0, 7] = classes[2, 8] = 1
    polygons, kind = cells_of(classes, 8)
    assert feature_numbers(polygons, kind).max() + 1 == len(polygons) == 5


def test_overlapping_boxes_of_two_classes_stay_apart():
    boxes = np.array([shapely.box(0, 0, 5, 5), shapely.box(5, 0, 9, 5), shapely.box(0, 0, 5, 5)])
    assert feature_numbers(boxes, np.array([0, 0, 1])).tolist() == [0, 0, 1]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 200), min_size=2, max_size=4), st.integers(1, 5000))
def test_long_edges_join_exactly(sides, offset):
    """Edges of any length, which floating-point steps of a pixel would not cut where pixels end."""
    borders = offset + np.cumsum([0, *sides])
    polygons = np.array(
        [
            shapely.box(left, top, right, bottom)
            for left, right in pairwise(borders)
            for top, bottom in pairwise(borders)
        ],
        dtype=object,
    )
    kind = np.zeros(len(polygons), np.int64)
    (whole,) = merged_polygons(polygons, feature_numbers(polygons, kind))
    assert whole.normalize() == shapely.box(*[borders[0]] * 2, *[borders[-1]] * 2).normalize()


def test_pieces_that_are_there_several_times_make_one():
    """As boxes of cells do, when the classes of what changed in them are in doubt."""
    boxes = [shapely.box(0, 0, 85, 85)] * 3 + [shapely.box(85, 0, 171, 85)] * 2
    polygons = np.array(boxes, dtype=object)
    feature = feature_numbers(polygons, np.zeros(len(polygons), np.int64))
    (whole,) = merged_polygons(polygons, feature)
    assert whole.equals(shapely.box(0, 0, 171, 85))
