"""Outlines of buildings that are squared: drawn in pixels, they come back as they were drawn."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from scipy import ndimage
from shapely import affinity

from geochg.features.smoothing import smoothed_polygons
from geochg.geometry.lattice import unit_steps
from geochg.geometry.placement import ground_axes
from geochg.geometry.polygonize import labelled_pieces, piece_polygons
from geochg.geometry.regularization import REACH_PX, regularized_outlines
from geochg.geometry.right_angles import changed_shares
from geochg.records import PixelWindow

SIDE_PX = 120
METRE = np.eye(2) * [1, -1]
EPSILON_PX2 = 1e-5


def pixel_polygons(labels):
    """Polygons of the 4-connected pieces of each value above 0."""
    height_px, width_px = labels.shape
    pieces, _ = labelled_pieces(labels.astype(np.intp), labels > 0)
    return piece_polygons(pieces, PixelWindow(0, height_px, 0, width_px))


def drawn(*shapes, side_px=SIDE_PX):
    """Shapes as pixels, the later ones over the earlier ones."""
    numbered = [(shape, number) for number, shape in enumerate(shapes, 1)]
    return pixel_polygons(rasterize(numbered, out_shape=(side_px, side_px)))


def squared(pixels, eligible=None, axes=METRE, share=0.15):
    smooth = smoothed_polygons(unit_steps(shapely.orient_polygons(pixels)))
    wanted = np.ones(len(pixels), bool) if eligible is None else np.array(eligible)
    result = regularized_outlines(
        pixels, smooth, wanted, np.broadcast_to(axes, (len(pixels), 2, 2)), share
    )
    assert shapely.is_valid(result.outlines).all()
    assert overlap_px2(result.outlines) < EPSILON_PX2
    assert shapely.covers(shapely.buffer(pixels, REACH_PX), result.outlines).all()
    for number in np.flatnonzero(result.is_squared):
        assert max(changed_shares(result.outlines[number], pixels[number])) <= share + 1e-9
    return result


def overlap_px2(polygons):
    left, right = shapely.STRtree(polygons).query(polygons, "intersects")
    left, right = left[left < right], right[left < right]
    return shapely.area(shapely.intersection(polygons[left], polygons[right])).max(initial=0)


def turned(shape, angle):
    return affinity.rotate(shape, angle, origin=(SIDE_PX / 2 + 0.3, SIDE_PX / 2 + 0.4))


def box(width, height, x=SIDE_PX / 2 + 0.3, y=SIDE_PX / 2 + 0.4):
    return shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


ELL = box(50, 20).union(box(20, 50, x=45.3, y=75.4))
HORSESHOE = box(60, 50).difference(box(24, 40, y=75.4))
COURTYARD = box(60, 50).difference(box(24, 18))


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 90), st.floats(14, 60), st.floats(14, 60))
def test_a_rectangle_comes_back_to_within_a_pixel_edge(angle, width, height):
    truth = turned(box(width, height), angle)
    result = squared(drawn(truth))
    (outline,) = result.outlines
    assert result.is_squared.all()
    assert shapely.get_num_coordinates(outline) == 5
    # Edges of a rectangle that lies nearly as the pixels do are known to a pixel's edge at best.
    assert shapely.hausdorff_distance(outline, truth) <= 0.75
    assert shapely.area(shapely.symmetric_difference(outline, truth)) < 0.5 * truth.length


@pytest.mark.parametrize("angle", [0, 7, 23, 45, 61, 88])
@pytest.mark.parametrize(("shape", "vertices"), [(ELL, 7), (HORSESHOE, 9), (COURTYARD, 10)])
def test_wings_and_courtyards_come_back(shape, vertices, angle):
    truth = turned(shape, angle)
    result = squared(drawn(truth))
    (outline,) = result.outlines
    assert result.is_squared.all()
    assert shapely.get_num_coordinates(outline) == vertices
    assert outline.intersection(truth).area / outline.union(truth).area > 0.95
    assert shapely.hausdorff_distance(outline, truth) < 1.0


@pytest.mark.parametrize("radius", [6, 8, 12, 20, 35])
@pytest.mark.parametrize("flatness", [1, 1.6])
def test_round_buildings_stay_round(radius, flatness):
    disc = affinity.scale(shapely.Point(60.3, 60.4).buffer(radius, 64), flatness, 1)
    assert not squared(drawn(turned(disc, 20))).is_squared.any()


def test_a_building_of_two_directions_stays_as_it_is():
    bent = box(60, 14).union(affinity.rotate(box(60, 14, x=85), 40, origin=(60, 60)))
    triangle = shapely.Polygon([(20, 20), (100, 30), (40, 90)])
    for shape in (bent, triangle):
        assert not squared(drawn(shape)).is_squared.any()


def test_what_is_tiny_stays_as_it_is():
    pixels = drawn(shapely.box(10, 10, 13, 13), shapely.box(20, 20, 21, 25))
    assert not squared(pixels).is_squared.any()


def test_only_what_may_be_squared_is():
    pixels = drawn(affinity.rotate(shapely.box(10, 10, 40, 30), 20), shapely.box(80, 80, 100, 95))
    result = squared(pixels, [False, True])
    assert result.is_squared.tolist() == [False, True]
    assert shapely.get_num_coordinates(result.outlines[0]) > 5


@pytest.mark.parametrize("angle", [10, 35, 70])
def test_what_surrounds_a_building_follows_its_walls(angle):
    yard, house = shapely.box(5, 5, 115, 115), turned(box(40, 26), angle)
    result = squared(drawn(yard, house), [False, True])
    assert result.is_squared.tolist() == [False, True]
    around, inside = result.outlines
    assert shapely.get_num_coordinates(inside) == 5
    # Nothing lies between them, and nothing was lost.
    together = shapely.union_all([around, inside])
    assert together.symmetric_difference(yard).area < 0.6 * 4  # corners are smoothed
    assert around.area + inside.area == pytest.approx(together.area, abs=1e-4)


@pytest.mark.parametrize("angle", [0, 15, 40])
def test_houses_that_share_a_wall_still_share_it(angle):
    left, right = box(24, 30, x=48.3), box(24, 30, x=72.3)
    result = squared(drawn(turned(left, angle), turned(right, angle)))
    first, second = result.outlines
    gap = shapely.difference(
        turned(shapely.box(36.3, 45.4, 84.3, 75.4).buffer(-1), angle), shapely.union(first, second)
    )
    assert gap.area < 1.0
    assert result.is_squared.any()


@pytest.mark.parametrize("latitude", [0, 60, 75])
def test_angles_are_those_of_the_ground(latitude):
    # Degrees: at 60 degrees of latitude a pixel is half as wide as it is high.
    grid = GeoBox((SIDE_PX, SIDE_PX), Affine(1e-5, 0, 25, 0, -1e-5, latitude), "EPSG:4326")
    width_share = np.cos(np.radians(latitude))
    ground = affinity.rotate(box(30, 20), 33)
    truth = affinity.scale(ground, 1 / width_share, 1)
    side_px = 2 * SIDE_PX
    pixels = drawn(affinity.translate(truth, 60, 0), side_px=side_px)
    axes = ground_axes(pixels, grid)
    assert np.linalg.norm(axes[0], axis=0) == pytest.approx([1.113 * width_share, 1.113], rel=0.01)
    result = squared(pixels, axes=axes)
    assert result.is_squared.all()
    corners = shapely.get_coordinates(result.outlines[0]) @ axes[0].T
    sides = np.diff(corners, axis=0)
    assert len(sides) == 4
    following = np.roll(sides, -1, axis=0)
    lengths = np.linalg.norm(sides, axis=1) * np.linalg.norm(following, axis=1)
    assert abs((sides * following).sum(axis=1) / lengths).max() < 1e-6


def test_axes_of_a_turned_grid_and_of_one_at_the_antimeridian():
    turned_grid = GeoBox((9, 9), Affine.rotation(30) @ Affine.scale(2, -2), "EPSG:3857")
    (axes,) = ground_axes(np.array([shapely.box(1, 1, 3, 3)], object), turned_grid)
    assert np.linalg.norm(axes, axis=0) == pytest.approx([2, 2], rel=0.01)
    assert np.degrees(np.arctan2(axes[1, 0], axes[0, 0])) == pytest.approx(30, abs=0.5)
    grid = GeoBox((9, 9), Affine(1e-4, 0, 180 - 2.5e-4, 0, -1e-4, 10), "EPSG:4326")
    (axes,) = ground_axes(np.array([shapely.box(2, 1, 3, 2)], object), grid)
    assert np.linalg.norm(axes, axis=0) == pytest.approx([10.96, 11.06], rel=0.01)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.05, 0.15, 0.4]), st.integers(1, 4))
def test_blobs_side_by_side_never_overlap_or_grow_by_more_than_the_share(seed, share, kinds):
    random = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(random.normal(size=(kinds + 1, 60, 60)), (0, 2.5, 2.5))
    pixels = pixel_polygons(field.argmax(axis=0))
    eligible = random.random(len(pixels)) < 0.6
    result = squared(pixels, eligible, share=share)  # asserts what has to hold of all
    assert not result.is_squared[~eligible].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_no_gap_opens_between_a_building_and_what_surrounds_it(seed):
    random = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(random.normal(size=(3, 80, 80)), (0, 4, 4))
    pixels = pixel_polygons(field.argmax(axis=0) + 1)
    left, right = shapely.STRtree(pixels).query(pixels, "touches")
    eligible = np.zeros(len(pixels), bool)
    for number in random.permutation(len(pixels)):
        x_least, y_least, x_most, y_most = pixels[number].bounds
        is_inside = min(x_least, y_least) > 0 and max(x_most, y_most) < 80
        eligible[number] = is_inside and not eligible[right[left == number]].any()
    result = squared(pixels, eligible, share=0.4)
    covered = shapely.union_all(result.outlines)
    assert shapely.box(2, 2, 78, 78).difference(covered).area < 0.5


@pytest.mark.parametrize("angle", [0, 26.565, 45, 70])
@pytest.mark.parametrize("shape", [box(16, 9), box(21, 14), ELL, HORSESHOE])
def test_the_last_bits_of_coordinates_do_not_matter(shape, angle):
    """Processors round sines, cosines and projected coordinates otherwise."""
    (pixels,) = drawn(turned(shape, angle))
    expected = squared(np.array([pixels])).outlines[0]
    for seed in range(6):
        noise = 1 + np.random.default_rng(seed).integers(-3, 4, (2, 2)) * 2**-52
        outline = squared(np.array([pixels]), axes=METRE * noise).outlines[0]
        assert shapely.area(shapely.symmetric_difference(outline, expected)) < EPSILON_PX2


def test_the_order_of_polygons_does_not_matter():
    random = np.random.default_rng(3)
    field = ndimage.gaussian_filter(random.normal(size=(3, 90, 90)), (0, 3, 3))
    pixels = pixel_polygons(field.argmax(axis=0))
    eligible = np.arange(len(pixels)) % 2 == 0
    order = random.permutation(len(pixels))
    first, second = (
        squared(pixels, eligible, share=0.4),
        squared(pixels[order], eligible[order], share=0.4),
    )
    assert first.is_squared.any()
    assert second.is_squared.tolist() == first.is_squared[order].tolist()
    assert shapely.equals_exact(
        shapely.normalize(second.outlines), shapely.normalize(first.outlines[order]), 1e-6
    ).all()
