import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from geochg.tiling.radiometry import MIN_SAMPLE, RadiometricMatch, Stretch

GAIN = np.array([0.7, 1.3, 0.9])
OFFSET = np.array([20.0, -10.0, 300.0])


def ground(seed: int = 0, count: int = 20_000) -> np.ndarray:
    """`(3, count)` correlated, skewed values, as land has."""
    rng = np.random.default_rng(seed)
    brightness = rng.gamma(4, 250, count)
    return brightness * np.array([[1.0], [0.9], [0.7]]) + rng.normal(500, 60, (3, count))


def seen_later(before: np.ndarray, noise: float = 20, seed: int = 1) -> np.ndarray:
    """The same ground, such that GAIN and OFFSET carry it back."""
    noise_drawn = np.random.default_rng(seed).normal(0, noise, before.shape)
    return (before + noise_drawn - OFFSET[:, None]) / GAIN[:, None]


class TestStretch:
    def test_eight_bit_passes_unchanged_and_uncopied(self):
        values = np.arange(3 * 256, dtype=np.uint8).reshape(3, 16, 16)
        stretch = Stretch.from_sample(values.reshape(3, -1) // 4, np.uint8)
        assert stretch.is_identity
        assert stretch.apply(values) is values

    def test_bands_are_stretched_each_by_its_own_percentiles(self):
        ramp = np.linspace(0, 100, 1001)
        stretch = Stretch.from_sample(np.stack([ramp, 1000 + 10 * ramp]), np.uint16)
        assert stretch.low == pytest.approx((2, 1020))
        assert stretch.high == pytest.approx((98, 1980))
        assert not stretch.is_identity

    @pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", ">u2", "u4", "i4", "f4", "f8"])
    def test_every_type_gives_the_same_rounded_scale(self, dtype):
        values = np.array([[[0, 10, 15, 20, 61, 110, 127]], [[0, 1, 2, 3, 4, 5, 6]]]).astype(dtype)
        out = Stretch((10.0, 2.0), (110.0, 4.0)).apply(values)
        assert out.dtype == np.uint8
        assert out.tolist() == [[[0, 0, 13, 26, 130, 255, 255]], [[0, 0, 0, 128, 255, 255, 255]]]

    def test_negative_integers(self):
        out = Stretch((-100.0,), (100.0,)).apply(np.array([[[-32768, -100, 0, 100]]], np.int16))
        assert out.tolist() == [[[0, 0, 128, 255]]]

    def test_nan_is_0_and_infinities_clip(self):
        values = np.array([[[np.nan, -np.inf, 0.5, np.inf]]], np.float32)
        assert Stretch((0.0,), (1.0,)).apply(values).tolist() == [[[0, 0, 128, 255]]]

    def test_tiles_cut_from_a_larger_array(self):
        values = np.arange(2 * 40 * 40, dtype=np.uint16).reshape(2, 40, 40)
        stretch = Stretch((0.0, 0.0), (3200.0, 3200.0))
        at = np.s_[:, 3:30:2, 5:11]
        assert np.array_equal(stretch.apply(values[at]), stretch.apply(values)[at])

    def test_values_are_left_alone(self):
        values = np.full((1, 2, 2), 5.0, np.float32)
        Stretch((0.0,), (10.0,)).apply(values)
        assert (values == 5).all()

    def test_not_finite_values_do_not_bend_the_percentiles(self):
        ramp = np.linspace(0, 100, 1001)
        spoilt = np.concatenate([ramp, np.full(500, np.nan), [np.inf, -np.inf]])
        assert Stretch.from_sample(spoilt[None], "f4") == Stretch.from_sample(ramp[None], "f4")

    def test_mostly_constant_band_uses_its_full_range(self):
        sample = np.zeros((1, 1000))
        sample[0, :5] = 50
        assert Stretch.from_sample(sample, "f4") == Stretch((0.0,), (50.0,))

    def test_ranges_too_narrow_to_scale_count_as_constant(self):
        sample = np.linspace(0, 1e-40, 50, dtype=np.float32)[None]
        assert Stretch.from_sample(sample, "f4") == Stretch((0.0,), (1.0,))

    @pytest.mark.parametrize("value", [0.0, 7.0, -3.0, 1e20, np.nan])
    def test_constant_and_empty_bands_are_black(self, value):
        stretch = Stretch.from_sample(np.full((1, 50), value), "f8")
        assert stretch.low[0] < stretch.high[0]
        assert stretch.apply(np.full((1, 2, 2), value)).max() == 0

    def test_another_number_of_bands_is_refused(self):
        with pytest.raises(ValueError, match="3 bands where 2"):
            Stretch((0.0, 0.0), (1.0, 1.0)).apply(np.zeros((3, 4, 4)))

    @given(hnp.arrays(np.uint16, (2, 5, 7)), st.integers(0, 60000), st.integers(1, 5000))
    def test_table_and_arithmetic_agree(self, values, low, extent):
        stretch = Stretch((float(low), 0.0), (float(low + extent), 65535.0))
        assert np.array_equal(stretch.apply(values), stretch.apply(values.astype(np.float32)))

    @given(hnp.arrays(np.float32, (1, 30), elements=st.floats(-1e6, 1e6, width=32)))
    def test_order_is_kept_and_the_range_is_used(self, sample):
        stretch = Stretch.from_sample(sample, np.float32)
        shown = stretch.apply(np.sort(sample)[:, None, :])[0, 0].astype(int)
        assert (np.diff(shown) >= 0).all()
        if np.ptp(sample) > 1e-20:
            assert (shown[0], shown[-1]) == (0, 255)


class TestRadiometricMatch:
    def test_unchanged_ground_gives_gain_and_offset_back(self):
        before = ground()
        match = RadiometricMatch.from_samples(before, seen_later(before))
        assert match.gain == pytest.approx(GAIN, rel=0.01)
        assert match.offset == pytest.approx(OFFSET, abs=15)
        assert match.share_used > 0.9
        assert match.is_clear

    @pytest.mark.parametrize("share", [0.1, 0.2, 0.35])
    def test_changed_ground_does_not_bend_it(self, share):
        before = ground()
        after = seen_later(before)
        changed = np.arange(before.shape[1]) < share * before.shape[1]
        after[:, changed] = np.random.default_rng(2).normal(6000, 300, after[:, changed].shape)
        match = RadiometricMatch.from_samples(before, after)
        assert match.gain == pytest.approx(GAIN, rel=0.03)
        assert match.share_used == pytest.approx(1 - share, abs=0.1)
        error = match.apply(after[:, None, ~changed])[:, 0] - before[:, ~changed]
        assert np.abs(np.median(error, axis=1)).max() < 10
        by_moments = before.std(axis=1) / after.std(axis=1)
        assert np.abs(by_moments / GAIN - 1).min() > 0.2

    def test_noise_does_not_flatten_the_after_image(self):
        before = ground(3)
        noise = np.random.default_rng(4).normal(0, 250, before.shape)
        match = RadiometricMatch.from_samples(before + noise, seen_later(before, noise=250))
        least_squares = [
            np.polyfit(x, y, 1)[0] for x, y in zip(seen_later(before, 250), before, strict=True)
        ]
        assert match.gain == pytest.approx(GAIN, rel=0.05)
        assert (np.array(least_squares) < 0.85 * GAIN).all()

    def test_a_tile_comes_out_as_the_before_image(self):
        values = ndimage.gaussian_filter(ground(5, 3 * 64 * 64)[:, : 64 * 64], (0, 2))
        before = values.reshape(3, 64, 64)
        after = seen_later(values, noise=1).reshape(3, 64, 64).astype(np.float32)
        match = RadiometricMatch.from_samples(before.reshape(3, -1), after.reshape(3, -1))
        matched = match.apply(after)
        assert matched.dtype == np.float32
        assert np.abs(matched - before).max() < 10
        assert np.abs(after - before).mean() > 100

    def test_applying_leaves_the_tile_alone(self):
        match = RadiometricMatch((2.0,), (1.0,), (1.0,), 1.0)
        values = np.full((1, 2, 2), 3.0, np.float32)
        assert match.apply(values).tolist() == [[[7, 7], [7, 7]]]
        assert (values == 3).all()

    def test_its_stretch_shows_what_matching_and_stretching_would(self):
        before = ground(6)
        after = np.clip(seen_later(before), 0, 65535).astype(np.uint16)
        match = RadiometricMatch.from_samples(before, after)
        shown_as = Stretch.from_sample(before, np.uint16)
        at_once = match.stretch(shown_as).apply(after[:, None])
        in_turn = shown_as.apply(match.apply(after[:, None]))
        assert np.abs(at_once.astype(int) - in_turn).max() <= 1
        assert in_turn.std() > 30

    def test_eight_bit_match_shows_through_the_identity_stretch(self):
        rng = np.random.default_rng(7)
        before = rng.integers(40, 200, (1, 5000)).astype(np.uint8)
        after = (before * 0.5 + 60).astype(np.uint8)
        match = RadiometricMatch.from_samples(before, after)
        shown = match.stretch(Stretch.from_sample(before, np.uint8)).apply(after[:, None])
        assert np.abs(shown[:, 0].astype(int) - before).max() <= 2

    def test_unrelated_images_are_not_clear(self):
        match = RadiometricMatch.from_samples(ground(8), ground(9))
        assert not match.is_clear
        assert min(match.gain) > 0

    def test_pixels_not_finite_are_left_out(self):
        before = ground(10)
        after = seen_later(before)
        before[0, :100], after[1, 100:200] = np.nan, np.inf
        assert RadiometricMatch.from_samples(before, after).gain == pytest.approx(GAIN, rel=0.01)

    def test_too_small_a_sample_leaves_values_as_they_are(self):
        few = ground(11, MIN_SAMPLE - 1)
        match = RadiometricMatch.from_samples(few, seen_later(few))
        assert (match.gain, match.offset) == ((1.0,) * 3, (0.0,) * 3)
        assert match.share_used == 0
        assert not match.is_clear

    def test_constant_band_is_only_offset(self):
        before = np.stack([np.full(500, 8.0), np.linspace(0, 1, 500)])
        after = np.stack([np.full(500, 3.0), np.linspace(5, 7, 500)])
        match = RadiometricMatch.from_samples(before, after)
        assert match.gain == pytest.approx((1, 0.5))
        assert match.offset == pytest.approx((5, -2.5))

    def test_identical_dates_give_the_identity(self):
        before = ground(12)
        match = RadiometricMatch.from_samples(before, before)
        assert match.gain == pytest.approx((1, 1, 1))
        assert match.offset == pytest.approx((0, 0, 0), abs=1e-6)
        assert match.share_used == 1

    def test_dict_is_json(self):
        before = ground(13)
        facts = RadiometricMatch.from_samples(before, seen_later(before)).to_dict()
        assert json.loads(json.dumps(facts)) == facts
        assert set(facts) == {"gain", "offset", "correlation", "share_used", "clear"}

    def test_samples_and_tiles_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError, match="do not pair up"):
            RadiometricMatch.from_samples(np.zeros((2, 9)), np.zeros((2, 8)))
        with pytest.raises(ValueError, match="1 bands where 2"):
            RadiometricMatch((1.0,) * 2, (0.0,) * 2, (1.0,) * 2, 1.0).apply(np.zeros((1, 4, 4)))
