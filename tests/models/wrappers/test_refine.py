"""Closer looks at the cells that changed."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochg.errors import ModelError
from geochg.geometry.grid_cells import grid_box
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.registry import load_model
from geochg.models.wrappers.refine import LEAST_SIDE_PX, RefinedModel, enlarged_crop
from geochg.options import Options
from geochg.records import (
    GRID_CELLS,
    Boxes,
    Change,
    Direction,
    GridCell,
    Locations,
    PixelWindow,
    Presence,
    Question,
    Task,
    Tile,
    TileFailure,
    TileWindow,
    Unparsed,
)

LOCATE = [Question(Task.LOCATE, "where?")]
BOTH = [Question(Task.PRESENCE, "any?"), *LOCATE]
MIDDLE = GridCell(1, 1)
EVERYWHERE = dict.fromkeys(GRID_CELLS, 1.0)


class Scripted(ChangeModel):
    """Says what it is told to, call by call, and notes what it was shown."""

    name = "scripted"
    summary = "for tests"
    options_type = Options
    capabilities = Capabilities(
        frozenset({Task.PRESENCE, Task.LOCATE}), "grid", "values", "all", batch_tiles=4
    )

    def __init__(self, *script):
        self.script = list(script)
        self.shown = []
        self.asked = []

    @classmethod
    def load(cls, source, options, device):
        return cls()

    @property
    def identity(self):
        return ModelIdentity("scripted", "sha256:0")

    def answer(self, tiles, questions):
        self.shown.append(list(tiles))
        self.asked.append(list(questions))
        replies = self.script.pop(0)
        answers = replies if isinstance(replies, list) else [replies] * len(tiles)
        return [item if isinstance(item, TileFailure) else [item] for item in answers]


def tile(before, after, valid=None, index=0, start=(0, 0)):
    height, width = before.shape[1:]
    whole = PixelWindow(start[0], start[0] + height, start[1], start[1] + width)
    valid = np.ones((height, width), bool) if valid is None else valid
    return Tile(TileWindow(index, 0, index, whole, whole), (before, after), valid)


def blank(size_px=81, **settings):
    pixels = np.zeros((1, size_px, size_px), np.float32)
    return tile(pixels, pixels.copy(), **settings)


def with_block(rows, cols, size_px=81, **settings):
    before = np.zeros((2, size_px, size_px), np.float32)
    after = before.copy()
    after[:, rows, cols] = 60
    return tile(before, after, **settings)


def located(**classes):
    return Locations(classes)


def refined(model, tiles, levels=1, questions=LOCATE, **settings):
    answers = RefinedModel(model, levels, **settings).answer(tiles, questions)
    return [
        next(answer for answer in given if isinstance(answer, Boxes | Locations))
        for given in answers
    ]


def covered(boxes, name="building", shape=(81, 81)):
    mask = np.zeros(shape, int)
    for box in boxes.boxes[name]:
        window = box.window
        mask[window.row_start : window.row_stop, window.col_start : window.col_stop] += 1
    return mask


@pytest.fixture
def marker(marker_plugin):
    return load_model("marker", {"location": "grid", "difference": 30.0}, "auto")


# --- what is not measured -------------------------------------------------------------------------


def test_without_probabilities_a_box_has_the_share_of_the_looks_that_name_it():
    near = dict.fromkeys((GridCell(0, 0), GridCell(1, 1)))
    script = [located(building={GridCell(1, 1): None}), located(building=near), Locations({})]
    (unasked,) = refined(Scripted(script[0]), [blank(size_px=8)])
    assert [box.probability for box in unasked.boxes["building"]] == [None]
    (once,) = refined(Scripted(*script), [blank()])
    assert [box.probability for box in once.boxes["building"]] == [1, 1]
    (twice,) = refined(Scripted(*script), [blank()], levels=2)
    assert [round(box.probability, 4) for box in twice.boxes["building"]] == [0.6667, 0.6667]


def test_the_direction_of_a_box_is_pooled_over_all_looks():
    def toward(change, probability):
        direction = {GridCell(1, 1): Direction(change, probability)}
        return Locations({"building": {GridCell(1, 1): 0.9}}, {}, {"building": direction})

    script = [toward(Change.APPEARED, 0.6), toward(Change.DISAPPEARED, 0.9)]
    (boxes,) = refined(Scripted(*script), [blank()])
    (box,) = boxes.boxes["building"]
    assert box.direction == Direction(Change.DISAPPEARED, pytest.approx(0.6))


# --- what is found -------------------------------------------------------------------------------


def test_an_aligned_block_is_outlined_exactly(marker):
    ninth = with_block(slice(9, 18), slice(36, 45))
    (boxes,) = refined(marker, [ninth])
    (box,) = boxes.boxes["building"]
    assert box.window == PixelWindow(9, 18, 36, 45)
    assert box.grid_cell == GridCell(0, 1)
    assert boxes.changes == {"building": Change.APPEARED}


def test_a_second_look_divides_what_the_first_found(marker):
    smaller = with_block(slice(9, 15), slice(36, 45))
    (once,) = refined(marker, [smaller])
    (twice,) = refined(marker, [smaller], levels=2)
    assert [box.window for box in once.boxes["building"]] == [PixelWindow(9, 18, 36, 45)]
    mask = np.zeros((81, 81), int)
    mask[9:15, 36:45] = 1
    assert (covered(twice) == mask).all()


def test_looks_agree_with_the_truth_ever_better(marker):
    odd = with_block(slice(100, 140), slice(31, 62), size_px=256)
    truth = np.zeros((256, 256), bool)
    truth[100:140, 31:62] = True

    def agreement(levels):
        (boxes,) = refined(marker, [odd], levels=levels)
        result = covered(boxes, shape=(256, 256)) > 0
        return (result & truth).sum() / (result | truth).sum()

    plain = truth.sum() / 85 / 86
    result = [agreement(levels) for levels in (1, 2, 3)]
    assert plain < result[0] < result[1] < result[2]
    assert result[2] > 0.8


@given(
    st.integers(20, 100),
    st.integers(20, 100),
    st.integers(1, 3),
    st.tuples(st.integers(-40, 40), st.integers(-40, 40)),
)
def test_boxes_divide_a_tile_without_gap_or_overlap(height, width, levels, start):
    pixels = np.zeros((1, height, width), np.float32)
    everywhere = Scripted(*[located(road=EVERYWHERE)] * 500)
    (boxes,) = refined(
        everywhere, [tile(pixels, pixels, start=start)], levels=levels, batch_size=100
    )
    mask = np.zeros((height, width), int)
    for box in boxes.boxes["road"]:
        mask[box.window.slices_within(PixelWindow(start[0], 1000, start[1], 1000))] += 1
        outer = grid_box(
            PixelWindow(start[0], start[0] + height, start[1], start[1] + width), box.grid_cell
        )
        assert box.window.cut_to(outer) == box.window
    assert (mask == 1).all()


# --- the rules -----------------------------------------------------------------------------------


def test_probabilities_are_means_of_the_looks():
    model = Scripted(
        located(road={MIDDLE: 0.9}), located(road={MIDDLE: 0.6}), located(road={MIDDLE: 0.3})
    )
    (boxes,) = refined(model, [blank()], levels=2)
    (box,) = boxes.boxes["road"]
    assert box.probability == pytest.approx(0.6)
    assert box.window == PixelWindow(39, 42, 39, 42)


def test_a_cell_in_which_nothing_is_found_stays_whole_and_less_likely():
    model = Scripted(located(road={MIDDLE: 0.8}), located(road={}))
    (boxes,) = refined(model, [blank()], levels=3)
    (box,) = boxes.boxes["road"]
    assert (box.window, box.probability) == (PixelWindow(27, 54, 27, 54), pytest.approx(0.4))
    assert len(model.shown) == 2


def test_each_class_is_divided_by_itself_and_new_ones_are_not_taken_up():
    coarse = Locations(
        {"road": {MIDDLE: 0.8}, "building": {MIDDLE: 1.0}}, {"road": Change.DISAPPEARED}
    )
    closer = Locations(
        {"road": {GridCell(0, 0): 0.6}, "water": {GridCell(2, 2): 1.0}}, {"road": Change.APPEARED}
    )
    (boxes,) = refined(Scripted(coarse, closer), [blank()])
    assert boxes.boxes.keys() == {"road", "building"}
    assert [(b.window, b.probability) for b in boxes.boxes["road"]] == [
        (PixelWindow(27, 36, 27, 36), pytest.approx(0.7))
    ]
    assert [(b.window, b.probability) for b in boxes.boxes["building"]] == [
        (PixelWindow(27, 54, 27, 54), 0.5)
    ]
    assert boxes.changes == {"road": Change.DISAPPEARED}


@pytest.mark.parametrize(
    "closer",
    [
        [TileFailure(blank().window, "told to fail")],
        [Unparsed(Task.LOCATE, "colourless green ideas", "nonsense")],
    ],
)
def test_a_closer_look_that_fails_changes_nothing(closer):
    (boxes,) = refined(Scripted(located(road={MIDDLE: 0.8}), closer), [blank()], levels=2)
    (box,) = boxes.boxes["road"]
    assert (box.window, box.probability) == (PixelWindow(27, 54, 27, 54), 0.8)


def test_one_that_fails_does_not_spoil_the_others():
    failing = TileFailure(blank().window, "told to fail")
    fine = located(road={GridCell(0, 2): 1.0})
    model = Scripted([located(road={MIDDLE: 1.0})] * 3, [fine, failing, fine])
    result = refined(model, [blank(index=i) for i in range(3)])
    part, whole = PixelWindow(27, 36, 45, 54), PixelWindow(27, 54, 27, 54)
    assert [item.boxes["road"][0].window for item in result] == [part, whole, part]


def test_presence_stands_above_the_places_of_a_closer_look(marker):
    class Denying(Scripted):
        def answer(self, tiles, questions):
            self.shown.append(list(tiles))
            self.asked.append(list(questions))
            changed = len(self.shown) == 1
            return [[Presence(changed), located(road={MIDDLE: 1.0})] for _ in tiles]

    model = Denying()
    (boxes,) = refined(model, [blank()], questions=BOTH)
    assert [(b.window, b.probability) for b in boxes.boxes["road"]] == [
        (PixelWindow(27, 54, 27, 54), 0.5)
    ]
    assert model.asked == [BOTH, BOTH]


def test_tiles_that_failed_or_did_not_change_are_not_looked_into():
    failure = TileFailure(blank().window, "told to fail")
    unread = Unparsed(Task.LOCATE, "?", "nonsense")
    model = Scripted([failure, unread, located(road={})])
    given_back = RefinedModel(model, 2).answer([blank(index=i) for i in range(3)], LOCATE)
    assert given_back == [failure, [unread], [located(road={})]]
    assert len(model.shown) == 1

    class AlwaysDenying(Scripted):
        def answer(self, tiles, questions):
            self.shown.append(list(tiles))
            return [[Presence(False), located(road={MIDDLE: 1.0})] for _ in tiles]

    denying = AlwaysDenying()
    RefinedModel(denying, 2).answer([blank()], BOTH)
    assert len(denying.shown) == 1


def test_only_places_and_presence_are_asked_again_in_the_same_words():
    model = Scripted(located(road={MIDDLE: 1.0}), located(road={}))
    questions = [Question(Task.CAPTION, "what?"), Question(Task.LOCATE, "my own words")]
    RefinedModel(model, 1).answer([blank()], questions)
    assert model.asked == [questions, [Question(Task.LOCATE, "my own words")]]


# --- what is shown -------------------------------------------------------------------------------


def test_all_cells_of_all_tiles_go_to_the_model_together():
    answer = located(road=dict.fromkeys(GRID_CELLS[:3], 1.0))
    model = Scripted(*[answer] * 100)
    RefinedModel(model, 1, batch_size=100).answer([blank(index=i) for i in range(5)], LOCATE)
    assert [len(part) for part in model.shown] == [5, 15]
    model = Scripted(*[answer] * 100)
    RefinedModel(model, 2).answer([blank(index=i) for i in range(2)], LOCATE)
    assert [len(part) for part in model.shown] == [2, 4, 2, 4, 4, 4, 4, 2]


def test_no_picture_is_made_before_its_call(monkeypatch):
    made, model = [], Scripted(*[located(road=EVERYWHERE)] * 10)
    monkeypatch.setattr(
        "geochg.models.wrappers.refine.enlarged_crop",
        lambda *part: made.append(len(model.shown)) or enlarged_crop(*part),
    )
    RefinedModel(model, 1).answer([blank()], LOCATE)
    assert made == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_small_cells_and_those_without_data_are_not_asked_about():
    # The middle cell of 26 px is 8 px wide, that of 27 px is 9.
    for size_px, calls in ((3 * LEAST_SIDE_PX - 1, 1), (3 * LEAST_SIDE_PX, 2)):
        model = Scripted(*[located(road={MIDDLE: 1.0})] * 2)
        refined(model, [blank(size_px)])
        assert len(model.shown) == calls
    valid = np.ones((81, 81), bool)
    valid[:27, :27] = False
    model = Scripted(located(road={GridCell(0, 0): 1.0}))
    refined(model, [blank(valid=valid)])
    assert len(model.shown) == 1


def test_parts_without_data_are_no_boxes():
    valid = np.zeros((81, 81), bool)
    valid[27:40, 27:54] = True
    model = Scripted(located(road={MIDDLE: 1.0}), located(road=EVERYWHERE))
    (boxes,) = refined(model, [blank(valid=valid)])
    rows = {(box.window.row_start, box.window.row_stop) for box in boxes.boxes["road"]}
    assert rows == {(27, 36), (36, 45)}
    assert len(boxes.boxes["road"]) == 6


def test_classes_that_are_not_kept_cost_nothing():
    model = Scripted(located(road={MIDDLE: 1.0}, water={GridCell(0, 0): 0.7}), located(road={}))
    (boxes,) = refined(model, [blank()], classes=("road",))
    assert [len(part) for part in model.shown] == [1, 1]
    assert [b.window for b in boxes.boxes["water"]] == [PixelWindow(0, 27, 0, 27)]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_part_is_enlarged_to_the_size_of_the_tile(dtype):
    rng = np.random.default_rng(0)
    pixels = rng.integers(20, 200, (3, 60, 90)).astype(dtype)
    valid = rng.random((60, 90)) > 0.2
    pixels[:, ~valid] = 0
    whole = tile(pixels, pixels[:, ::-1].copy(), valid, index=7, start=(100, 200))
    part = PixelWindow(120, 140, 230, 260)
    result = enlarged_crop(whole, part)
    assert result.before.dtype == result.after.dtype == dtype
    assert result.before.shape == result.after.shape == (3, 60, 90)
    assert result.window.index == 7
    assert result.window.read == PixelWindow(0, 60, 0, 90)
    # Pixels in the middle of the enlarged ones keep their value and validity.
    middle = np.s_[1::3, 1::3]
    np.testing.assert_array_equal(result.valid[middle], valid[20:40, 30:60])
    np.testing.assert_allclose(
        result.before[(slice(None), *middle)], pixels[:, 20:40, 30:60], atol=1e-3
    )
    assert not result.before[:, ~result.valid].any()
    low, high = pixels[:, 20:40, 30:60].min(), pixels[:, 20:40, 30:60].max()
    assert low <= result.before.min() <= result.before.max() <= high


def test_a_clue_is_made_anew_for_each_closer_look(monkeypatch):
    # Clued inside refined: the clue of a part speaks of that part.
    from geochg.models.wrappers.clue import CluedModel
    from geochg.records import Caption

    class Reader(Scripted):
        capabilities = replace(Scripted.capabilities, clues=True)

    class Teller(Scripted):
        capabilities = replace(Scripted.capabilities, tasks=frozenset({Task.CAPTION}), clues=False)

        def answer(self, tiles, questions):
            return [[Caption(f"{int(item.after.max())} at most", changed=True)] for item in tiles]

    reader = Reader(located(road={MIDDLE: 1.0}), located(road={}))
    block = with_block(slice(0, 20), slice(0, 20))
    RefinedModel(CluedModel(reader, Teller(), {}), 1).answer([block], LOCATE)
    assert [part[0].clue for part in reader.shown] == ["Clue: 60 at most", "Clue: 0 at most"]


def test_it_passes_for_the_model(marker):
    model = RefinedModel(marker, 1)
    assert (model.name, model.identity) == ("marker", marker.identity)
    assert model.capabilities == marker.capabilities
    with pytest.raises(ModelError):
        RefinedModel.load("", Options(), "cpu")


def test_batches_change_nothing(marker):
    rng = np.random.default_rng(1)
    tiles = []
    for index in range(4):
        before = np.zeros((1, 96, 96), np.float32)
        after = before.copy()
        for row, col in product(rng.integers(0, 90, 4), rng.integers(0, 90, 2)):
            after[:, row : row + 12, col : col + 9] = 70
        tiles.append(tile(before, after, index=index))
    together = refined(marker, tiles, levels=2, batch_size=100)
    singly = [refined(marker, [item], levels=2, batch_size=1)[0] for item in tiles]
    assert together == singly
