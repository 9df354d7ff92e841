"""What CVA and IR-MAD both promise, on pairs whose change is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_scenes import (
    QUESTIONS,
    RGBN,
    Scene,
    outlines,
    probability,
    scene,
    scores,
    surveyed,
    tiles,
)

from geochg.errors import ModelError, OptionError
from geochg.models.base import ChangeModel
from geochg.models.detectors.cva import CvaModel
from geochg.models.detectors.irmad import IrmadModel
from geochg.records import PairFacts, Tile, TileFailure

BACKENDS = [CvaModel, IrmadModel]
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def load(backend: type[ChangeModel], **options: object) -> ChangeModel:
    return backend.load("", backend.options_type.from_dict(options), "auto")


def changed(backend: type[ChangeModel], pair: Scene) -> np.ndarray:
    return probability(surveyed(load(backend), pair), pair).max(axis=0) >= 0.5


@every_backend
@pytest.mark.parametrize("share", [0.005, 0.05, 0.3])
@pytest.mark.parametrize("bands", [1, 3, 4, 8])
def test_finds_the_planted_change_and_little_else(backend, share, bands):
    pair = scene(share=share, bands=bands)
    precision, recall = scores(changed(backend, pair), pair.truth)
    assert precision > 0.98
    assert recall > 0.98


@every_backend
def test_finds_a_change_that_differs_from_band_to_band(backend):
    pair = scene(share=0.2, change=(3.0, -2.0, 0.0, 2.5), noise=0.2)
    precision, recall = scores(changed(backend, pair), pair.truth)
    assert precision > 0.98
    assert recall > 0.98


@every_backend
@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_noise_gain_and_offset_are_no_change(backend, bands, noise, gain):
    pair = scene(share=0.0, bands=bands, noise=noise, gain=gain)
    assert changed(backend, pair).mean() < 1e-4


@every_backend
def test_the_same_image_twice_is_no_change(backend):
    pair = scene(share=0.0)
    pair = pair.where(after=pair.before)
    model = surveyed(load(backend), pair)
    for presence, caption, _ in model.answer(tiles(pair), QUESTIONS):
        assert not presence.changed
        assert caption.text == "There is no difference."
        assert not caption.changed


@every_backend
def test_finds_the_one_thing_that_differs_between_identical_images(backend):
    pair = scene(share=0.005, noise=0.0, gain=1.0, offset=0.0)
    pair = pair.where(
        before=pair.before.round(),
        after=np.where(pair.truth, (pair.after).round(), pair.before.round()),
    )
    precision, recall = scores(changed(backend, pair), pair.truth)
    assert precision > 0.98
    assert recall > 0.98


@every_backend
def test_noise_that_shakes_all_bands_alike_is_no_change(backend):
    rng = np.random.default_rng(5)
    pair = scene(share=0.0, noise=0.0)
    shake = [30 * rng.normal(size=pair.truth.shape).astype(np.float32) for _ in range(2)]
    noisy = pair.where(before=pair.before + shake[0], after=pair.after + shake[1])
    assert changed(backend, noisy).mean() < 1e-3


@every_backend
@settings(max_examples=8)
@given(
    gains=st.lists(st.floats(0.01, 50.0), min_size=6, max_size=6),
    offsets=st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6),
)
def test_scaling_and_shifting_a_band_of_either_date_changes_nothing(backend, gains, offsets):
    pair = scene(bands=3, size_px=160, noise=0.3)
    gain = np.array(gains, np.float32).reshape(2, 3, 1, 1)
    offset = np.array(offsets, np.float32).reshape(2, 3, 1, 1)
    scaled = pair.where(
        before=pair.before * gain[0] + offset[0], after=pair.after * gain[1] + offset[1]
    )
    plain = probability(surveyed(load(backend), pair), pair)
    assert np.allclose(
        probability(surveyed(load(backend), scaled), scaled), plain, atol=0.02, rtol=0
    )


@every_backend
def test_the_order_of_the_bands_does_not_matter(backend):
    pair = scene(noise=0.3)
    order = [2, 0, 3, 1]
    shuffled = pair.where(before=pair.before[order], after=pair.after[order])
    plain = probability(surveyed(load(backend), pair), pair)
    assert np.allclose(
        probability(surveyed(load(backend), shuffled), shuffled), plain, atol=1e-3, rtol=0
    )


@every_backend
def test_the_same_twice_is_the_same_to_the_bit(backend):
    pair = scene(noise=0.3)
    first, second = (probability(surveyed(load(backend), pair), pair) for _ in range(2))
    assert np.array_equal(first, second)


@every_backend
def test_a_tile_does_not_depend_on_its_batch(backend):
    pair = scene()
    model, cut = surveyed(load(backend), pair, RGBN), tiles(pair)
    together = model.answer(cut, QUESTIONS)
    alone = [model.answer([tile], QUESTIONS)[0] for tile in reversed(cut)]
    for single, other in zip(together, reversed(alone), strict=True):
        assert single[:2] == other[:2]
        assert np.array_equal(outlines(single).probability, outlines(other).probability)


@every_backend
def test_neighbouring_tiles_agree_where_they_overlap(backend):
    pair = scene(noise=0.3)
    valid = np.random.default_rng(3).random(pair.valid.shape) > 0.02
    pair = pair.where(valid=valid)
    model = surveyed(load(backend), pair, RGBN)
    small = probability(model, pair, size_px=96, overlap_px=32)
    whole = probability(model, pair, size_px=288, overlap_px=32)
    assert np.allclose(small, whole, atol=1e-4, rtol=0)


@every_backend
def test_survey_does_not_depend_on_how_the_grid_is_cut(backend):
    pair = scene(size_px=288, noise=0.3)
    single = surveyed(load(backend), pair, size_px=96, overlap_px=32)
    other = surveyed(load(backend), pair, size_px=320, overlap_px=32)
    assert single.statistics.cut.strength == pytest.approx(other.statistics.cut.strength, rel=0.05)


@every_backend
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number_fails_its_tile_only(backend, bad):
    pair = scene()
    model, cut = surveyed(load(backend), pair), tiles(pair)
    after = cut[1].after.copy()
    after[2, 60, 60] = bad
    spoilt = [cut[0], Tile(cut[1].window, (cut[1].before, after), cut[1].valid), cut[2]]
    good, failure, also_good = model.answer(spoilt, QUESTIONS)
    assert failure == TileFailure(cut[1].window, "1 valid pixels are not finite numbers")
    assert good[0] == model.answer(cut[:1], QUESTIONS)[0][0]
    assert also_good[0] == model.answer(cut[2:3], QUESTIONS)[0][0]


@every_backend
def test_pixels_that_are_no_numbers_do_not_spoil_the_survey(backend):
    pair = scene()
    before = pair.before.copy()
    before[:, 10:14, 10:14] = np.nan
    model = surveyed(load(backend), pair.where(before=before))
    precision, recall = scores(probability(model, pair).max(axis=0) >= 0.5, pair.truth)
    assert precision > 0.98
    assert recall > 0.98


@every_backend
@pytest.mark.parametrize("nodata", [-9999.0, -3.4e38])
def test_undeclared_nodata_does_not_hide_the_change_elsewhere(backend, nodata):
    pair = scene(noise=0.2)
    before, after = pair.before / 1000, pair.after / 1000
    before[:, -40:], after[:, -40:] = nodata, nodata
    pair = pair.where(before=before, after=after)
    model = surveyed(load(backend), pair)
    (changed_tile,) = [tile for tile in tiles(pair) if tile.window.name == "r0c0"]
    (answer,) = model.answer([changed_tile], [QUESTIONS[2]])
    read = changed_tile.window.read
    truth = np.pad(pair.truth, 16)[: read.height_px, : read.width_px]
    precision, recall = scores(outlines(answer).probability.max(axis=0) >= 0.5, truth)
    assert precision > 0.98
    assert recall > 0.98


@every_backend
def test_values_too_large_fail_the_tile(backend):
    pair = scene()
    model, tile = surveyed(load(backend), pair), tiles(pair)[0]
    huge = np.full_like(tile.before, 3e38)
    (answer,) = model.answer([Tile(tile.window, (huge, -huge), tile.valid)], QUESTIONS)
    assert isinstance(answer, TileFailure)
    assert "too large" in answer.reason


@every_backend
def test_a_tile_without_valid_pixels_has_no_change(backend):
    pair = scene()
    model, tile = surveyed(load(backend), pair, RGBN), tiles(pair)[0]
    empty = Tile(tile.window, (tile.before * 0, tile.after * 0), tile.valid & False)
    ((presence, caption, result),) = model.answer([empty], QUESTIONS)
    assert not presence.changed
    assert not caption.changed
    assert not result.probability.any()


@every_backend
def test_invalid_pixels_have_no_probability_and_do_not_leak(backend):
    pair = scene(share=0.0)
    model = surveyed(load(backend), pair)
    valid = pair.valid.copy()
    valid[100:140, 100:140] = False
    wild = pair.after.copy()
    wild[:, ~valid] = 1e6
    seen = probability(model, pair.where(valid=valid, after=wild))
    assert not seen[:, ~valid].any()
    assert (seen < 0.5).all()


@every_backend
def test_presence_caption_and_outlines_agree(backend):
    pair = scene(share=0.02)
    model = surveyed(load(backend), pair, RGBN)
    for presence, caption, result in model.answer(tiles(pair), QUESTIONS):
        strongest = result.probability.max(axis=0)
        assert presence.changed == caption.changed
        assert presence.changed == (np.count_nonzero(strongest >= result.threshold) >= 9)
        assert presence.changed == (presence.probability >= 0.5)
        assert (np.count_nonzero(result.probability, axis=0) <= 1).all()
        assert result.probability.dtype == np.float32


@every_backend
def test_answers_come_in_the_order_of_the_questions(backend):
    pair = scene()
    model = surveyed(load(backend), pair)
    tile = tiles(pair)[0]
    (forth,), (back,) = (model.answer([tile], order) for order in (QUESTIONS, QUESTIONS[::-1]))
    assert [type(answer) for answer in forth] == [type(answer) for answer in reversed(back)]


@every_backend
def test_too_few_pixels_are_refused(backend):
    pair = scene(size_px=64)
    valid = np.zeros_like(pair.valid)
    valid[:5, :5] = True
    with pytest.raises(ModelError, match="25 pixels valid"):
        surveyed(load(backend), pair.where(valid=valid))
    with pytest.raises(ModelError, match="0 pixels valid"):
        load(backend).survey(PairFacts(("band1",), 1.0, "uint8"), [])


@every_backend
def test_two_blank_images_are_no_change(backend):
    pair = scene(size_px=128)
    blank = pair.where(before=pair.before * 0 + 7, after=pair.after * 0 + 90)
    assert not changed(backend, blank).any()


@every_backend
def test_a_constant_band_and_a_copied_band_do_no_harm(backend):
    pair = scene(bands=3)
    flat = np.full_like(pair.before[:1], 42.0)
    before = np.concatenate((pair.before, flat, pair.before[:1]))
    after = np.concatenate((pair.after, flat, pair.after[:1]))
    precision, recall = scores(changed(backend, pair.where(before=before, after=after)), pair.truth)
    assert precision > 0.98
    assert recall > 0.98


@every_backend
def test_the_cut_can_be_set_by_hand(backend):
    pair = scene(noise=0.3)
    shares = [
        (probability(surveyed(load(backend, threshold=t), pair), pair).max(axis=0) >= 0.5).mean()
        for t in (0.01, 0.8, 1e6)
    ]
    assert shares[0] > 0.9
    assert shares[0] > shares[1] > shares[2] == 0
    with pytest.raises(OptionError):
        load(backend, threshold=0.0)


@every_backend
def test_identity_follows_from_the_options(backend):
    assert load(backend).identity == load(backend).identity
    assert load(backend).identity != load(backend, threshold=2.0).identity
    assert load(backend).identity.id == backend.name
    assert load(backend).identity.checksum.startswith("sha256:")


@every_backend
def test_sources_and_foreign_devices_are_refused(backend):
    options = backend.options_type()
    with pytest.raises(ModelError, match="takes no source"):
        backend.load("somewhere", options, "auto")
    with pytest.raises(ModelError, match="does not run on"):
        backend.load("", options, "cuda")
