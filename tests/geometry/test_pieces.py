import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masks import MASKS as ANY_MASKS
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geochg.geometry.pieces import label_pieces, number_groups

MASKS = {
    "noise": lambda rng: rng.random((90, 70)) > 0.5,
    "dense noise": lambda rng: rng.random((70, 90)) > 0.3,
    "blobs": lambda rng: ndimage.gaussian_filter(rng.standard_normal((120, 130)), 2) > 0,
    "one row": lambda rng: rng.random((1, 50)) > 0.5,
    "one column": lambda rng: rng.random((50, 1)) > 0.5,
    "full": lambda _: np.ones((9, 8), bool),
    "empty": lambda _: np.zeros((9, 8), bool),
    "chequered": lambda _: np.indices((11, 12)).sum(axis=0) % 2 == 0,
}


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_pieces_are_numbered_as_scipy_numbers_them(name, corners):
    mask = MASKS[name](np.random.default_rng(3))
    labels, count = label_pieces(mask, corners=corners)
    wanted, number = ndimage.label(mask, np.ones((3, 3)) if corners else None)
    assert count == number
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, wanted)


@given(ANY_MASKS, st.booleans())
def test_pieces_of_any_mask_are_those_of_scipy(mask, corners):
    labels, count = label_pieces(mask, corners=corners)
    wanted, number = ndimage.label(mask, np.ones((3, 3)) if corners else None)
    assert count == number
    np.testing.assert_array_equal(labels, wanted, strict=True)


def grouped(left, right, count):
    """The groups by scipy, in order of their first members."""
    links = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    _, label = connected_components(links, directed=False)
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse]


@pytest.mark.parametrize("links", [0, 30, 100, 400])
def test_groups_are_numbered_by_their_first_member(links):
    left, right = np.random.default_rng(links).integers(0, 100, (2, links))
    number = number_groups(left, right, 100)
    np.testing.assert_array_equal(number, grouped(left, right, 100))


@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_groups_of_any_links_are_those_of_scipy(count, links, seed):
    left, right = np.random.default_rng(seed).integers(0, count, (2, links))
    number = number_groups(left, right, count)
    assert number.dtype == np.int64
    np.testing.assert_array_equal(number, grouped(left, right, count))


def test_of_nothing_there_are_no_groups():
    nothing = np.zeros(0, np.int64)
    assert number_groups(nothing, nothing, 0).shape == (0,)
    with pytest.raises(IndexError):
        number_groups(np.array([0]), np.array([3]), 3)


def test_a_long_chain_in_any_order_is_one_group():
    order = np.random.default_rng(1).permutation(5000)
    assert not number_groups(order[:-1], order[1:], 5000).any()
