import time

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.features import rasterize
from tile_factory import (
    ALTERED,
    APPEARED,
    BUILDING,
    DISAPPEARED,
    ROAD,
    make_tile,
    one_window,
    outlines,
)

from geochg.classes import CLASSES
from geochg.features.cells import CellSettings, tile_result
from geochg.options import Geometry
from geochg.records import (
    GRID_CELLS,
    Box,
    Boxes,
    Caption,
    Channel,
    Counts,
    Dialogue,
    GridCell,
    Locations,
    PixelWindow,
    Presence,
    Reply,
    Task,
    Unparsed,
)

WINDOW = one_window(256, 16)
BOXES = CellSettings(Geometry.CELLS)


def blank(size_px=256):
    return np.zeros((size_px, size_px))


def located(**cells):
    return Locations(
        {name: {GridCell(*k): p for k, p in each.items()} for name, each in cells.items()}
    )


# --- outlines ------------------------------------------------------------------------------------


def test_a_piece_has_exact_vertices_and_the_mean_of_its_pixels():
    layer = blank()
    layer[20:30, 40:60] = 0.6
    layer[20:30, 50:60] = 0.8
    (cell,) = tile_result(make_tile(WINDOW), [outlines((BUILDING, layer))], CellSettings()).cells
    assert cell.polygon.equals(shapely.box(40, 20, 60, 30))
    assert cell.polygon.bounds == (40, 20, 60, 30)
    assert cell.probability == pytest.approx(0.7)
    assert (cell.class_name, cell.change) == BUILDING
    assert cell.grid_cells == ("top-left",)


def test_a_piece_names_all_the_grid_cells_of_the_read_window_it_lies_in():
    layer = blank()
    layer[84:86, 20:180] = 0.9
    (cell,) = tile_result(make_tile(WINDOW), [outlines((ROAD, layer))], CellSettings()).cells
    assert cell.grid_cells == (
        "top-left", "top-center", "top-right", "center-left", "center-center", "center-right",
    )  # fmt: skip


def test_only_the_core_counts():
    layer = blank()
    layer[0:20, 100:110] = 0.9
    layer[250:256] = 0.9
    (cell,) = tile_result(make_tile(WINDOW), [outlines((ROAD, layer))], CellSettings()).cells
    assert cell.polygon.bounds == (100, 16, 110, 20)


def test_holes_are_kept_and_corner_contact_separates():
    layer = blank()
    layer[50:60, 50:60] = 1
    layer[53:56, 53:56] = 0
    layer[60:62, 60:62] = 1
    cells = tile_result(make_tile(WINDOW), [outlines((ROAD, layer))], CellSettings()).cells
    assert sorted(cell.polygon.area for cell in cells) == [4, 91]
    assert sorted(len(cell.polygon.interiors) for cell in cells) == [0, 1]


def test_pixels_go_to_the_strongest_channel_that_is_asked_for():
    building, road = blank(), blank()
    building[50:60, 50:60] = 0.9
    road[50:60, 50:70] = 0.6
    answer = outlines((BUILDING, building), (ROAD, road))
    both = tile_result(make_tile(WINDOW), [answer], CellSettings())
    assert {(c.class_name, c.polygon.area) for c in both.cells} == {
        ("building", 100),
        ("road", 100),
    }
    roads = tile_result(make_tile(WINDOW), [answer], CellSettings(classes=("road",), heat=True))
    assert [(c.class_name, c.polygon.area) for c in roads.cells] == [("road", 200)]
    assert roads.probability == pytest.approx(0.6)
    assert roads.heat.max() == round(0.6 * 254)
    water = tile_result(make_tile(WINDOW), [answer], CellSettings(classes=("water",), heat=True))
    assert (water.cells, water.changed, water.probability) == ((), False, None)
    assert not water.heat.any()


def test_the_threshold_itself_is_changed_and_invalid_pixels_are_not():
    layer = blank()
    layer[50:60, 50:60] = 0.25
    valid = np.ones((256, 256), bool)
    valid[50:60, 55:60] = False
    answer = outlines((ROAD, layer), threshold=0.25)
    result = tile_result(make_tile(WINDOW, valid), [answer], CellSettings(heat=True))
    assert result.cells[0].polygon.equals(shapely.box(50, 50, 55, 60))
    assert (result.heat[34:44, 39:44] == 255).all()
    assert (result.heat[34:44, 34:39] == round(0.25 * 254)).all()


@settings(deadline=None, max_examples=40)
@given(
    hnp.arrays(np.int8, (24, 24), elements=st.integers(0, 3)),
    hnp.arrays(bool, (24, 24)),
    hnp.arrays(np.float32, (24, 24), elements=st.floats(0.5, 1, width=32)),
)
def test_cells_are_the_mask(classes, valid, strength):
    window = one_window(24, 3)
    channels = [Channel(name, ALTERED) for name in CLASSES[:3]]
    layers = [(c, np.where(classes == i, strength, 0)) for i, c in enumerate(channels, start=1)]
    result = tile_result(make_tile(window, valid), [outlines(*layers)], CellSettings())
    drawn = np.zeros((24, 24), int)
    for cell in result.cells:
        assert cell.polygon.is_valid
        inside = rasterize([cell.polygon], (24, 24)).astype(bool)
        assert not drawn[inside].any()
        drawn[inside] = CLASSES.index(cell.class_name) + 1
        assert cell.probability == pytest.approx(strength[inside].mean(), abs=1e-6)
        touched = [
            c.name
            for c in GRID_CELLS
            if inside[c.row * 8 : c.row * 8 + 8, c.col * 8 : c.col * 8 + 8].any()
        ]
        assert list(cell.grid_cells) == touched
    core = np.zeros((24, 24), bool)
    core[3:21, 3:21] = True
    np.testing.assert_array_equal(drawn, np.where(valid & core, classes, 0))
    assert result.changed == drawn.any()


def test_a_tile_full_of_specks_is_quick():
    rng = np.random.default_rng(0)
    layers = np.zeros((6, 256, 256))
    layers[rng.integers(0, 6, (256, 256)), *np.mgrid[:256, :256]] = rng.random((256, 256)) < 0.05
    answer = outlines(
        *((Channel(name, ALTERED), layer) for name, layer in zip(CLASSES, layers, strict=True))
    )
    took_s = []
    for _ in range(3):
        start = time.perf_counter()
        result = tile_result(make_tile(WINDOW), [answer], CellSettings(heat=True))
        took_s.append(time.perf_counter() - start)
    assert len(result.cells) > 2000
    # About 0.03 s on an idle core; the bound leaves room for a busy one.
    assert min(took_s) < 0.3


# --- boxes of outlines ---------------------------------------------------------------------------


def test_a_box_needs_more_than_a_twentieth_of_its_valid_pixels():
    layer = blank()
    valid = np.ones((256, 256), bool)
    valid[85:171, 128:171] = False
    size_px = (valid[85:171, 85:171]).sum()
    limit = int(size_px * 0.05)
    layer[85 : 85 + limit // 43, 85:128] = 0.75
    layer[85 + limit // 43, 85 : 85 + limit % 43] = 0.75
    tile = make_tile(WINDOW, valid)
    assert tile_result(tile, [outlines((ROAD, layer))], BOXES).cells == ()
    layer[120, 90] = 0.75
    (cell,) = tile_result(tile, [outlines((ROAD, layer))], BOXES).cells
    assert cell.polygon.equals(shapely.box(85, 85, 171, 171))
    assert cell.probability == pytest.approx(0.75)
    assert cell.grid_cells == ("center-center",)


def test_boxes_are_cut_to_the_core_and_one_a_channel():
    building, road = blank(), blank()
    building[0:40, 0:40] = 0.9
    road[40:85, 0:40] = 0.7
    answer = outlines((BUILDING, building), (ROAD, road))
    cells = tile_result(make_tile(WINDOW), [answer], BOXES).cells
    assert [(c.class_name, c.change) for c in cells] == [BUILDING, ROAD]
    assert all(cell.polygon.bounds == (16, 16, 85, 85) for cell in cells)


# --- grid locations ------------------------------------------------------------------------------


def test_locations_become_boxes_with_the_direction_that_is_told():
    answer = Locations(
        {
            "building": {GridCell(0, 0): 0.8},
            "road": {GridCell(1, 2): 0.6},
            "water": {GridCell(2, 1): 0.7},
        },
        {"building": APPEARED},
    )
    counts = Counts({"road": 2}, {"road": DISAPPEARED, "building": DISAPPEARED})
    result = tile_result(make_tile(WINDOW), [counts, answer], CellSettings())
    assert [(c.class_name, c.change, c.probability, c.polygon.bounds) for c in result.cells] == [
        ("building", APPEARED, 0.8, (16, 16, 85, 85)),
        ("road", DISAPPEARED, 0.6, (171, 85, 240, 171)),
        ("water", ALTERED, 0.7, (85, 171, 171, 240)),
    ]
    assert (result.changed, result.probability) == (True, 0.8)


def test_located_cells_without_valid_pixels_or_outside_the_core_are_dropped():
    valid = np.ones((256, 256), bool)
    valid[:85, :85] = False
    answer = located(road={(0, 0): 0.9, (0, 1): 0.7})
    result = tile_result(make_tile(WINDOW, valid), [answer], CellSettings(heat=True))
    assert [cell.grid_cells for cell in result.cells] == [("top-center",)]
    assert result.probability == 0.7
    inner = one_window(256, 100)
    assert tile_result(make_tile(inner), [answer], CellSettings()).cells == ()


def test_boxes_stand_above_the_cells_they_come_from():
    corner, middle = GridCell(0, 0), GridCell(1, 1)
    boxes = Boxes(
        {
            "road": [
                Box(PixelWindow(10, 30, 10, 85), corner, 0.8),
                Box(PixelWindow(0, 10, 0, 85), corner, 0.9),
                Box(PixelWindow(90, 99, 100, 109), middle, 0.6),
            ],
            "water": [Box(PixelWindow(90, 99, 109, 118), middle, 0.7)],
        },
        {"road": DISAPPEARED},
    )
    valid = np.ones((256, 256), bool)
    valid[90:99, 109:118] = False
    answers = [located(building={(2, 2): 1.0}), boxes]
    result = tile_result(make_tile(WINDOW, valid), answers, CellSettings(heat=True, ballot=True))
    assert [(c.class_name, c.change, c.polygon.bounds, c.grid_cells) for c in result.cells] == [
        ("road", DISAPPEARED, (16, 16, 85, 30), ("top-left",)),
        ("road", DISAPPEARED, (100, 90, 109, 99), ("center-center",)),
    ]
    assert result.probability == 0.8
    assert (result.heat[:14, :69] == round(0.8 * 254)).all()
    # A vote is on all that a tile sees, but not on what has no data.
    votes = result.ballot.votes
    assert [vote.box for vote in votes] == boxes.boxes["road"]
    assert {vote.change for vote in votes} == {DISAPPEARED}
    np.testing.assert_array_equal(result.ballot.valid, valid[16:240, 16:240])
    water = CellSettings(classes=("water",), ballot=True)
    assert tile_result(make_tile(WINDOW), answers, water).ballot.votes[0].class_name == "water"


def test_heat_of_locations_is_painted_over_their_boxes():
    answer = located(road={(0, 0): 0.5}, building={(0, 0): 1.0, (1, 1): 0.25})
    heat = tile_result(make_tile(WINDOW), [answer], CellSettings(heat=True)).heat
    assert heat.shape == (224, 224)
    assert (heat[:69, :69] == 254).all()
    assert (heat[69:155, 69:155] == round(0.25 * 254)).all()
    assert heat.sum() == 254 * 69 * 69 + round(0.25 * 254) * 86 * 86
    roads = tile_result(make_tile(WINDOW), [answer], CellSettings(classes=("road",), heat=True))
    assert roads.heat.max() == 127


# --- the words -----------------------------------------------------------------------------------


def test_a_tile_called_unchanged_gives_no_cells():
    answers = [Presence(False, 0.1), located(road={(1, 1): 0.9})]
    result = tile_result(make_tile(WINDOW), answers, CellSettings(heat=True))
    assert (result.changed, result.probability, result.cells) == (False, 0.1, ())
    assert result.heat.max() == round(0.9 * 254)


@pytest.mark.parametrize("presence", [Presence(False, 0.1), Presence(False), Presence(True, 1.0)])
@pytest.mark.parametrize("size_px", [0, 10])
def test_outlines_tell_whether_a_tile_changed_whatever_the_presence_answer(presence, size_px):
    layer = blank()
    layer[50:60, 50 : 50 + size_px] = 0.9
    answers = [presence, Caption("there is no difference", False), outlines((ROAD, layer))]
    for shape in Geometry:
        result = tile_result(make_tile(WINDOW), answers, CellSettings(shape, heat=True))
        assert result.changed == (len(result.cells) > 0)
        assert result.probability == pytest.approx(0.9 if size_px else 0)
    outlined = tile_result(make_tile(WINDOW), answers, CellSettings())
    assert outlined.changed == (size_px > 0)
    # The caption that contradicts the outlines is dropped.
    assert outlined.caption == ("" if size_px else "there is no difference")


def test_presence_alone_is_the_heat_of_the_whole_core():
    result = tile_result(make_tile(WINDOW), [Presence(True, 0.3)], CellSettings(heat=True))
    assert (result.changed, result.probability, result.cells) == (True, 0.3, ())
    assert (result.heat == round(0.3 * 254)).all()
    plain = tile_result(make_tile(WINDOW), [Presence(True)], CellSettings(heat=True))
    assert plain.probability is None
    assert (plain.heat == 254).all()


def test_presence_without_probability_takes_it_from_the_locations():
    answers = [Presence(True), located(road={(1, 1): 0.7})]
    assert tile_result(make_tile(WINDOW), answers, CellSettings()).probability == 0.7


def test_words_alone_have_no_probability_and_no_heat():
    answers = [Caption("a house was built", True), Reply("yes")]
    result = tile_result(make_tile(WINDOW), answers, CellSettings(heat=True))
    assert (result.changed, result.probability, result.caption) == (True, None, "a house was built")
    assert (result.heat == 255).all()
    assert tile_result(make_tile(WINDOW), answers, CellSettings()).heat is None


def test_counts_follow_the_classes():
    answers = [Counts({"building": 3, "road": 0})]
    result = tile_result(make_tile(WINDOW), answers, CellSettings())
    assert (result.changed, dict(result.counts)) == (True, {"building": 3, "road": 0})
    roads = tile_result(make_tile(WINDOW), answers, CellSettings(classes=("road",)))
    assert (roads.changed, dict(roads.counts)) == (False, {"road": 0})


def test_a_dialogue_fills_in_what_was_not_asked_by_itself():
    dialogue = Dialogue(Presence(True, 0.8), Counts({"road": 1}), "a road was built")
    alone = tile_result(make_tile(WINDOW), [dialogue], CellSettings())
    assert (alone.changed, alone.probability) == (True, 0.8)
    assert (dict(alone.counts), alone.caption) == ({"road": 1}, "a road was built")
    answers = [dialogue, Presence(False, 0.2), Caption("nothing", False)]
    asked = tile_result(make_tile(WINDOW), answers, CellSettings())
    assert (asked.changed, asked.probability, asked.caption) == (False, 0.2, "nothing")


def test_answers_that_make_no_sense_are_recorded_and_are_not_no_change():
    answers = [Unparsed(Task.COUNT, "many", "no number"), Unparsed(Task.LOCATE, "?", "no cell")]
    result = tile_result(make_tile(WINDOW), [*answers, Presence(True)], CellSettings())
    assert result.unparsed == (Task.COUNT, Task.LOCATE)
    assert result.changed


def test_nothing_valid_has_no_probability():
    tile = make_tile(WINDOW, np.zeros((256, 256), bool))
    result = tile_result(tile, [outlines((ROAD, blank() + 0.9))], CellSettings(heat=True))
    assert (result.cells, result.probability) == ((), None)
    assert (result.heat == 255).all()
