"""Tiles that overlap by half vote on each place."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from geochg.features.cells import CellSettings, tile_result
from geochg.features.tile_results import HEAT_NODATA, HEAT_SCALE
from geochg.features.voting import voted_heat, voted_results
from geochg.geometry.grid_cells import grid_box
from geochg.records import (
    GRID_CELLS,
    Box,
    Boxes,
    Caption,
    Change,
    Counts,
    Direction,
    GridCell,
    Locations,
    PixelWindow,
    Presence,
    Task,
    Tile,
    Unparsed,
)
from geochg.tiling.layout import Layout

VOTING = CellSettings(ballot=True)
MIDDLE = GridCell(1, 1)
# Four tiles that see each other's ground, 12 px wide, with cells of 4 px; they share [6, 12).
FOUR = Layout(18, 18, 12, 6)


def result(window, *answers, valid=None, settings=VOTING):
    side_px = window.read.height_px
    if valid is None:
        valid = np.ones((side_px, side_px), bool)
    pixels = np.zeros((1, side_px, side_px), np.uint8)
    return tile_result(Tile(window, (pixels, pixels), valid), answers, settings)


def on(*boxes, name="road", probability=1.0, change=None):
    """An answer of boxes given as rows and columns of the grid."""
    placed = [Box(PixelWindow(*edges), GridCell(0, 0), probability) for edges in boxes]
    return Boxes({name: placed}, {name: change} if change else {})


def said(answers, layout=FOUR):
    """Results of the tiles by index; a tile without an answer saw no change, None has failed."""
    return [
        result(window, *answers.get(window.index, (Presence(False),)))
        for window in layout
        if answers.get(window.index, ()) is not None
    ]


def mapped(results, shape=(18, 18)):
    """Per class, the probability at each pixel that is mapped; 0 elsewhere."""
    found = defaultdict(lambda: np.zeros(shape))
    for each in voted_results(results):
        for cell in each.cells:
            inside = rasterize([cell.polygon], shape).astype(bool)
            assert not found[cell.class_name][inside].any()
            found[cell.class_name][inside] = cell.probability
    return found


# --- who wins ------------------------------------------------------------------------------------


def test_what_most_tiles_say_is_mapped():
    wide = on((6, 12, 6, 12))
    three = said({0: [wide], 1: [wide], 2: [on((8, 12, 6, 12))]})
    found = mapped(three)["road"]
    expected = np.zeros((18, 18))
    expected[8:12, 6:12] = 0.75
    np.testing.assert_allclose(found, expected)


def test_unsure_tiles_win_where_they_are_most():
    box = (6, 12, 6, 12)
    unsure = said({index: [on(box, probability=0.4)] for index in range(3)})
    np.testing.assert_allclose(mapped(unsure)["road"][6:12, 6:12], 0.3)


def test_a_tie_is_no_majority_and_what_one_tile_sees_is_its_own():
    tied = said({0: [on((6, 12, 6, 12))], 1: [on((6, 12, 6, 12))]})
    assert not mapped(tied)
    corner = said({0: [on((0, 6, 0, 6), probability=0.6)]})
    found = mapped(corner)["road"]
    assert (found[:6, :6] == 0.6).all()
    assert np.count_nonzero(found) == 36


def test_without_probabilities_the_confidence_is_the_share_of_the_tiles_that_agree():
    box = (6, 12, 6, 12)
    agreeing = [on(box, probability=None, change=Change.APPEARED)]
    found = mapped(said(dict.fromkeys(range(3), agreeing)))["road"]
    np.testing.assert_allclose(found[6:12, 6:12], 0.75)
    # What one tile sees by itself is no share.
    alone = said({0: [on((0, 6, 0, 6), probability=None)]})
    cells = [cell for each in voted_results(alone) for cell in each.cells]
    assert {cell.probability for cell in cells} == {None}
    assert {cell.change_probability for cell in cells} == {None}


def test_a_direction_has_the_share_of_the_probability_behind_it():
    def toward(change, probability):
        direction = Direction(change, probability)
        box = Box(PixelWindow(6, 12, 6, 12), GridCell(0, 0), 1.0, direction)
        return [Boxes({"road": [box]})]

    told = [(Change.APPEARED, 0.9), (Change.APPEARED, 0.6), (Change.DISAPPEARED, 0.8)]
    results = said({index: toward(*direction) for index, direction in enumerate(told)})
    cells = [cell for each in voted_results(results) for cell in each.cells]
    assert {cell.change for cell in cells} == {Change.APPEARED}
    assert {round(cell.change_probability, 6) for cell in cells} == {0.5}


def test_failed_tiles_and_those_that_made_no_sense_do_not_vote():
    half = {0: [on((6, 12, 6, 12))], 1: [on((6, 12, 6, 12))]}
    unread = [Presence(True), Unparsed(Task.LOCATE, "?", "nonsense")]
    silent = [Presence(False), Unparsed(Task.LOCATE, "?", "nonsense")]
    assert not mapped(said({**half, 2: silent}))
    # The core of a tile that failed stays empty: 18 px are cut at 9.
    lost = mapped(said({**half, 2: None}))["road"]
    np.testing.assert_allclose(lost[6:9, 6:12], 2 / 3)
    np.testing.assert_allclose(lost[9:12, 9:12], 2 / 3)
    assert not lost[9:12, 6:9].any()
    unsaid = mapped(said({**half, 2: unread}))["road"]
    np.testing.assert_allclose(unsaid[6:12, 6:12], 2 / 3)


def test_where_nobody_votes_there_is_no_heat():
    unread = [Presence(True), Unparsed(Task.LOCATE, "?", "nonsense")]
    heat = dict(voted_heat(said({0: unread})))
    first = heat[PixelWindow(0, 9, 0, 9)]
    assert (first[:6, :6] == HEAT_NODATA).all()
    assert not first[6:, :].any()
    assert not first[:, 6:].any()


def test_the_direction_is_that_of_most_probability():
    box = (6, 12, 6, 12)
    answers = {
        0: [on(box, probability=0.9, change=Change.APPEARED)],
        1: [on(box, probability=0.6, change=Change.ALTERED)],
        2: [on(box, probability=0.6)],
        3: [on(box, probability=0.6, change=Change.DISAPPEARED)],
    }
    cells = [cell for each in voted_results(said(answers)) for cell in each.cells]
    assert {cell.change for cell in cells} == {Change.ALTERED}
    assert {round(cell.probability, 6) for cell in cells} == {0.675}


# --- how it is described -------------------------------------------------------------------------


def test_a_piece_is_described_by_who_saw_it():
    box = on((6, 12, 6, 12))
    answers = {
        0: [Presence(False), Caption("no change", False), Counts({"road": 0})],
        1: [box, Caption("one", True), Counts({"road": 1})],
        2: [on((6, 12, 6, 12), probability=0.9), Caption("two", True), Counts({"road": 2})],
        3: [box, Caption("three", True), Counts({"road": 3})],
    }
    found = list(voted_results(said(answers)))
    assert [dict(each.counts) for each in found] == [{}, {"road": 1}, {"road": 2}, {"road": 3}]
    captions = [{cell.caption for cell in each.cells} for each in found]
    assert captions == [{"one"}, {""}, {""}, {""}]
    assert [each.caption for each in found] == ["no change", "one", "two", "three"]


def test_pieces_name_the_cell_of_their_own_tile():
    box = on((6, 12, 6, 12))
    found = list(voted_results(said({index: [box] for index in range(4)})))
    assert [{name for cell in each.cells for name in cell.grid_cells} for each in found] == [
        {"center-center", "center-right", "bottom-center", "bottom-right"},
        {"center-left", "center-center", "bottom-left", "bottom-center"},
        {"top-center", "top-right", "center-center", "center-right"},
        {"top-left", "top-center", "center-left", "center-center"},
    ]
    for each in found:
        for cell in each.cells:
            (name,) = cell.grid_cells
            (part,) = (c for c in GRID_CELLS if c.name == name)
            place = grid_box(each.window.read, part)
            left, low, right, high = cell.polygon.bounds
            assert place.row_start <= low < high <= place.row_stop
            assert place.col_start <= left < right <= place.col_stop


# --- against the pixels --------------------------------------------------------------------------

answers_of_tiles = st.lists(
    st.none()
    | st.just("unread")
    | st.just("same")
    | st.dictionaries(
        st.sampled_from(["road", "building"]),
        st.dictionaries(st.sampled_from(GRID_CELLS), st.sampled_from([0.6, 0.8, 1.0])),
        max_size=2,
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60)
@given(answers_of_tiles, st.integers(1, 50), st.integers(1, 50), st.integers(9, 17), st.randoms())
def test_each_pixel_has_the_mean_of_those_who_see_it(answers, height, width, side_px, random):
    layout = Layout(height, width, side_px, side_px // 2)
    rng = np.random.default_rng(random.randrange(1000))
    valid = rng.random((height, width)) > 0.1
    results, seen = [], np.zeros((height, width))
    total = {name: np.zeros((height, width)) for name in ("road", "building")}
    listed = {name: np.zeros((height, width), int) for name in total}
    answered = np.zeros((height, width), bool)
    for window in layout:
        answer = answers[window.index % len(answers)]
        inside = window.read.cut_to(PixelWindow(0, height, 0, width))
        whole = PixelWindow(0, height, 0, width)
        mask = np.zeros((side_px, side_px), bool)
        mask[inside.slices_within(window.read)] = valid[inside.slices_within(whole)]
        if answer is None:
            continue
        answered[window.core.slices_within(whole)] = True
        if answer == "unread":
            unread = Unparsed(Task.LOCATE, "?", "nonsense")
            results.append(result(window, Presence(True), unread, valid=mask))
            continue
        seen[inside.slices_within(whole)] += 1
        if answer == "same":
            located = Locations({"road": {MIDDLE: 1.0}})
            results.append(result(window, Presence(False), located, valid=mask))
            continue
        results.append(result(window, Locations(answer), valid=mask))
        for name, cells in answer.items():
            for cell, probability in cells.items():
                box = grid_box(window.read, cell)
                part = box.cut_to(whole)
                if part and mask[box.slices_within(window.read)].any():
                    total[name][part.slices_within(whole)] += probability
                    listed[name][part.slices_within(whole)] += 1
    mean = {name: each / np.maximum(seen, 1) for name, each in total.items()}
    found = mapped(results, (height, width))
    counts = answered & valid
    for name, expected in mean.items():
        most = 2 * listed[name] > seen
        np.testing.assert_allclose(
            found[name][counts], np.where(most, expected, 0)[counts], atol=1e-9
        )
        # What is mapped beyond valid pixels lies in a piece that has some.
        assert not found[name][~answered].any()
    highest = np.maximum(mean["road"], mean["building"])
    for core, heat in voted_heat(results):
        part = core.slices_within(PixelWindow(0, height, 0, width))
        blank = ~valid[part] | (seen[part] == 0)
        assert (heat[blank] == HEAT_NODATA).all()
        assert (np.abs(heat[~blank] - highest[part][~blank] * HEAT_SCALE) <= 0.51).all()


# --- as they come --------------------------------------------------------------------------------


def test_results_stream_through():
    layout = Layout(600, 60, 12, 6)
    rows = layout[len(layout) - 1].row + 1
    per_row = len(layout) // rows
    taken = 0

    def coming():
        nonlocal taken
        for window in layout:
            taken += 1
            yield result(window, on((window.core.row_start, window.core.row_stop, 0, 60)))

    ahead = [taken - number for number, _ in enumerate(voted_results(coming()))]
    assert len(ahead) == len(layout)
    assert max(ahead) <= 4 * per_row


def test_results_without_ballots_are_no_votes():
    plain = result(FOUR[0], Presence(False), settings=CellSettings())
    with pytest.raises(ValueError, match="did not vote"):
        list(voted_results([plain]))
