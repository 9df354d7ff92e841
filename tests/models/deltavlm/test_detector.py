"""Views, stretches and the survey of a pair; by torch."""

import numpy as np
import pytest
from deltavlm_factory import processor, tile, tiny_config, tiny_model

from geochg.models.deltavlm import detector as detector_module
from geochg.models.deltavlm.detector import ColorRange, Detector, zoom_at
from geochg.models.deltavlm.postprocessing import OutlineMaker
from geochg.models.deltavlm.runtime import vision_output
from geochg.models.deltavlm.runtime.torch_vision import TorchVision
from geochg.models.deltavlm.runtime.vision_output import joined_outputs
from geochg.models.deltavlm.views import view_sides
from geochg.models.deltavlm.vision import NO_INFRARED
from geochg.records import Tile


@pytest.fixture(scope="module")
def detector():
    vision = TorchVision(tiny_model(), processor(tiny_config()))
    return Detector(vision, vision.head)


def same(single, other):
    """Whether two outputs hold the same bytes."""
    pairs = [(single.before, other.before), (single.after, other.after)]
    pairs += [
        *zip(single.dense, other.dense, strict=True),
        *zip(single.half, other.half, strict=True),
    ]
    return all(np.array_equal(a, b) for a, b in pairs)


def close(single, other, atol):
    pairs = [
        *zip(single.dense, other.dense, strict=True),
        *zip(single.half, other.half, strict=True),
    ]
    return all(np.allclose(a, b, atol=atol, rtol=1e-3) for a, b in pairs)


def masked(single, valid, under=None):
    dates = [date.copy() for date in (single.before, single.after)]
    if under is not None:
        for date in dates:
            date[:, ~valid] = under
    return Tile(single.window, tuple(dates), valid)


# --- colours -------------------------------------------------------------------------------------


def test_colours_are_stretched_between_their_percentiles():
    image = np.arange(1000, dtype=np.float32).reshape(1, 25, 40)
    valid = np.ones((25, 40), bool)
    colors = ColorRange.of_images([(image, valid)])
    shown = colors.stretched_image(image, valid)
    assert (shown.min(), shown.max()) == (0, 1)
    assert np.count_nonzero(shown == 0) == pytest.approx(10, abs=1)
    assert np.count_nonzero(shown == 1) == pytest.approx(10, abs=1)
    assert shown.dtype == np.float32


@pytest.mark.parametrize("value", [0, 7, 255])
def test_an_image_of_one_colour_is_not_blown_up(value):
    image = np.full((3, 8, 8), value, np.uint8)
    valid = np.ones((8, 8), bool)
    shown = ColorRange.of_images([(image, valid)]).stretched_image(image, valid)
    assert np.isfinite(shown).all()
    assert np.ptp(shown) == 0


def test_without_a_valid_pixel_there_is_still_a_range():
    image = np.full((3, 8, 8), 9.0, np.float32)
    nothing = np.zeros((8, 8), bool)
    colors = ColorRange.of_images([(image, nothing)])
    assert np.isfinite(colors.stretched_image(image, nothing)).all()


def test_the_mean_colour_stands_for_invalid_pixels():
    rng = np.random.default_rng(0)
    image = rng.random((3, 20, 20)).astype(np.float32)
    valid = rng.random((20, 20)) < 0.5
    colors = ColorRange.of_images([(image, valid)])
    shown = colors.stretched_image(image, valid)
    for band in range(3):
        assert np.unique(shown[band][~valid]).tolist() == [colors.mean[band]]
        assert shown[band][valid].mean() == pytest.approx(colors.mean[band], abs=1e-5)


# --- views ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resolution_m", "zoom"),
    [(None, 1), (0.1, 0.5), (0.2, 1), (0.5, 1), (7, 1), (10, 2), (30, 2)],
)
def test_coarse_imagery_is_enlarged_and_very_fine_reduced(resolution_m, zoom):
    assert zoom_at(resolution_m) == zoom


def test_the_scene_knows_the_side_of_a_shown_pixel(detector):
    tiles = [tile(0)]
    assert detector.survey(tiles, 10.0).shown_m == 5
    assert detector.survey(tiles, 0.1).shown_m == pytest.approx(0.2)
    assert detector.survey(tiles, None).shown_m is None


@pytest.mark.parametrize(("zoom", "sides"), [(1, (16, 8)), (2, (32, 16)), (0.5, (8, 8))])
def test_two_views_are_shown(detector, zoom, sides):
    result = detector.detect([tile(0)], detector.survey([tile(0)], None, zoom=zoom))
    shapes = [view.color_logits.shape[-1] for view in (result.dense, result.half)]
    assert tuple(shapes) == sides


def test_no_infrared_is_the_same_for_both_runtimes():
    assert detector_module._NO_INFRARED == NO_INFRARED


# --- the survey ----------------------------------------------------------------------------------


def test_the_same_tiles_in_the_same_order_give_the_same_scene(detector):
    tiles = [tile(seed) for seed in range(3)]
    single, other = (detector.survey(tiles, 0.5) for _ in range(2))
    for first, second in zip(single.vectors, other.vectors, strict=True):
        assert first.tobytes() == second.tobytes()
    third = detector.survey(tiles[:2], 0.5)
    assert not np.array_equal(single.vectors[0], third.vectors[0])


def test_medians_of_the_scene_are_those_of_its_maps(detector):
    tiles = [tile(0), tile(1)]
    scene = detector.survey(tiles, None)
    dates = [detector._encodings([single], scene, half=False) for single in tiles]
    vector = scene.vectors[0][None]
    maps = np.concatenate(
        [detector.runner.relative_maps(before.maps, after.maps, vector) for before, after in dates]
    )
    layout = detector.head.layout
    wanted = np.median(np.moveaxis(maps, 1, 0).reshape(maps.shape[1], -1), axis=1)
    assert np.allclose(scene.vectors[0][layout.medians_slice], wanted, rtol=1e-3, atol=1e-4)


def test_a_tile_gives_the_same_bytes_whatever_its_neighbours(detector):
    tiles = [tile(seed) for seed in range(4)]
    scene = detector.survey(tiles, 0.5)
    together = detector.detect(tiles, scene)
    one_by_one = [detector.detect([single], scene) for single in tiles]
    assert same(joined_outputs(one_by_one), together)
    backwards = detector.detect(tiles[::-1], scene)
    assert np.array_equal(backwards.dense.pyramid_logits[::-1], together.dense.pyramid_logits)


@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_what_lies_under_invalid_pixels_does_not_matter(detector, bands, zoom):
    valid = np.ones((64, 64), bool)
    valid[:20] = False
    tiles = [masked(tile(1, bands=bands), valid, under) for under in (0, 255)]
    result = []
    for single in tiles:
        scene = detector.survey([single, tile(2, bands=bands)], 0.5, zoom=zoom)
        result.append(detector.detect([single], scene))
    assert same(*result)


def test_other_gains_and_offsets_make_no_difference(detector):
    plain = tile(0, dtype=np.float32)
    bright = Tile(plain.window, (plain.before, 40 * plain.after + 3000), plain.valid)
    result = [
        detector.detect([single], detector.survey([single], 0.5)) for single in (plain, bright)
    ]
    assert close(*result, atol=1e-2)


def test_a_near_infrared_is_used_and_one_band_is_grey(detector):
    four = tile(0, bands=4)
    three = Tile(four.window, (four.before[:3], four.after[:3]), four.valid)
    other = Tile(four.window, (four.before.copy(), four.after.copy()), four.valid)
    other.after[3] = 255 - other.after[3]
    result = [
        detector.detect([single], detector.survey([single], 10.0)).dense
        for single in (four, three, other)
    ]
    assert not np.allclose(result[0].after_logits, result[1].after_logits, atol=1e-2)
    assert not np.allclose(result[0].after_logits, result[2].after_logits, atol=1e-2)
    assert np.allclose(result[0].before_logits, result[2].before_logits, atol=1e-5)
    grey = Tile(four.window, (four.before[:1], four.after[:1]), four.valid)
    thrice = Tile(
        four.window, tuple(np.repeat(d, 3, 0) for d in (grey.before, grey.after)), grey.valid
    )
    single, three = (detector.detect([t], detector.survey([t], 0.5)) for t in (grey, thrice))
    assert same(single, three)


@pytest.mark.parametrize("size_px", [32, 50, 96])
@pytest.mark.parametrize("zoom", [1.0, 2.0, 0.5])
def test_tiles_of_any_size_are_padded_to_whole_strides(detector, size_px, zoom):
    single = tile(0, size_px)
    result = detector.detect([single], detector.survey([single], None, zoom=zoom))
    shown = round(size_px * zoom)
    assert result.dense.color_logits.shape[-1] == -(-shown // 32) * 8
    assert all(np.isfinite(part).all() for part in (*result.dense, *result.half))


def test_a_tile_with_nothing_valid_can_be_surveyed(detector):
    empty = masked(tile(0), np.zeros((64, 64), bool))
    scene = detector.survey([empty], 0.5)
    assert all(np.isfinite(vector).all() for vector in scene.vectors)


# --- a first look --------------------------------------------------------------------------------


class _Counting:
    """A runner that notes the sides of what it encodes."""

    def __init__(self, runner):
        self.runner, self.sides_px = runner, []

    def encode(self, pixels):
        self.sides_px.append(pixels.shape[-1])
        return self.runner.encode(pixels)

    def detect(self, before, after, scene):
        return self.runner.detect(before, after, scene)

    def relative_maps(self, before, after, scene):
        return self.runner.relative_maps(before, after, scene)


@pytest.mark.parametrize(("zoom", "side_px"), [(1.0, 32), (2.0, 64), (0.5, 32)])
def test_a_quiet_tile_is_not_looked_at_in_full_size(detector, zoom, side_px):
    counting = _Counting(detector.runner)
    seen = Detector(counting, detector.head)
    scene = seen.survey([tile(0)], None, zoom=zoom)
    counting.sides_px.clear()
    wanted = detector.detect([tile(0)], scene)
    result = seen.detect([tile(0)], scene, lambda half: True, needs_tokens=False)
    assert counting.sides_px == [side_px] * 2
    for maps, enlarged, half in zip(wanted.dense, result.dense, wanted.half, strict=True):
        assert enlarged.shape == maps.shape
        assert enlarged.max() <= half.max() + 1e-5
        assert enlarged.min() >= half.min() - 1e-5


def test_other_tiles_are_seen_as_without_a_first_look(detector):
    tiles = [tile(seed) for seed in range(3)]
    scene = detector.survey(tiles, 0.5)
    wanted = detector.detect(tiles, scene)
    result = detector.detect(tiles, scene, lambda half: False)
    for view in ("dense", "half"):
        for first, second in zip(getattr(wanted, view), getattr(result, view), strict=True):
            assert np.array_equal(first, second)
    # Which tiles are quiet does not change the others.
    quiet = wanted.half.change_logits[1].tobytes()
    mixed = detector.detect(tiles, scene, lambda half: half.change_logits.tobytes() == quiet)
    for index in (0, 2):
        assert np.array_equal(mixed.dense.pyramid_logits[index], wanted.dense.pyramid_logits[index])
    assert not np.array_equal(mixed.dense.pyramid_logits[1], wanted.dense.pyramid_logits[1])


@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("side_px", [1, 33, 65, 129, 130, 257])
def test_outlines_have_the_shape_of_the_tile(detector, side_px, zoom, quiet):
    single = tile(0, side_px)
    scene = detector.survey([single], None, zoom=zoom)
    output = detector.detect([single], scene, lambda half: quiet)
    maker = OutlineMaker(detector.head, scene)
    outlines = maker.outlines(maker.small_predictions(output, [single])[0], single)
    assert outlines.change.shape == single.valid.shape
    assert outlines.covers().before.shape == single.valid.shape


def test_both_views_of_a_tile_of_any_side_are_padded_far_enough():
    for side_px in range(1, 1100):
        for zoom in (0.5, 1.0, 2.0):
            views = [view_sides((side_px, 1), zoom, half=half) for half in (False, True)]
            (shown, full_px), (half_shown, half_px) = ((view[0][0], view[1][0]) for view in views)
            assert full_px >= max(shown, side_px * zoom)
            assert half_px >= max(half_shown, full_px / 2)
            assert full_px % 32 == half_px % 32 == 0
            # Where sides as they are shown suffice, nothing more is added.
            plain_px, plain_half_px = (px + -px % 32 for px in (shown, half_shown))
            if plain_px >= side_px * zoom and 2 * plain_half_px >= plain_px:
                assert (full_px, half_px) == (plain_px, plain_half_px)
            assert shown == max(1, round(side_px * zoom))
            assert half_shown == max(1, round(side_px * zoom / 2))


def test_quiet_is_asked_of_one_tile_at_a_time(detector, monkeypatch):
    tiles = [tile(0), tile(1)]
    scene = detector.survey(tiles, 0.5)
    monkeypatch.setattr(vision_output, "VISION_BATCH", 2)
    with pytest.raises(AssertionError, match="one tile"):
        detector.detect(tiles, scene, lambda half: True)
