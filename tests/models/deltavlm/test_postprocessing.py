"""Class, direction, land cover and probability of a pixel agree; thresholds; calibration."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import expit

from geochg.errors import RunError
from geochg.geometry.hysteresis import changed_pixels, presence_of
from geochg.land_cover import COVERS, agrees, class_and_direction
from geochg.models.deltavlm.calibration import MAX_CUT, Calibration, Cuts
from geochg.models.deltavlm.detector import ColorRange, Scene
from geochg.models.deltavlm.map_answers import map_answer
from geochg.models.deltavlm.postprocessing import OTHER, OutlineMaker, TilePrediction
from geochg.models.deltavlm.runtime.vision_output import DenseArrays, HeadFacts, VisionOutput
from geochg.models.deltavlm.water import water_index, with_water, without_dry_water
from geochg.records import (
    CANNOT_TELL,
    LAND_COVER,
    Caption,
    Change,
    Channel,
    Dialogue,
    Outlines,
    PixelWindow,
    Reply,
    Task,
    Tile,
    TileFailure,
    TileWindow,
)
from geochg.safety.finite import NOT_FINITE, finite_answers

CLASSES = ("building", "road", "vegetation", "water", "bare")
CHANNELS = tuple(Channel(name, change) for name in CLASSES for change in Change)
PAIRS = [*product(range(6), range(6))]
OPPOSITE = {
    Change.APPEARED: Change.DISAPPEARED,
    Change.DISAPPEARED: Change.APPEARED,
    Change.ALTERED: Change.ALTERED,
}
FITTED = Calibration(-0.5, of_typical=-0.4, of_resolution=0.25, building=0.75, hysteresis=0.6)
CONFIDENCE = ((0.3, 0.6, 0.9), (0.1, 0.5, 0.8))
BUILDING = LAND_COVER.index("building")


def maker(calibration=None, threshold=None, resolution_m=0.5, zoom=1.0, typical=0.0, stride_px=1):
    saved = None if calibration is None else calibration.to_dict()
    head = HeadFacts(CHANNELS, (8, 8), stride_px, (0.5,) * 3, (0.5,) * 3, saved, "Nothing changed.")
    colors = ColorRange(*(np.zeros(3, np.float32) for _ in range(3)))
    scene = Scene((colors,) * 2, zoom, None, resolution_m, typical_logit=typical)
    return OutlineMaker(head, scene, threshold)


def tile(side=6, valid=None):
    window = PixelWindow(0, side, 0, side)
    inside = np.ones((side, side), bool) if valid is None else valid
    date = np.zeros((3, side, side), np.uint8)
    return Tile(TileWindow(0, 0, 0, window, window), (date, date), inside)


def finding(before, after, change=3.0, building=None, sure=0.9):
    """A finding of the given land covers, `(height, width)` indices; 6 is not seen.

    The logit of buildings follows from the covers unless it is given.
    """
    if building is None:
        came_or_went = (np.asarray(before) == BUILDING) != (np.asarray(after) == BUILDING)
        building = np.where(came_or_went, 3.0, -3.0)

    def shares(cover):
        layers = np.full((7, *np.shape(cover)), (1 - sure) / 6, np.float32)
        np.put_along_axis(layers, np.asarray(cover)[None], sure, axis=0)
        return layers

    shape = np.shape(before)
    return TilePrediction(
        np.broadcast_to(np.float32(change), shape).copy(),
        np.broadcast_to(np.float32(building), shape).copy(),
        shares(before),
        shares(after),
    )


EVERY = finding(*np.array(PAIRS).T.reshape(2, 6, 6))
"""Each pair of land covers at a pixel of its own."""


# --- class and direction -------------------------------------------------------------------------


def channel_of(before, after):
    return Channel(*class_and_direction(before, after))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_change_is_named_after_one_of_its_land_covers_and_turns_with_time(first, second):
    before, after = LAND_COVER[first], LAND_COVER[second]
    result, back = channel_of(before, after), channel_of(after, before)
    assert result.class_name == back.class_name
    assert result.change is OPPOSITE[back.change]
    assert (result.change is Change.ALTERED) == (before == after)
    named = {Change.APPEARED: after, Change.DISAPPEARED: before, Change.ALTERED: after}
    assert named[result.change] in COVERS[result.class_name]
    assert agrees(*result, before, after)
    if "building" in (before, after):
        assert result.class_name == "building"
    assert result in CHANNELS


def test_the_strongest_channel_of_a_pixel_agrees_with_its_land_cover():
    covers = np.array(PAIRS).T.reshape(2, 6, 6)
    built = np.where((covers == BUILDING).any(axis=0), 3.0, -3.0)
    every = finding(*covers, building=built, sure=0.97)
    made = maker().outlines(every, tile())
    strongest = made.layers_at().argmax(axis=0)
    for index, (first, second) in enumerate(PAIRS):
        at = divmod(index, 6)
        assert made.covers().before[at] == first
        assert made.covers().after[at] == second
        wanted = channel_of(LAND_COVER[first], LAND_COVER[second])
        assert made.channels[strongest[at]] == wanted, (LAND_COVER[first], LAND_COVER[second])
    assert made.covers().before.dtype == np.uint8
    assert not made.not_seen.any()


def test_the_strongest_channel_is_as_likely_as_any_change():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, BUILDING, (2, 8, 8))
    logits = rng.normal(0, 3, (8, 8)).astype(np.float32)
    made = maker().outlines(finding(first, second, logits, building=-9), tile(8))
    assert np.allclose(made.change, expit(logits), atol=1e-6)
    assert np.allclose(made.layers_at().max(axis=0), expit(logits), atol=1e-4)
    assert made.layers_at().dtype == np.float32


def test_classes_that_the_head_does_not_have_leave_the_others():
    few = maker()
    few = replace(few, head=replace(few.head, channels=CHANNELS[:3]))
    made = few.outlines(EVERY, tile())
    assert made.channels == (*CHANNELS[:3], OTHER)
    assert made.layers_at().shape == (4, 6, 6)
    assert np.isfinite(made.layers_at()).all()


def named(made, side):
    """The strongest channel of each pixel."""
    pixels = changed_pixels(made, np.ones((side, side), bool))
    return [[pixels.channels[index] for index in row] for row in pixels.channel]


@pytest.mark.parametrize(
    ("sure", "is_named"), [(0.4, False), (0.5, False), (0.8, True), (0.95, True)]
)
def test_a_change_of_which_the_covers_are_in_doubt_is_not_named(sure, is_named):
    water = finding(np.full((2, 2), 1), np.full((2, 2), 3), sure=sure)
    wanted = Channel("water", Change.APPEARED) if is_named else OTHER
    made = maker().outlines(water, tile(2))
    assert named(made, 2) == [[wanted] * 2] * 2
    # It is as likely all the same.
    assert np.allclose(made.layers_at().max(axis=0), made.change, atol=1e-5)


@pytest.mark.parametrize("cover", [0, 1, 3])
def test_ground_that_changed_is_seldom_what_it_was(cover):
    """Where one cover leaks into the other date, the likelier of the two different ones is told."""
    before, after = np.full((7, 2, 2), 0.01, np.float32), np.full((7, 2, 2), 0.01, np.float32)
    other = 2
    before[cover], before[other], after[cover] = 0.5, 0.45, 0.95
    plain = finding(np.full((2, 2), other), np.full((2, 2), cover))
    leaked = replace(plain, before=before, after=after)
    wanted = Channel(*class_and_direction(LAND_COVER[other], LAND_COVER[cover]))
    assert named(maker().outlines(leaked, tile(2)), 2)[0][0] == wanted


@pytest.mark.parametrize(
    ("bands", "resolution_m", "is_named"), [(1, 10.0, False), (1, 0.5, True), (3, 10.0, True)]
)
def test_one_band_of_large_pixels_tells_no_land_cover(bands, resolution_m, is_named):
    single = tile(2)
    single = replace(single, dates=tuple(date[:bands] for date in single.dates))
    built = finding(np.zeros((2, 2), int), np.full((2, 2), BUILDING), building=5.0, sure=0.95)
    made = maker(resolution_m=resolution_m).outlines(built, single)
    wanted = Channel("building", Change.APPEARED) if is_named else OTHER
    assert named(made, 2) == [[wanted] * 2] * 2
    assert (made.covers().before == CANNOT_TELL).all() != is_named
    assert not made.not_seen.any()


# --- buildings -----------------------------------------------------------------------------------


def building_layers(made):
    return made.layers_at()[[c.class_name == "building" for c in made.channels]]


def test_channels_of_buildings_follow_the_logit_of_buildings():
    covers = np.zeros((4, 4), int), np.full((4, 4), BUILDING)
    logits = np.linspace(-4, 4, 16).reshape(4, 4).astype(np.float32)
    made = maker().outlines(finding(*covers, change=3.0, building=logits), tile(4))
    assert np.allclose(building_layers(made).max(axis=0), expit(logits), atol=1e-5)
    assert np.allclose(made.change, expit(3.0))


@pytest.mark.parametrize("resolution_m", [0.5, 2.0, 30.0])
@pytest.mark.parametrize("typical", [0.0, -4.0])
def test_buildings_have_a_cut_of_their_own(resolution_m, typical):
    mode = maker(FITTED, resolution_m=resolution_m, typical=typical)
    cut = mode.cuts.building
    covers = np.zeros((3, 3), int), np.full((3, 3), BUILDING)
    logits = cut + np.array([[-2, -0.1, -2], [-2, -2, 0.1], [-0.1, -2, -0.5]], np.float32)
    made = mode.outlines(finding(*covers, change=-9.0, building=logits), tile(3))
    only = changed_pixels(made, np.ones((3, 3), bool), "building".__eq__, least_px=1)
    # One pixel reaches the cut; two of those within the hysteresis hang together with it.
    assert np.array_equal(only.changed, np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1]], bool))
    # What is told is the logit itself, whatever the scene, so that scenes can be compared.
    assert np.allclose(only.probability, expit(logits), atol=1e-5)
    below = mode.outlines(finding(*covers, change=9.0, building=logits - 0.2), tile(3))
    assert not changed_pixels(below, np.ones((3, 3), bool), "building".__eq__).changed.any()


def test_the_strongest_channel_is_the_one_that_is_furthest_above_its_own_cut():
    covers = np.zeros((1, 2), int), np.full((1, 2), BUILDING)
    kept = maker(Calibration(building=-2.0)).outlines(
        finding(*covers, change=0.5, building=[[-1.0, -6.0]], sure=0.9),
        tile(2, np.ones((1, 2), bool)),
    )
    pixels = changed_pixels(kept, np.ones((1, 2), bool))
    names = [pixels.channels[index].class_name for index in pixels.channel[0]]
    assert pixels.changed.all()
    assert names[0] == "building"
    assert names[1] != "building"


@pytest.mark.parametrize("building", [-1.0, 0.5, 3.0])
@pytest.mark.parametrize(("sure", "is_named"), [(0.4, False), (0.5, False), (0.8, True)])
def test_a_building_is_named_only_where_the_land_covers_name_it(building, sure, is_named):
    covers = np.zeros((2, 2), int), np.full((2, 2), BUILDING)
    mode = maker(Calibration(intercept=-0.5, building=-2.0))
    made = mode.outlines(finding(*covers, change=0.5, building=building, sure=sure), tile(2))
    wanted = Channel("building", Change.APPEARED) if is_named else OTHER
    assert named(made, 2) == [[wanted] * 2] * 2
    # Where buildings alone are asked for, it is found all the same.
    only = changed_pixels(made, np.ones((2, 2), bool), "building".__eq__, least_px=1)
    assert only.changed.all()


# --- not seen ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", ["before", "after"])
def test_what_is_hidden_at_one_date_is_not_seen(hidden):
    covers = {"before": np.zeros((4, 4), int), "after": np.full((4, 4), 3)}
    covers[hidden][:2] = 6
    valid = np.ones((4, 4), bool)
    valid[:, 0] = False
    single = tile(4, valid)
    made = maker().outlines(finding(**covers), single)
    wanted = np.zeros((4, 4), bool)
    wanted[:2, 1:] = True
    assert np.array_equal(made.not_seen, wanted)
    assert np.array_equal(changed_pixels(made, valid).changed, valid & ~wanted)


def test_change_under_clouds_is_none():
    single = tile(2)
    made = maker().outlines(finding(np.full((2, 2), 6), np.full((2, 2), 3), change=9.0), single)
    assert not presence_of(made, single.valid).changed
    assert presence_of(made, single.valid).probability == 0
    answer = map_answer(
        Task.CAPTION, made, presence_of(made, single.valid), single, "Nothing changed."
    )
    assert answer == Caption("Nothing changed.", changed=False)


def test_land_cover_is_told_only_where_it_is_likely():
    doubtful = finding(np.zeros((2, 2), int), np.ones((2, 2), int), sure=0.35)
    made = maker().outlines(doubtful, tile(2))
    assert (made.covers().before == CANNOT_TELL).all()
    assert (made.covers().after == CANNOT_TELL).all()


def test_invalid_pixels_have_no_probability():
    valid = np.arange(36).reshape(6, 6) % 2 == 0
    made = maker().outlines(EVERY, tile(valid=valid))
    assert not made.layers_at()[:, ~valid].any()
    assert not made.change[~valid].any()
    assert made.change[valid].all()


# --- presence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threshold", [None, 0.2, 0.9])
def test_presence_follows_from_the_map(seed, threshold):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-3 + seed % 4, 1.5, (6, 6)).astype(np.float32)
    valid = rng.random((6, 6)) < 0.7
    covers = rng.integers(0, 7, (2, 6, 6))
    single = tile(valid=valid)
    made = maker(FITTED, threshold).outlines(finding(*covers, logits), single)
    presence = presence_of(made, single.valid)
    seen = valid & ~made.not_seen
    assert presence.changed == bool((made.change >= made.threshold)[seen].any())
    assert presence.probability == pytest.approx(made.change[seen].max(), abs=1e-6)
    assert presence.changed == changed_pixels(made, valid).changed.any()


@pytest.mark.parametrize("threshold", [None, 0.0, 0.5])
def test_a_tile_without_a_valid_pixel_has_not_changed(threshold):
    single = tile(valid=np.zeros((6, 6), bool))
    made = maker(threshold=threshold).outlines(EVERY, single)
    assert not presence_of(made, single.valid).changed


# --- cuts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resolution_m", "zoom", "typical", "change"),
    [
        (1.0, 1, 0.0, -0.5),
        (4.0, 1, 0.0, 0.0),
        (8.0, 2, 0.0, 0.0),
        (0.5, 0.5, 0.0, -0.5),
        (None, 1, 0.0, -0.5),
        # Much has changed in this scene, and in that one next to nothing.
        (1.0, 1, 2.0, -1.3),
        (1.0, 1, -3.0, 0.7),
        (1.0, 1, -90.0, MAX_CUT),
        (1.0, 1, 90.0, -MAX_CUT),
    ],
)
def test_the_cut_goes_with_the_scene_and_the_size_of_the_shown_pixels(
    resolution_m, zoom, typical, change
):
    mode = maker(FITTED, None, resolution_m, zoom, typical, stride_px=zoom)
    assert mode.cuts.change == pytest.approx(change)
    assert mode.cuts.building == FITTED.building
    made = mode.outlines(EVERY, tile())
    assert made.threshold == pytest.approx(expit(change), abs=1e-6)
    assert made.low_threshold == pytest.approx(expit(change - FITTED.hysteresis), abs=1e-6)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.95])
def test_a_given_threshold_moves_both_cuts(threshold):
    mode = maker(FITTED, threshold)
    plain = maker(FITTED).cuts
    assert mode.cuts.building - mode.cuts.change == pytest.approx(plain.building - plain.change)
    made = mode.outlines(EVERY, tile())
    assert made.threshold == pytest.approx(threshold, abs=1e-6)
    assert made.low_threshold <= made.threshold


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_the_ends_of_the_thresholds_hold(threshold):
    single = tile()
    made = maker(threshold=threshold).outlines(EVERY, single)
    assert np.isfinite(made.layers_at()).all()
    assert made.threshold == threshold
    assert presence_of(made, single.valid).changed == (threshold == 0)


@pytest.mark.parametrize("confidence", [None, CONFIDENCE])
def test_a_calibration_comes_back_from_json(confidence):
    plain = replace(FITTED, confidence=confidence)
    text = json.dumps(plain.to_dict(), allow_nan=False)
    assert Calibration.from_dict(json.loads(text)) == plain


def test_without_a_calibration_one_cut_holds_for_all():
    plain = Calibration.from_dict(None)
    for typical, side_m in ((0.0, None), (-4.0, 0.1), (3.0, 30.0)):
        assert plain.cuts(typical, side_m) == Cuts(0, 0)
    assert maker().outlines(EVERY, tile()).threshold == pytest.approx(0.5)


def test_the_outlines_carry_what_the_confidence_is_read_off():
    made = maker(replace(FITTED, confidence=CONFIDENCE)).outlines(EVERY, tile())
    assert made.calibration == CONFIDENCE
    assert maker(FITTED).outlines(EVERY, tile()).calibration is None


# --- answers from the map ------------------------------------------------------------------------


def two_houses():
    """Two new buildings, and a pond that went."""
    before, after = np.zeros((2, 12, 12), int)
    after[1:4, 1:4] = after[1:4, 8:11] = BUILDING
    before[8:11, 3:9] = LAND_COVER.index("water")
    logits = np.where(before != after, 4.0, -4.0)
    single = tile(12)
    made = maker().outlines(finding(before, after, logits), single)
    return made, presence_of(made, single.valid), single


def test_counts_and_words_are_those_of_the_map():
    made, presence, single = two_houses()
    caption, counts, dialogue, reply = (
        map_answer(task, made, presence, single, "-")
        for task in (Task.CAPTION, Task.COUNT, Task.DIALOGUE, Task.QUESTION)
    )
    assert counts.counts["building"] == 2
    assert counts.counts["road"] == 0
    assert counts.changes == {"building": Change.APPEARED}
    assert caption.changed
    for words in ("uilding", "appeared", "ater disappeared"):
        assert words in caption.text
    assert "road" not in caption.text
    assert dialogue == Dialogue(presence, counts, caption.text)
    assert reply == Reply(caption.text)


@pytest.mark.parametrize("task", [Task.CAPTION, Task.COUNT, Task.DIALOGUE, Task.QUESTION])
def test_without_change_the_fixed_answer_is_given(task):
    single = tile(4)
    covers = np.zeros((2, 4, 4), int)
    made = maker().outlines(finding(*covers, change=-5.0, building=-5.0), single)
    answer = map_answer(task, made, presence_of(made, single.valid), single, "Nothing changed.")
    if task is Task.COUNT:
        assert set(answer.counts.values()) == {0}
    else:
        assert "Nothing changed." in str(answer)


# --- water ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("bare", "water"), ("water", "woody")])
def test_where_water_came_or_went_a_change_is_likelier(first, second):
    before, after = np.zeros((2, 7, 2, 2), np.float32)
    before[LAND_COVER.index(first)] = after[LAND_COVER.index(second)] = 1
    change = np.full((2, 2), -1.0, np.float32)
    assert np.allclose(with_water(change, before, after, 2.0), 1.0)
    assert np.allclose(with_water(change, before, before, 2.0), change)
    assert np.allclose(with_water(change, before, after, 0.0), change)


# --- water by the near infrared ------------------------------------------------------------------

WATER = LAND_COVER.index("water")
REFLECTANCE = ((0.0, 2550.0), (200.0, 2750.0), (0.0, 2550.0), (500.0, 10_700.0))


def test_the_water_index_is_of_source_values():
    image = np.zeros((4, 1, 3), np.uint8)
    # Green 1220, 200 and 200, infrared 540, 500 and 10,700.
    image[1], image[3] = (102, 0, 0), (1, 0, 255)
    index = water_index(image, REFLECTANCE)
    assert index.dtype == np.float32
    expected = [(1220 - 540) / 1760, (200 - 500) / 700, (200 - 10_700) / 10_900]
    np.testing.assert_allclose(index, [expected], atol=1e-5)


def shares(water):
    """All else is bare; `water` `(n,)` gives a row of n pixels."""
    made = np.zeros((len(LAND_COVER) + 1, 1, len(water)), np.float32)
    made[WATER, 0] = water
    made[LAND_COVER.index("bare"), 0] = 1 - made[WATER, 0]
    return made


def test_water_neither_comes_nor_goes_where_the_infrared_is_bright():
    """New, gone and lasting water, each on ground that is dry and wet at that date."""
    before, after = [0.1, 0.1, 0.9, 0.9, 0.8, 0.8], [0.9, 0.9, 0.1, 0.1, 0.9, 0.9]
    dry = np.array([[True, False] * 3])
    was, now = without_dry_water(shares(before), shares(after), dry, dry)
    assert now[WATER, 0, 0] < 0.6, "new water on dry ground"
    assert was[WATER, 0, 2] < 0.6, "water that went from dry ground"
    np.testing.assert_allclose(was[WATER, 0, [0, 1, 3, 5]], [0.1, 0.1, 0.9, 0.8], rtol=1e-6)
    np.testing.assert_allclose(now[WATER, 0, [1, 2, 3, 5]], [0.9, 0.1, 0.1, 0.9], rtol=1e-6)
    # Muddy water that both dates show stays water.
    assert min(was[WATER, 0, 4], now[WATER, 0, 4]) > 0.75
    np.testing.assert_allclose([was.sum(0), now.sum(0)], 1, rtol=1e-6)


def test_ground_that_is_no_water_is_not_hidden_by_cloud():
    """Without water the share of what is not seen stays; other ground takes its place."""
    after = np.zeros((len(LAND_COVER) + 1, 1, 2), np.float32)
    after[WATER, 0], after[-1, 0] = (0.6, 0.7), 0.3
    after[LAND_COVER.index("road"), 0] = 0.1, 0
    dry = np.ones((1, 2), bool)
    _, now = without_dry_water(shares([0, 0]), after, ~dry, dry)
    np.testing.assert_allclose(now[-1], 0.3)
    np.testing.assert_allclose(now.sum(0), 1, rtol=1e-6)
    assert now[LAND_COVER.index("road"), 0, 0] == pytest.approx(0.7, abs=1e-4)
    assert np.isfinite(now).all()


@pytest.mark.parametrize(("infrared_value", "is_water"), [(255, False), (0, True)])
@pytest.mark.parametrize("ranges", [(REFLECTANCE, REFLECTANCE), None])
def test_new_water_on_dry_ground_is_not_predicted(infrared_value, is_water, ranges):
    image = np.zeros((4, 16, 16), np.uint8)
    image[1], image[3] = 128, infrared_value
    water_logits = np.zeros((1, len(LAND_COVER) + 1, 4, 4), np.float32)
    water_logits[:, WATER] = 8
    bare_logits = np.roll(water_logits, LAND_COVER.index("bare") - WATER, axis=1)
    flat = np.zeros((1, 2, 4, 4), np.float32)
    dense = DenseArrays(flat, flat, flat[:, :1], bare_logits, water_logits)
    half = DenseArrays(*(array[..., :2, :2] for array in dense))
    made = maker(stride_px=4)
    made = replace(made, scene=replace(made.scene, infrared=3))
    output = VisionOutput(flat, flat, dense, half)
    (prediction,) = made.predictions(
        output, [replace(Tile.of_pair(image, image), display_ranges=ranges)]
    )
    assert (prediction.after[WATER].mean() > 0.9) == (is_water or ranges is None)


# --- a first look --------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [None, 0.5, 0.0])
@pytest.mark.parametrize(
    ("change", "building", "is_quiet"),
    [(-9, -9, True), (-1.9, -9, False), (-9, 40, False), (5, -9, False)],
)
def test_a_tile_is_quiet_where_nothing_comes_near_the_cuts(change, building, is_quiet, threshold):
    logits = np.full((1, 2, 4, 4), -9, np.float32)
    logits[0, :, 1, 2] = change, building
    covers = np.zeros((1, len(LAND_COVER) + 1, 4, 4), np.float32)
    half = DenseArrays(logits, logits[:, :1], logits[:, :1], covers, covers)
    calibration = Calibration(intercept=-0.2, building=-0.2, hysteresis=1.0)
    assert maker(calibration, threshold).is_quiet(half) == (is_quiet and threshold != 0.0)


@pytest.mark.parametrize("part", ["change", "building", "before", "after"])
def test_a_tile_whose_maps_are_no_numbers_fails(part):
    prediction = finding(np.zeros((6, 6), int), np.full((6, 6), BUILDING))
    getattr(prediction, part)[..., 2, 3] = np.nan
    single = tile()
    failure = finite_answers(single, [maker().outlines(prediction, single)])
    assert isinstance(failure, TileFailure)
    assert failure.reason == NOT_FINITE


@pytest.mark.parametrize("classes", [str, "building".__eq__])
def test_layers_that_are_no_numbers_when_they_are_made_end_the_run(classes):
    def layers_at(pixels):
        return np.full((2, *change[pixels].shape), np.nan, np.float32)

    change = np.full((6, 6), 0.9, np.float32)
    outlines = Outlines(CHANNELS[:2], layers_at, change=change)
    with pytest.raises(RunError, match="not finite"):
        changed_pixels(outlines, np.ones((6, 6), bool), lambda name: bool(classes(name)))
