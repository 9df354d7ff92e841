"""Which labels a tile gained and lost, and the map of that."""

import json

import numpy as np
import pytest
from vlm_factory import save_vlm

import geochg
from geochg.errors import InputError, ModelError, OptionError
from geochg.models.labels.moves import LabelMove, LabelMoves
from geochg.models.registry import load_model
from geochg.pipeline.outputs import Outputs
from geochg.records import (
    GRID_CELLS,
    Caption,
    Change,
    Label,
    Locations,
    Presence,
    SceneAnswers,
    Task,
    Unparsed,
)
from geochg.tasks import ask

pytestmark = pytest.mark.usefixtures("marker_plugin")
MAPPED = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.CAPTION)]


def moves(before, after, threshold=0.25):
    dates = (SceneAnswers({"lake": before}), SceneAnswers({"lake": after}))
    return LabelMoves.of(*dates, threshold)


def test_a_label_at_one_date_only_is_a_change():
    gained = moves(Label(False, 0.1), Label(True, 0.9))
    assert gained.moves == (LabelMove("lake", Change.APPEARED, 0.81),)
    lost = moves(Label(True, 0.9), Label(False, 0.3))
    assert lost.moves == (LabelMove("lake", Change.DISAPPEARED, 0.63),)
    presence, locations, caption = (lost.answer(question) for question in MAPPED)
    assert presence == Presence(True, 0.63)
    assert locations == Locations(
        {"lake": dict.fromkeys(GRID_CELLS, 0.63)}, {"lake": Change.DISAPPEARED}
    )
    assert caption == Caption("Gone: lake.", changed=True)


def test_a_label_at_both_dates_or_none_is_no_change():
    for is_there in (True, False):
        same = moves(Label(is_there, 0.6), Label(is_there, 0.7))
        presence, locations, caption = (same.answer(question) for question in MAPPED)
        assert not presence.changed
        assert presence.probability <= 0.25
        assert locations == Locations({})
        assert not caption.changed


def test_unlikely_moves_are_held_back_by_the_threshold():
    barely = (Label(False, 0.45), Label(True, 0.55))
    assert moves(*barely).moves[0].probability == pytest.approx(0.3025)
    held_back = moves(*barely, threshold=0.5)
    assert held_back.answer(MAPPED[0]) == Presence(False, pytest.approx(0.3025))


def test_labels_without_probabilities_give_none():
    told = moves(Label(False), Label(True))
    assert told.answer(MAPPED[0]) == Presence(True, None)
    assert moves(Label(True), Label(True)).answer(MAPPED[0]) == Presence(False, None)


def test_an_answer_without_sense_is_no_absence_of_change():
    unknown = moves(Label(None), Label(True, 0.9))
    assert all(isinstance(unknown.answer(question), Unparsed) for question in MAPPED)
    before = SceneAnswers({"lake": Label(None), "port": Label(False, 0.0)})
    after = SceneAnswers({"lake": Label(True, 0.9), "port": Label(True, 1.0)})
    assert LabelMoves.of(before, after, 0.25).answer(MAPPED[0]) == Presence(True, 1.0)


def options(**changes):
    settings = {
        "model": "labels:scene_marker",
        "tile_size_px": 60,
        "overlap_px": 0,
        "align": "off",
        "classes": ["building", "water", "solar panels"],
    }
    return geochg.AnalyzeOptions.from_dict(settings | changes)


@pytest.fixture
def pair(make_raster):
    """Water goes in two tiles, panels come in one, a building stays and another comes beside it."""
    before = np.full((3, 120, 180), 90, np.uint8)
    after = before.copy()
    before[:, 60:, :120] = 50
    before[:, 5:15, 5:15] = after[:, 5:15, 5:15] = 200
    after[:, 30:40, 30:40] = 200
    after[:, 62:76, 122:136] = 230
    return make_raster("before.tif", before), make_raster("after.tif", after)


def test_gained_and_lost_labels_are_a_map_of_changes(pair, tmp_path):
    outputs = Outputs(tmp_path / "changes.geojson")
    result = geochg.analyze(*pair, options(), outputs=outputs)
    told = {(row["class"], row.change): row for _, row in result.features.iterrows()}
    # That another building came does not move the label of the tile.
    assert set(told) == {("water", "disappeared"), ("solar panels", "appeared")}
    water = told["water", "disappeared"]
    assert water.tiles == ["r1c0", "r1c1"]
    assert water.confidence == pytest.approx(0.9 * 0.95)
    assert water.caption == "Gone: water."
    facts = json.loads(outputs.features.read_text())["geochg"]
    assert facts["model"]["id"] == "labels:scene_marker"
    assert set(facts["colors"]) == {"building", "water", "solar panels"}
    assert "{things}" in facts["questions"]["locate"]


def test_smaller_tiles_find_the_place(pair):
    result = geochg.analyze(*pair, options(tile_size_px=20))
    (panels,) = [row for _, row in result.features.iterrows() if row["class"] == "solar panels"]
    assert panels.area_m2 == pytest.approx(20 * 20 * 100, rel=0.01)


def test_without_words_of_ones_own_the_classes_of_geochg_are_asked_about(pair):
    model = load_model("labels:scene_marker")
    assert "water" in model.capabilities.classes
    result = geochg.analyze(*pair, options(classes=[]))
    assert set(result.features["class"]) == {"water"}


def test_the_run_is_another_with_other_labels(pair, tmp_path):
    first, second = (
        load_model("labels:scene_marker", {"class_list": {"classes": [{"name": name}]}}).identity
        for name in ("water", "forest")
    )
    assert first.checksum != second.checksum


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("labels", "needs a model"),
        ("labels:cva", "cannot tell of one"),
        ("labels:labels:scene_marker", "cannot tell of one"),
        ("labels:nobody", "no model 'nobody'"),
    ],
)
def test_models_that_do_not_tell_of_one_image_are_refused(reference, reason):
    with pytest.raises(ModelError, match=reason):
        load_model(reference)


def test_the_other_model_takes_its_own_options():
    load_model("labels:scene_marker", {"model_options": {"probability": 0.7}})
    with pytest.raises(OptionError):
        load_model("labels:scene_marker", {"model_options": {"colour": 1}})


def test_labels_by_a_tiny_model_of_a_real_class(tmp_path, pair):
    folder = save_vlm("llava", tmp_path / "vlm")
    settings = options(model=f"labels:vlm:{folder}", device="cpu", classes=["water"])
    model = geochg.load_configured_model(settings)
    result = geochg.analyze(*pair, settings, model=model)
    likely = [model.model.describe([tile], model._questions)[0][0] for tile in one_date_tiles(pair)]
    flips = [a.present != b.present for a, b in zip(likely[::2], likely[1::2], strict=True)]
    changed = result.metadata["tiles"]["changed"]
    assert changed == sum(flips)


def one_date_tiles(pair):
    from dataclasses import replace

    opened = geochg.open_pair(*pair, options())
    for tile in geochg.read_tiles(opened, options()):
        yield from (replace(tile, dates=(date,)) for date in tile.dates)


def test_a_label_file_with_unknown_keys_is_refused(pair, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('[[classes]]\nname = "lake"\nhue = 1\n')
    with pytest.raises(InputError, match="unknown key 'hue'"):
        geochg.analyze(*pair, options(classes=[], classes_file=str(file)))
