import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masks import MASKS
from scipy import ndimage

from geochg.geometry.morphology import dilated, edge_distances, eroded, fill_holes

MASK = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal((80, 95)), 2) > 0.02


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_masks_grow_and_shrink_as_scipy_lets_them(steps, square, outside):
    structure = np.ones((3, 3), bool) if square else None
    given = {"structure": structure, "iterations": steps, "border_value": outside}
    options = {"square": square, "outside": outside}
    np.testing.assert_array_equal(
        dilated(MASK, steps, **options), ndimage.binary_dilation(MASK, **given)
    )
    np.testing.assert_array_equal(
        eroded(MASK, steps, **options), ndimage.binary_erosion(MASK, **given)
    )


def test_no_step_changes_nothing():
    np.testing.assert_array_equal(eroded(MASK, 0), MASK)


def test_holes_are_filled_and_bays_are_not():
    np.testing.assert_array_equal(fill_holes(MASK), ndimage.binary_fill_holes(MASK))


@pytest.mark.parametrize("mask", [MASK, np.pad(np.ones((60, 41), bool), 1), np.eye(7) < 1])
def test_distances_to_the_edge_are_exact(mask):
    np.testing.assert_array_equal(edge_distances(mask), ndimage.distance_transform_edt(mask))


@given(MASKS, st.integers(1, 4), st.booleans(), st.booleans())
def test_any_mask_grows_and_shrinks_as_scipy_lets_it(mask, steps, square, outside):
    structure = np.ones((3, 3), bool) if square else None
    given = {"structure": structure, "iterations": steps, "border_value": outside}
    for ours, of_scipy in (
        (dilated, ndimage.binary_dilation),
        (eroded, ndimage.binary_erosion),
    ):
        result = ours(mask, steps, square=square, outside=outside)
        np.testing.assert_array_equal(result, of_scipy(mask, **given), strict=True)


@given(MASKS)
def test_holes_of_any_mask_are_filled_as_scipy_fills_them(mask):
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask), strict=True)


@given(MASKS)
def test_distances_in_any_mask_are_those_of_scipy(mask):
    # Of a mask that is all set there is no distance to tell.
    wanted = (
        np.full(mask.shape, 2.0 * max(mask.shape))
        if mask.all()
        else ndimage.distance_transform_edt(mask)
    )
    np.testing.assert_array_equal(edge_distances(mask), wanted, strict=True)
