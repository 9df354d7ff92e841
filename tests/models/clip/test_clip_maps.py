"""From likenesses of patches to outlines: windows, the calibration of a pair, classes, features."""

import json
from itertools import product

import numpy as np
import pytest
from clip_factory import HOUSES, LAKE, LAND, MEADOW, SOIL, THING, WOOD

from geochg.class_list import ListedClass
from geochg.classes import CLASSES
from geochg.models.base import ModelIdentity
from geochg.models.chat.converse import rule_based_answer
from geochg.models.clip.backend import ClipModel
from geochg.models.clip.calibration import LEAST_MOVE, LogitSample, PairCalibration
from geochg.models.clip.classes import read_classes
from geochg.models.clip.dense_tiles import DenseTiles
from geochg.models.clip.kinds import BACKGROUND, LandKinds
from geochg.models.clip.moves import TileMoves, opened
from geochg.models.clip.options import ClipOptions
from geochg.models.clip.windows import joined_map, window_boxes
from geochg.options import AnalyzeOptions
from geochg.pipeline.analyze import analyze
from geochg.records import CANNOT_TELL, LAND_COVER, Change, Channel, PairFacts, Task, Tile
from geochg.tasks import ask

KINDS = LandKinds.of(LAND)
LOCATE, PRESENCE, CAPTION = (ask(task) for task in (Task.LOCATE, Task.PRESENCE, Task.CAPTION))


# --- windows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(256, 256), (64, 300), (50, 20), (3, 200), (113, 114)])
@pytest.mark.parametrize(("side", "patches"), [(112, 14), (64, 4), (8, 2)])
def test_windows_cover_a_tile_and_their_patches_do_not_coincide(shape, side, patches):
    boxes = window_boxes(*shape, side, patches)
    times = np.zeros(shape, int)
    for box in boxes:
        assert box.row + box.height <= shape[0]
        assert box.col + box.width <= shape[1]
        times[box.slices] += 1
    assert times.min() >= 1
    starts = sorted({box.row for box in boxes})
    patch = min(side, shape[0]) / patches
    if len(starts) > 2 and patch >= 4:
        assert len({start % round(patch) for start in starts}) > 1


def test_the_map_of_constant_likenesses_is_constant():
    boxes = window_boxes(100, 130, 40, 5)
    likenesses = np.tile(np.array([3.0, -1.0], np.float32), (len(boxes), 5, 5, 1))
    joined = joined_map(likenesses, boxes, (100, 130))
    assert joined[0] == pytest.approx(3)
    assert joined[1] == pytest.approx(-1)


def test_likenesses_stand_in_the_middle_of_their_patch():
    boxes = window_boxes(64, 64, 32, 8)
    ramps = np.stack(
        [np.broadcast_to((box.row + (np.arange(8) + 0.5) * 4)[:, None], (8, 8)) for box in boxes]
    )[..., None].astype(np.float32)
    joined = joined_map(ramps, boxes, (64, 64))[0]
    rows = np.arange(64) + 0.5
    # A ramp is a ramp again, but for the outermost half patch.
    assert joined[4:-4] == pytest.approx(np.broadcast_to(rows[4:-4, None], (56, 64)), abs=1.0)
    assert np.ptp(joined, axis=1).max() < 1e-3


# --- the calibration of a pair -------------------------------------------------------------------


def scene(shape=(64, 64), *, season=0.0, noise=0.3, changed=0.0, seed=0):
    """Logits of five kinds in stripes at two dates, and what changed: the last columns."""
    rng = np.random.default_rng(seed)
    kind = np.broadcast_to(np.arange(shape[0])[:, None] * 5 // shape[0], shape)
    other = kind.copy()
    truth = np.zeros(shape, bool)
    truth[:, shape[1] - round(changed * shape[1]) :] = True
    other[truth] = (kind[truth] + 1) % 5
    usual = season * rng.normal(size=(6, 1, 1))
    dates = [
        6.0 * np.eye(6)[part].transpose(2, 0, 1) + noise * rng.normal(size=(6, *shape))
        for part in (kind, other)
    ]
    return [dates[0].astype(np.float32), (dates[1] + usual).astype(np.float32)], truth


def calibrated(dates, threshold=None):
    sample = LogitSample(*(date.reshape(6, -1) for date in dates))
    return PairCalibration.fit(sample, KINDS.group_of, threshold)


def moves_of(dates, calibration):
    return TileMoves.of(dates, np.ones(dates[0].shape[1:], bool), KINDS, calibration, 0.5)


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("season", [0.0, 2.0])
def test_nothing_changes_where_all_moved_alike(season, noise):
    dates, _ = scene(season=season, noise=noise)
    calibration = calibrated(dates)
    assert calibration.cut.strength >= LEAST_MOVE
    assert np.mean(moves_of(dates, calibration).change >= 0.5) < 0.01


@pytest.mark.parametrize("changed", [0.05, 0.2, 0.4])
@pytest.mark.parametrize("season", [0.0, 2.0])
def test_what_moved_otherwise_than_the_rest_is_change(season, changed):
    dates, truth = scene(season=season, changed=changed)
    found = moves_of(dates, calibrated(dates)).change >= 0.5
    assert np.mean(found == truth) > 0.99


def test_a_season_that_is_not_taken_off_would_be_change():
    dates, _ = scene(season=6.0, noise=0.3, seed=1)
    plain = PairCalibration.plain(6, None)
    assert np.mean(moves_of(dates, plain).change >= 0.5) > 0.1
    assert np.mean(moves_of(dates, calibrated(dates)).change >= 0.5) < 0.05


def test_ground_that_all_became_something_else_is_no_season():
    rng = np.random.default_rng(0)
    logits = [np.zeros((6, 32, 32), np.float32) for _ in range(2)]
    logits[0][MEADOW], logits[1][LAKE] = 6, 6
    dates = [date + 0.2 * rng.normal(size=date.shape).astype(np.float32) for date in logits]
    found = moves_of(dates, calibrated(dates))
    assert np.mean(found.change >= 0.5) > 0.99


def test_a_threshold_of_ones_own_is_taken():
    dates, _ = scene()
    assert calibrated(dates, 0.2).cut.strength == 0.2
    assert PairCalibration.plain(6, 1.3).cut.strength == 1.3
    assert PairCalibration.plain(6, None).cut.strength == LEAST_MOVE


# --- classes -------------------------------------------------------------------------------------


def test_the_background_is_one_class_without_a_name():
    kinds = LandKinds.of(LAND, ("building", "water"))
    assert kinds.names == ("building", "water", BACKGROUND)
    assert {channel.class_name for channel in kinds.channels()} == {"building", "water"}
    groups = dict(zip((item.name for item in LAND), kinds.group_of.tolist(), strict=True))
    assert len({groups[name] for name in ("meadow", "soil", "wood", "thing")}) == 1
    assert len(set(groups.values())) == 3
    assert [kinds.names[index] for index in kinds.class_of[kinds.group_of]] == [
        *("", "building", "", "water", "", ""),
    ]


@pytest.mark.parametrize(
    ("old", "new", "channel"),
    [
        (MEADOW, SOIL, None),
        (MEADOW, WOOD, None),
        (MEADOW, HOUSES, Channel("building", Change.APPEARED)),
        (HOUSES, SOIL, Channel("building", Change.DISAPPEARED)),
        (HOUSES, LAKE, Channel("water", Change.APPEARED)),
    ],
)
def test_moves_within_the_background_are_no_change(old, new, channel):
    kinds = LandKinds.of(LAND, ("building", "water"))
    logits = [np.zeros((6, 8, 8), np.float32) for _ in range(2)]
    logits[0][old], logits[1][new] = 8, 8
    moves = TileMoves.of(logits, np.ones((8, 8), bool), kinds, PairCalibration.plain(6, None), 0.5)
    assert bool((moves.change >= 0.5).all()) is (channel is not None)
    if channel:
        outlines = moves.outlines(0.5)
        assert outlines.channels[outlines.layers_at()[:, 4, 4].argmax()] == channel


def test_kinds_of_one_class_and_cover_are_one():
    more = (
        ListedClass("pond", class_name="water"),
        ListedClass("grass", class_name="vegetation"),
        ListedClass("grove", class_name="vegetation"),
        ListedClass("field of something", class_name="other"),
    )
    group = LandKinds.of((*LAND, *more)).group_of
    assert group[LAKE] == group[6]
    assert group[MEADOW] == group[7]
    assert group[WOOD] == group[8]
    assert group[MEADOW] != group[WOOD]
    assert group[THING] != group[9]
    logits = [np.zeros((10, 8, 8), np.float32) for _ in range(2)]
    logits[0][LAKE], logits[1][6] = 8, 8
    kinds = LandKinds.of((*LAND, *more))
    moves = TileMoves.of(logits, np.ones((8, 8), bool), kinds, PairCalibration.plain(10, None), 0.5)
    assert not (moves.change >= 0.5).any()


def test_land_covers_follow_from_classes_and_names():
    covers = [None if code == CANNOT_TELL else LAND_COVER[code] for code in KINDS.covers.tolist()]
    assert covers == ["low plants", "building", "bare", "water", "woody", None]


def test_the_names_of_the_thesis_are_bare(tmp_path):
    thesis = read_classes("thesis")
    assert len(thesis.classes) == 32
    assert thesis.templates == ("{}",)
    assert all(item.phrase == item.name for item in thesis.classes)
    assert {item.class_name for item in thesis.classes} <= set(CLASSES)
    assert [item.name for item in thesis.classes][:2] == ["landscape", "forest"]
    assert thesis.classes[-1].name == "residential area"


# --- moves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "channel"),
    [
        (SOIL, HOUSES, Channel("building", Change.APPEARED)),
        (HOUSES, SOIL, Channel("building", Change.DISAPPEARED)),
        (HOUSES, LAKE, Channel("water", Change.APPEARED)),
        (WOOD, SOIL, Channel("vegetation", Change.DISAPPEARED)),
        (WOOD, MEADOW, Channel("vegetation", Change.ALTERED)),
        (THING, MEADOW, Channel("vegetation", Change.APPEARED)),
    ],
)
def test_what_became_what(old, new, channel):
    logits = [np.zeros((6, 8, 8), np.float32) for _ in range(2)]
    logits[0][old], logits[1][new] = 8, 8
    valid = np.ones((8, 8), bool)
    valid[:, 6:] = False
    moves = TileMoves.of(logits, valid, KINDS, PairCalibration.plain(6, None), 0.5)
    outlines = moves.outlines(0.5)
    layers = outlines.layers_at()
    strongest = layers.argmax(axis=0)
    assert {outlines.channels[index] for index in strongest[valid].tolist()} == {channel}
    assert layers.max(axis=0)[valid] == pytest.approx(moves.change[valid])
    assert not layers[:, ~valid].any()
    covers = outlines.covers()
    assert (covers.before == KINDS.covers[old]).all()
    assert (covers.after == KINDS.covers[new]).all()
    assert moves.commonest == (old, new)


def test_lines_narrower_than_a_patch_are_no_change():
    surface = np.zeros((40, 40), np.float32)
    surface[10:13, 5:35] = 1
    surface[20:32, 8:20] = 1
    surface[:4, 25:] = 1  # goes on beyond the border
    kept = opened(surface, 7)
    assert not kept[10:13].any()
    assert kept[20:32, 8:20].all()
    assert kept[:4, 26:].all()
    assert (kept <= surface).all()
    assert np.array_equal(opened(surface, 2.5), surface)


# --- whole runs, with an encoder that knows colours ----------------------------------------------


class Colours:
    """A patch is like a class by its share of the pixels near 40 times the class's number."""

    side_px, patches = 32, 8

    def __init__(self):
        self.windows = 0

    def likenesses(self, windows):
        self.windows += len(windows)
        if not windows:
            return np.empty((0, 8, 8, 6), np.float32)
        return np.stack([self._patches(window[0].astype(np.float32)) for window in windows])

    def _patches(self, band):
        shown = np.rint(band / 40)[..., None] == np.arange(6)
        for axis in (0, 1):
            edges = np.arange(8) * shown.shape[axis] // 8
            shown = np.add.reduceat(shown.astype(np.float32), edges, axis)
        return 8 * shown / shown.sum(-1, keepdims=True)


def colour_model(**options):
    model = ClipModel(None, LAND, ClipOptions(**options), ModelIdentity("clip:colours", "sha256:0"))
    chosen = model.options
    model.__dict__["_dense"] = DenseTiles(
        Colours(), KINDS, chosen.window_px, chosen.threshold, chosen.presence_threshold
    )
    return model


def drawn_dates(size_px=192):
    """Two dates: houses on a meadow, a lake that dried up, a wood that became a meadow."""
    before = np.full((size_px, size_px), MEADOW)
    before[10:60, 100:170] = LAKE
    before[120:180, 20:90] = WOOD
    before[130:170, 110:180] = WOOD
    after = before.copy()
    after[70:110, 30:80] = HOUSES
    after[10:60, 100:170] = SOIL
    after[120:180, 20:90] = MEADOW
    return before, after


def pixels_of(kinds, seed):
    rng = np.random.default_rng(seed)
    noisy = 40 * kinds + rng.integers(-3, 4, kinds.shape)
    return np.stack([noisy.clip(0, 255).astype(np.uint8)] * 3)


def test_a_run_finds_place_class_direction_and_cover(make_raster, tmp_path):
    kinds = drawn_dates()
    paths = [
        make_raster(f"{number}.tif", pixels_of(date, number)) for number, date in enumerate(kinds)
    ]
    model = colour_model()
    options = AnalyzeOptions(model="clip:colours", tile_size_px=128, align="off", match=False)
    features = analyze(*paths, options, model=model).features
    fields = ["class", "change", "before_class", "after_class"]
    found = {tuple(row[fields]): row["area_m2"] for _, row in features.iterrows()}
    assert set(found) == {
        ("building", "appeared", "low plants", "building"),
        ("water", "disappeared", "water", "bare"),
        ("vegetation", "altered", "woody", "low plants"),
    }
    assert len(features) == 3
    pixel_m2 = sum(found.values()) / (2000 + 3500 + 4200)
    for area_m2, pixels in zip(sorted(found.values()), (2000, 3500, 4200), strict=True):
        assert area_m2 / pixel_m2 == pytest.approx(pixels, rel=0.1)


def test_the_land_cover_of_one_date_follows_its_kinds():
    kinds, later = drawn_dates()
    pixels = pixels_of(kinds, 0)
    # Of a single date the second picture says nothing.
    tiles = [Tile.of_pair(pixels, pixels), Tile.of_pair(pixels, pixels_of(later, 1))]
    for date_cover in colour_model().date_covers(None, [], tiles):
        assert np.mean(date_cover.cover == KINDS.covers[kinds]) > 0.9
        assert not date_cover.hidden.any()


def test_tiles_of_a_run_agree_where_they_meet():
    dates = [pixels_of(kinds, seed) for seed, kinds in enumerate(drawn_dates())]
    whole = colour_model(window_px=32)
    whole.survey(None, [Tile.of_pair(*dates)])
    calibration = whole._dense.calibration
    (answers,) = whole.answer([Tile.of_pair(*dates)], [LOCATE])
    part = colour_model(window_px=32)
    part._dense.calibration = calibration
    for row, col in product((0, 64), repeat=2):
        cut = [date[:, row : row + 128, col : col + 128] for date in dates]
        (inner,) = part.answer([Tile.of_pair(*cut)], [LOCATE])
        core = (slice(16, 112), slice(16, 112))
        outer = answers[0].change[row : row + 128, col : col + 128][core] >= 0.5
        assert np.mean((inner[0].change[core] >= 0.5) == outer) > 0.97


def test_presence_caption_and_threshold():
    dates = [pixels_of(kinds, seed) for seed, kinds in enumerate(drawn_dates())]
    ((presence, caption),) = colour_model().answer([Tile.of_pair(*dates)], [PRESENCE, CAPTION])
    assert presence.changed
    assert caption.changed
    assert caption.text == "A forest became a meadow."
    unchanged = Tile.of_pair(dates[0], pixels_of(drawn_dates()[0], 7))
    ((presence, caption),) = colour_model().answer([unchanged], [PRESENCE, CAPTION])
    assert (presence.changed, caption.changed) == (False, False)
    options = ClipOptions()
    assert ClipModel.presence_options(options, 0.8) == {"presence_threshold": 0.8}
    strict = colour_model(presence_threshold=0.99999)
    ((presence,),) = strict.answer([Tile.of_pair(*dates)], [PRESENCE])
    assert not presence.changed


def test_free_questions_are_answered_by_the_names_of_the_map():
    dates = [pixels_of(kinds, seed) for seed, kinds in enumerate(drawn_dates())]
    facts = PairFacts(("red", "green", "blue"), 1.0, "uint8")
    text = rule_based_answer(colour_model(), Tile.of_pair(*dates), facts, "What changed?").lower()
    # Built-in names would be doubted: its vegetation was seldom right.
    assert "vegetation" in text
    assert "buildings appeared" in text
    assert "water" in text


def test_tiles_without_a_valid_pixel_and_tiny_ones():
    tile = Tile.of_pair(*(np.zeros((3, 16, 16), np.uint8),) * 2, np.zeros((16, 16), bool))
    ((outlines, presence),) = colour_model().answer([tile], [LOCATE, PRESENCE])
    assert not outlines.change.any()
    assert presence.changed is False
    tiny = Tile.of_pair(*(np.full((3, 2, 3), value, np.uint8) for value in (0, 40)))
    ((outlines,),) = colour_model().answer([tiny], [LOCATE])
    assert outlines.change.shape == (2, 3)
    assert (outlines.change >= 0.5).all()


def test_whole_tiles_are_another_capability():
    assert colour_model().capabilities.location == "mask"
    whole = ClipModel(None, LAND, ClipOptions(look="whole"), ModelIdentity("clip:x", "sha256:0"))
    assert whole.capabilities.location == "grid"
    assert not whole.capabilities.surveys
    json.dumps(whole.options.to_dict())
