"""What is measured on a pair, and the difference maps that are told by it."""

import numpy as np
import pytest
import torch

from geochg.models.deltavlm.dense_head import INDEX_CHANNELS
from geochg.models.deltavlm.difference_maps import WIDE_COLOR, differences, map_count, relative_logs
from geochg.models.deltavlm.scene import (
    COLOR_CHANNELS,
    SPREAD_FLOOR,
    WHITENED_CHANNELS,
    scene_layout,
    scene_vector,
    valid_at,
    whitening_matrix,
    with_medians,
)

WIDTHS = (6, 4)
LAYOUT = scene_layout(WIDTHS)
SIDE = 24
ALL = np.ones((3, SIDE, SIDE), bool)


def date(seed, tiles=3):
    """Maps of one date: the colours and the indices, then two levels."""
    rng = np.random.default_rng(seed)
    colors = rng.random((tiles, COLOR_CHANNELS + INDEX_CHANNELS, SIDE, SIDE))
    levels = [rng.normal(size=(tiles, w, SIDE >> n, SIDE >> n)) for n, w in enumerate(WIDTHS)]
    return [level.astype(np.float32) for level in (colors, *levels)]


def measured(before, after, valid=ALL, resolution_m=10.0, layout=LAYOUT):
    return scene_vector(layout, before, after, valid, resolution_m)


# --- the layout ----------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(3,), WIDTHS, (8, 12, 16, WHITENED_CHANNELS + 1)])
def test_every_number_of_a_vector_belongs_to_one_part(widths):
    layout = scene_layout(widths)
    slices = [layout.medians_slice, layout.resolution_slice]
    for level in layout.levels:
        slices += [*level.means, *level.spreads]
    for white in layout.whitened:
        slices += [white.offset, white.matrix]
    places = [position for part in slices for position in range(part.start, part.stop)]
    assert sorted(places) == list(range(layout.size))


def test_wide_levels_are_not_whitened():
    wide = scene_layout((4, WHITENED_CHANNELS + 1))
    assert len(wide.whitened) == len(scene_layout((4,)).whitened)
    assert len(scene_layout((4, WHITENED_CHANNELS)).whitened) == len(wide.whitened) + 1


# --- whitening -----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25])
def test_whitening_makes_the_unchanged_part_uncorrelated_and_of_variance_one(share):
    rng = np.random.default_rng(0)
    mixed = np.array([[2.0, 0, 0], [0.5, 1, 0], [-0.4, 0.6, 1.5]])
    values = mixed @ rng.normal(size=(3, 20_000)) + np.array([[3.0], [0], [-1]])
    changed = rng.random(values.shape[1]) < share
    values[:, changed] += np.array([[25.0], [-30], [40]])
    offset, matrix = whitening_matrix(values.astype(np.float32))
    white = matrix @ (values - offset[:, None])
    lengths = np.square(white).sum(axis=0)
    least_changed = white[:, lengths <= np.quantile(lengths, 0.7)]
    assert np.allclose(least_changed.var(axis=1), 1, atol=0.25)
    correlation = np.corrcoef(white[:, ~changed])
    # What lies off the diagonal of the covariance is shrunk by a tenth.
    assert np.abs(correlation - np.eye(3)).max() < 0.2
    assert np.abs(np.corrcoef(values[:, ~changed]) - np.eye(3)).max() > 0.4
    assert np.allclose(offset, [3, 0, -1], atol=0.3)
    if share:
        assert np.sqrt(lengths[changed]).min() > 3 * np.sqrt(lengths[~changed]).mean()


def test_whitening_bears_channels_that_are_the_same_or_constant():
    rng = np.random.default_rng(0)
    first = rng.normal(size=500)
    offset, matrix = whitening_matrix(np.stack((first, first, np.zeros(500))).astype(np.float32))
    assert np.isfinite(matrix).all()
    assert np.isfinite(offset).all()


# --- the vector ----------------------------------------------------------------------------------


def test_means_and_spreads_are_those_of_each_date():
    before, after = date(0), date(1)
    vector = measured(before, after)
    for index, position in enumerate(LAYOUT.levels):
        for number, maps in enumerate((before, after)):
            values = np.moveaxis(maps[index][:, : position.channels], 1, 0)
            values = values.reshape(position.channels, -1)
            assert np.allclose(vector[position.means[number]], values.mean(axis=1), atol=1e-5)
            spreads = values.std(axis=1) + SPREAD_FLOOR
            assert np.allclose(vector[position.spreads[number]], spreads, atol=1e-5)
    assert (vector[LAYOUT.medians_slice] == 1).all()


@pytest.mark.parametrize(("resolution_m", "told"), [(10.0, (np.log2(10), 1)), (None, (0, 0))])
def test_the_resolution_is_told_where_it_is_known(resolution_m, told):
    vector = measured(date(0), date(1), resolution_m=resolution_m)
    assert vector[LAYOUT.resolution_slice] == pytest.approx(told)


def test_the_same_tiles_in_the_same_order_give_the_same_bytes():
    first, other = (measured(date(0), date(1)) for _ in range(2))
    assert first.tobytes() == other.tobytes()
    assert first.dtype == np.float32
    assert first.shape == (LAYOUT.size,)
    assert not np.array_equal(first, measured(date(2), date(1)))


def test_invalid_pixels_do_not_count():
    valid = ALL.copy()
    valid[:, :8] = False
    vectors = []
    for wild in (0.0, 900.0):
        before, after = date(0), date(1)
        for maps in before:
            maps[..., : maps.shape[-2] // 3, :] = wild
        vector = measured(before, after, valid)
        relative = np.abs(before[0][:, :1] - after[0][:, :1]).repeat(
            len(vector[LAYOUT.medians_slice]), axis=1
        )
        vectors.append(with_medians(LAYOUT, vector, relative, valid))
    first, other = vectors
    for level in LAYOUT.levels:
        for part in (*level.means, *level.spreads):
            assert np.array_equal(first[part], other[part])
    assert np.array_equal(first[LAYOUT.medians_slice], other[LAYOUT.medians_slice])


def test_where_nothing_is_valid_all_is_measured():
    result = measured(date(0), date(1), ALL & False)
    assert np.array_equal(result, measured(date(0), date(1)))


def test_medians_are_of_the_valid_pixels_of_each_map():
    rng = np.random.default_rng(0)
    count = LAYOUT.medians_slice.stop - LAYOUT.medians_slice.start
    maps = rng.random((3, count, SIDE, SIDE)).astype(np.float32)
    valid = rng.random((3, SIDE, SIDE)) < 0.5
    plain = measured(date(0), date(1))
    result = with_medians(LAYOUT, plain, maps, valid)
    wanted = [np.median(maps[:, position][valid]) for position in range(count)]
    assert np.allclose(result[LAYOUT.medians_slice], wanted)
    assert (plain[LAYOUT.medians_slice] == 1).all()


def test_a_coarse_pixel_is_valid_where_all_below_it_are():
    valid = np.ones((1, 8, 8), bool)
    valid[0, 5, 2] = False
    assert valid_at(valid, 4).tolist() == [[[True, True], [False, True]]]
    assert valid_at(valid, 1).sum() == 63


# --- difference maps -----------------------------------------------------------------------------


def compared(before, after, vector):
    dates = [[torch.from_numpy(level) for level in maps] for maps in (before, after)]
    scene = torch.from_numpy(vector)[None].repeat(len(before[0]), 1)
    return differences(LAYOUT, *dates, scene)


def plain_vector():
    """Of a scene of mean 0 and spread 1 whose differences are uncorrelated."""
    vector = np.zeros(LAYOUT.size, np.float32)
    for level in LAYOUT.levels:
        for spread in level.spreads:
            vector[spread] = 1
    for white in LAYOUT.whitened:
        vector[white.matrix] = np.eye(white.channels).ravel()
    return vector


def test_equal_dates_do_not_differ():
    before = date(0)
    result = compared(before, before, measured(before, before))
    assert result.relative.abs().max() < 1e-5
    assert all(level.abs().max() == 0 for level in result.standard)
    other = compared(before, date(1), measured(before, date(1)))
    assert (other.relative.flatten(2).amax(dim=2) > 0.1).all()


@pytest.mark.parametrize("times", [2.0, 5.0])
def test_relative_maps_grow_with_the_difference(times):
    nothing = [np.zeros_like(level) for level in date(0)]
    first, more = (
        compared(nothing, [factor * level for level in date(1)], plain_vector())
        for factor in (1, times)
    )
    assert torch.allclose(more.relative, times * first.relative, rtol=1e-4, atol=1e-5)
    assert first.relative.min() >= 0


def test_numbers_and_sizes_of_the_maps():
    result = compared(date(0), date(1), plain_vector())
    assert result.relative.shape == (
        3,
        LAYOUT.medians_slice.stop - LAYOUT.medians_slice.start,
        SIDE,
        SIDE,
    )
    assert result.relative.shape[1] + result.plain.shape[1] == map_count(len(WIDTHS))
    assert [level.shape[1] for level in result.standard] == list(WIDTHS)
    assert torch.isfinite(result.plain).all()


def test_sensors_of_other_gain_and_offset_make_no_difference():
    before = date(0)
    after = [3 * level - 2 for level in before]
    result = compared(before, after, measured(before, after))
    strange = compared(before, date(1), measured(before, date(1)))
    assert result.relative[:, WIDE_COLOR].max() < 0.3 * strange.relative[:, WIDE_COLOR].min()


def test_a_shift_of_one_pixel_is_not_far_from_no_difference():
    before = date(0)
    after = [np.roll(level, 1, axis=3) for level in before]
    result = compared(before, after, plain_vector()).relative[..., 2:-2, 2:-2]
    # The first map looks for the best match around, the second does not.
    assert result[:, 0].max() < 1e-5 < result[:, WIDE_COLOR].min()


def test_twice_the_median_is_where_the_colours_are_neutral():
    vector = plain_vector()
    vector[LAYOUT.medians_slice] = 3
    scene = torch.from_numpy(vector)[None]
    maps = torch.full((1, vector[LAYOUT.medians_slice].size, 2, 2), 6.0)
    assert relative_logs(LAYOUT, maps, scene).numpy() == pytest.approx(0.7, abs=0.03)
