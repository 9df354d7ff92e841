import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochg.evaluation.map_measures import cell_means, difference, median_filtered


@pytest.mark.parametrize(
    ("shape", "cells"),
    [((256, 256), 9), ((200, 300), 8), ((40, 40), 1), ((1, 700), 8), ((640, 952), 88)],
)
def test_cells_are_thirds_of_256_px(shape, cells):
    known = np.ones(shape, bool)
    assert len(cell_means(np.zeros(shape), known)) == cells


def test_means_by_hand():
    values, known = np.zeros((256, 256)), np.ones((256, 256), bool)
    values[:85, :85] = 3
    values[171:, 171:] = np.arange(85)
    result = cell_means(values, known).reshape(3, 3)
    assert result[0, 0] == 3
    assert result[2, 2] == 42
    assert np.count_nonzero(result) == 2


def test_only_known_pixels_count():
    values, known = np.zeros((256, 256)), np.ones((256, 256), bool)
    values[:40, :85], known[40:85, :85] = 1, False
    known[:85, 85:171] = False
    known[85:94, 85:94] = True
    known[171:, 171:] = False
    known[171:179, 171:179] = True
    result = cell_means(values, known).reshape(3, 3)
    assert result[0, 0] == 1
    # 81 of 7,310 pixels, and 64 of 7,225: one above and one below a hundredth.
    assert np.isnan(result[0, 1])
    assert np.isnan(result[2, 2])
    assert np.isnan(result).sum() == 2


@given(st.integers(1, 400), st.integers(1, 400))
def test_cells_never_overlap(height, width):
    known, values = np.ones((height, width), bool), np.arange(height * width, dtype=float)
    means = cell_means(values.reshape(height, width), known)
    assert np.isfinite(means).all()
    assert len(np.unique(means)) == len(means)


def ground(seed, bands=3):
    return np.random.default_rng(seed).uniform(50, 200, (bands, 60, 60))


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (0.5, 20), (1.3, -10)])
def test_light_and_contrast_are_no_difference(gain, offset):
    before = ground(0)
    assert difference(before, before * gain + offset).max() < 1e-3


@pytest.mark.parametrize("bands", [1, 2, 4])
def test_what_changed_stands_out(bands):
    before = ground(1, bands)
    after = before.copy()
    after[:, 20:40, 20:40] = 250 - after[:, 20:40, 20:40]
    result = median_filtered(difference(before, after))
    assert result[24:36, 24:36].min() > result[:15].max()


def test_ground_without_data_is_no_difference():
    before, after = ground(2), ground(3)
    before[:, :10], after[:, :, 50:] = 0, 0
    result = difference(before, after)
    assert not result[:10].any()
    assert not result[:, 50:].any()
    assert result[10:, :50].all()
    assert not difference(np.zeros((3, 9, 9)), after[:, :9, :9]).any()


def test_the_first_bands_are_compared_where_the_numbers_differ():
    before = ground(4, 4)
    assert difference(before, before[:3]).max() < 1e-9
