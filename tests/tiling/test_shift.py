import json
from itertools import product

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasters import texture
from scipy import fft, ndimage

from geochg.options import AlignMode, AnalyzeOptions
from geochg.tiling import shift
from geochg.tiling.pair import open_pair
from geochg.tiling.preparation import prepare
from geochg.tiling.sample import patch_windows
from geochg.tiling.shift import Patch, Shift, common_shift, match_patches

SIDE_PX = 384


def measure_shift(patches):
    """The shift that most windows agree on."""
    return common_shift(match_patches(patches))


def ground(seed: int, side_px: int = SIDE_PX) -> np.ndarray:
    """A scene with fields (sharp edges), soft relief and fine texture; about 0-255."""
    rng = np.random.default_rng(seed)
    relief = ndimage.gaussian_filter(rng.standard_normal((side_px, side_px)), 6)
    patchwork = ndimage.gaussian_filter(rng.standard_normal((side_px, side_px)), 4)
    fields = np.digitize(patchwork, np.quantile(patchwork, (0.2, 0.45, 0.7, 0.9)))
    fine = ndimage.gaussian_filter(rng.standard_normal((side_px, side_px)), 1)
    return 120 + 300 * relief + 25 * (fields - 2) + 20 * fine


def moved(image: np.ndarray, dx_px: float, dy_px: float) -> np.ndarray:
    """The image with its content moved right by dx and down by dy, wrapping round the edges."""
    return fft.ifft2(ndimage.fourier_shift(fft.fft2(image), (dy_px, dx_px))).real


def noisy(image: np.ndarray, seed: int, sigma: float = 4.0) -> np.ndarray:
    return image + np.random.default_rng(seed).normal(0, sigma, image.shape)


def cut(before, after, valid=None, count=3):
    """`count` x `count` patches that do not overlap."""
    side = len(before) // count
    if valid is None:
        valid = np.ones(before.shape, bool)
    for row, col in product(range(count), range(count)):
        at = np.s_[row * side : (row + 1) * side, col * side : (col + 1) * side]
        yield Patch(before[at].astype(np.float32), after[at].astype(np.float32), valid[at])


def other_season(image: np.ndarray, seed: int) -> np.ndarray:
    """Gamma, another range, every other field reversed in contrast, a tenth of it new."""
    rng = np.random.default_rng(seed)
    low, high = np.percentile(image, (1, 99))
    bent = np.clip((image - low) / (high - low), 0, 1) ** 1.6 * 120 + 40
    blobs = ndimage.gaussian_filter(rng.standard_normal(image.shape), 12)
    bent = np.where(blobs < np.quantile(blobs, 0.3), 200 - bent, bent)
    return np.where(blobs > np.quantile(blobs, 0.9), np.rot90(bent, 2), bent)


class TestSign:
    def test_content_to_the_right_and_below_is_positive(self):
        before = ground(0)
        after = np.roll(before, (2, 5), axis=(0, 1))
        found = measure_shift(cut(before, after))
        assert (found.dx_px, found.dy_px) == pytest.approx((5, 2), abs=0.1)

    def test_reading_the_after_image_displaced_by_the_shift_corrects_it(self):
        before = ground(1)
        after = moved(before, 3.3, -1.6)
        found = measure_shift(cut(before, after))
        rows, cols = np.indices(before.shape)
        corrected = ndimage.map_coordinates(after, [rows + found.dy_px, cols + found.dx_px])
        inner = np.s_[20:-20, 20:-20]
        left = np.abs(corrected - before)[inner].mean()
        assert left < 0.2 * np.abs(after - before)[inner].mean()

    def test_swapped_dates_give_the_opposite(self):
        before, after = ground(2), noisy(moved(ground(2), 1.4, 0.7), 2)
        there, back = measure_shift(cut(before, after)), measure_shift(cut(after, before))
        assert there.dx_px == pytest.approx(-back.dx_px, abs=0.05)
        assert there.dy_px == pytest.approx(-back.dy_px, abs=0.05)


class TestAccuracy:
    @settings(max_examples=12, deadline=None)
    @given(
        dx_px=st.floats(-6, 6),
        dy_px=st.floats(-6, 6),
        seed=st.integers(0, 50),
    )
    def test_a_known_shift_is_found_through_season_noise_and_change(self, dx_px, dy_px, seed):
        before = ground(seed)
        after = noisy(other_season(moved(before, dx_px, dy_px), seed), seed)
        found = measure_shift(cut(noisy(before, seed + 1), after))
        assert found.is_clear
        assert np.hypot(found.dx_px - dx_px, found.dy_px - dy_px) < 0.2

    def test_large_shifts_within_an_eighth_of_the_window(self):
        before = ground(3)
        found = measure_shift(cut(before, moved(before, -14.2, 13.6)))
        assert found.is_clear
        assert (found.dx_px, found.dy_px) == pytest.approx((-14.2, 13.6), abs=0.2)

    def test_shifts_beyond_an_eighth_are_not_made_up(self):
        before = ground(4)
        found = measure_shift(cut(before, moved(before, 30, 0)))
        assert found is None or not found.is_clear

    def test_invalid_ground_shared_by_both_dates_does_not_pull_towards_zero(self):
        before = ground(5)
        after = moved(before, 2.5, -1.5)
        blobs = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal(before.shape), 10)
        valid = blobs > np.quantile(blobs, 0.2)
        before, after = np.where(valid, before, 0), np.where(valid, after, np.nan)
        found = measure_shift(cut(before, after, valid))
        assert found.is_clear
        assert (found.dx_px, found.dy_px) == pytest.approx((2.5, -1.5), abs=0.2)

    def test_edges_of_holes_filled_with_nodata_are_not_matched(self):
        before = 200 + ground(15) / 100
        after = moved(before, 2.5, -1.5)
        blobs = ndimage.gaussian_filter(np.random.default_rng(15).standard_normal(before.shape), 5)
        valid = blobs > np.quantile(blobs, 0.1)
        found = measure_shift(cut(np.where(valid, before, 0), np.where(valid, after, 0), valid))
        assert found.is_clear
        assert (found.dx_px, found.dy_px) == pytest.approx((2.5, -1.5), abs=0.2)

    @pytest.mark.parametrize("seed", range(16, 20))
    def test_contrast_reversed_over_half_the_fields(self, seed):
        before = ground(seed)
        after = moved(before, 1.7, -2.4)
        blobs = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(after.shape), 3)
        after = noisy(np.where(blobs > 0, after, 240 - after), seed, sigma=10)
        found = measure_shift(cut(before, after))
        assert found.windows_used == 9
        assert (found.dx_px, found.dy_px) == pytest.approx((1.7, -2.4), abs=0.15)

    def test_nan_counts_as_invalid(self):
        before, after = ground(6), moved(ground(6), 1.5, 1.5)
        before[100:140, 60:90] = np.nan
        found = measure_shift(cut(before, after))
        assert (found.dx_px, found.dy_px) == pytest.approx((1.5, 1.5), abs=0.1)

    def test_windows_that_moved_otherwise_are_outvoted(self):
        before = ground(7)
        after = moved(before, 2, 1)
        after[:128] = moved(before, -7, 4)[:128]
        found = measure_shift(cut(before, after))
        assert (found.windows_used, found.windows_tried) == (6, 9)
        assert (found.dx_px, found.dy_px) == pytest.approx((2, 1), abs=0.1)


class TestNothingToFind:
    @pytest.mark.parametrize("seed", range(8))
    def test_different_places_have_no_clear_shift(self, seed):
        found = measure_shift(cut(ground(seed), ground(seed + 100)))
        assert found is None or not found.is_clear

    @pytest.mark.parametrize("seed", range(8))
    def test_noise_has_no_clear_shift(self, seed):
        flat = np.zeros((SIDE_PX, SIDE_PX))
        found = measure_shift(cut(noisy(flat, seed), noisy(flat, seed + 100), count=5))
        assert found is None or not found.is_clear

    def test_a_window_without_a_distinct_match_counts_for_nothing(self):
        flat = np.zeros((128, 128))
        pairs = [(noisy(flat, seed), noisy(flat, seed + 100)) for seed in range(10)]
        found = [measure_shift(cut(before, after, count=1)) for before, after in pairs]
        assert found.count(None) >= 8

    def test_flat_windows_are_not_tried(self):
        before, after = ground(8), moved(ground(8), 1, 0)
        before[:128] = after[:128] = 7.0
        assert measure_shift(cut(before, after)).windows_tried == 6
        assert measure_shift(cut(np.full_like(before, 7), np.full_like(before, 7))) is None

    def test_windows_without_enough_valid_ground_are_not_tried(self):
        before = ground(9)
        valid = np.ones(before.shape, bool)
        valid[:, :128] = False
        assert measure_shift(cut(before, before, valid)).windows_tried == 6
        assert measure_shift(cut(before, before, np.zeros_like(valid))) is None

    def test_no_windows_and_tiny_windows(self):
        assert measure_shift([]) is None
        before = ground(10, side_px=48)
        assert measure_shift(cut(before, before)) is None

    def test_two_windows_are_not_enough_to_be_clear(self):
        before = ground(11)
        found = measure_shift(list(cut(before, moved(before, 2, 2)))[:2])
        assert found.windows_used == 2
        assert not found.is_clear


class TestVerdict:
    def test_no_shift_is_clear_and_left_alone(self):
        before = ground(12)
        found = measure_shift(cut(before, noisy(before, 12)))
        assert found.is_clear
        assert found.magnitude_px < 0.1
        assert not found.worth_correcting

    @pytest.mark.parametrize(
        ("found", "clear", "worth_correcting"),
        [
            (Shift(0.6, 0.0, 0.1, 9, 9), True, True),
            (Shift(-0.3, 0.4, 0.1, 9, 9), True, True),
            (Shift(0.3, 0.3, 0.1, 9, 9), True, False),
            (Shift(2.0, 0.0, 0.6, 9, 9), False, False),
            (Shift(2.0, 0.0, 0.1, 3, 9), True, True),
            (Shift(2.0, 0.0, 0.1, 3, 10), False, False),
            (Shift(2.0, 0.0, 0.0, 2, 2), False, False),
        ],
    )
    def test_thresholds(self, found, clear, worth_correcting):
        assert (found.is_clear, found.worth_correcting) == (clear, worth_correcting)

    def test_dict_is_json(self):
        before = ground(13)
        found = measure_shift(cut(before, moved(before, 3, 4)))
        facts = json.loads(json.dumps(found.to_dict()))
        assert facts["magnitude_px"] == pytest.approx(5, abs=0.1)
        assert facts["clear"] is True
        assert facts["worth_correcting"] is True
        assert facts["windows_used"] == facts["windows_tried"] == 9

    def test_patches_are_read_one_at_a_time(self, monkeypatch):
        before = ground(14)
        handled = []
        monkeypatch.setattr(shift, "match_patch", lambda patch: handled.append(patch))

        def patches():
            for number, patch in enumerate(cut(before, before)):
                assert len(handled) == number
                yield patch

        assert measure_shift(patches()) is None
        assert len(handled) == 9


class TestFirstWindows:
    @staticmethod
    def taken(after_of, count=5):
        """The measured shift, and how many of 25 windows were looked at."""
        patches, number = [], 0
        for patch in cut(ground(3, 960), after_of(ground(3, 960)), count=count):
            patches.append(patch)

        def one_by_one():
            nonlocal number
            for patch in patches:
                number += 1
                yield patch

        return measure_shift(one_by_one()), number

    def test_windows_that_agree_are_enough(self):
        found, taken = self.taken(lambda image: noisy(moved(image, 1.5, -2.0), 1))
        assert taken == shift.FIRST_WINDOWS
        assert (found.dx_px, found.dy_px) == pytest.approx((1.5, -2.0), abs=0.15)
        assert found.is_clear

    def test_all_are_looked_at_where_some_disagree(self):
        def torn(image):
            """Three of the first nine windows lie elsewhere."""
            after = moved(image, 2, 0)
            after[:192, :576] = moved(image, -5, 4)[:192, :576]
            return after

        found, taken = self.taken(torn)
        assert taken == 25
        assert (found.dx_px, found.dy_px) == pytest.approx((2, 0), abs=0.15)
        assert found.windows_used >= 18

    def test_the_first_windows_are_spread_over_the_whole_grid(self):
        grid = GeoBox((3000, 4000), Affine.identity(), "EPSG:32633")
        windows = list(patch_windows(grid))
        assert len(windows) == len(set(windows)) == 25
        first = windows[: shift.FIRST_WINDOWS]
        assert len({window.row_start for window in first}) == 3
        assert len({window.col_start for window in first}) == 3
        assert min(w.row_start for w in first) == min(w.row_start for w in windows)
        assert max(w.col_stop for w in first) == max(w.col_stop for w in windows)

    @pytest.mark.parametrize(("rows", "cols"), list(product(range(2, 6), repeat=2)))
    def test_the_first_windows_hold_the_corners_however_many_there_are(self, rows, cols):
        side_px = 64 if min(rows, cols) <= 3 else 512
        grid = GeoBox((side_px * rows, side_px * cols), Affine.identity(), "EPSG:32633")
        places = [(w.row_start // side_px, w.col_start // side_px) for w in patch_windows(grid)]
        assert sorted(places) == list(product(range(rows), range(cols)))
        first = places[: min(shift.FIRST_WINDOWS, len(places))]
        assert set(first) >= set(product((0, rows - 1), (0, cols - 1)))
        crossed = set(first[: min(3, rows) * min(3, cols)])
        assert len({row for row, _ in crossed}) == min(3, rows)
        assert len({col for _, col in crossed}) == min(3, cols)

    def test_a_shift_that_is_settled_early_ends_its_progress(self, make_raster):
        path = make_raster("a.tif", texture(320, 192))
        pair = open_pair(path, make_raster("b.tif", texture(320, 192) + 1), AnalyzeOptions(), "all")
        steps = []
        prepare(pair, AlignMode.AUTO, step=lambda *step: steps.append(step))
        # 15 windows, and as many small ones of a field.
        assert steps == [*((number, 30) for number in range(shift.FIRST_WINDOWS)), (30, 30)]
