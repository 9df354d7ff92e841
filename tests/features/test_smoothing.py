import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from geochg.features.smoothing import smoothed_polygons
from geochg.geometry.lattice import unit_steps
from geochg.geometry.polygonize import labelled_pieces, piece_polygons
from geochg.records import PixelWindow


def pieces(classes):
    labels, _ = labelled_pieces(classes, classes > 0)
    return piece_polygons(labels, PixelWindow(0, classes.shape[0], 0, classes.shape[1]))


@settings(deadline=None, max_examples=150)
@given(hnp.arrays(np.int64, (14, 17), elements=st.integers(0, 3)).filter(np.any))
def test_nothing_overlaps_nothing_is_lost_and_neighbours_keep_their_edge(classes):
    before = pieces(classes)
    after = smoothed_polygons(unit_steps(before))
    assert len(after) == len(before)
    assert shapely.is_valid(after).all()
    assert (shapely.area(after) > 0.6 * shapely.area(before)).all()
    assert shapely.coverage_is_valid(after)
    assert (shapely.hausdorff_distance(after, before) <= 1.0).all()


def test_rectangles_single_pixels_and_holes_stay():
    classes = np.zeros((40, 40), int)
    classes[2, 3] = 1
    classes[5:20, 5:30] = 1
    classes[8:12, 8:12] = 0
    classes[9, 9] = 2
    classes[30:32, 4:30] = 3
    before = pieces(classes)
    assert shapely.equals(smoothed_polygons(unit_steps(before)), before).all()


def test_a_slanted_edge_becomes_straight():
    rows, cols = np.mgrid[:300, :400]
    for slope in (0.1, 1 / 3, 0.5, 1.0):
        before = pieces((rows > 20 + slope * cols).astype(int))
        after = smoothed_polygons(unit_steps(before))
        assert shapely.get_num_coordinates(after)[0] < shapely.get_num_coordinates(before)[0] / 3
        assert abs(after[0].area / before[0].area - 1) < 1e-3


def test_areas_of_drawn_shapes_hardly_change():
    rng = np.random.default_rng(3)
    ground = ndimage.gaussian_filter(rng.normal(size=(400, 400)), 6)
    classes = (ground > ground.std()).astype(int) + (ground < -ground.std())
    before = pieces(classes)
    ratio = shapely.area(smoothed_polygons(unit_steps(before))) / shapely.area(before)
    large = shapely.area(before) > 100
    assert large.sum() > 20
    assert np.abs(ratio[large] - 1).max() < 0.04
    assert abs(np.average(ratio, weights=shapely.area(before)) - 1) < 0.01
