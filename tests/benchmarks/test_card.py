"""The tables of a model card, and where they are written."""

import json
import re
from pathlib import Path

import card_blocks
import finer
import kind_tables
import pytest
from card import table
from masked_pairs import some_kind

from geochg import AnalyzeOptions
from geochg.datasets.kinds import Kind, kinds_of
from geochg.evaluation.kind_scores import kinds_report
from geochg.evaluation.map_measures import PixelCounts

CALIBRATION = {
    "intercept": 0.25,
    "of_typical": -0.1,
    "of_resolution": 0.2,
    "building": 1.5,
    "hysteresis": 0.75,
}


def write_card(folder, text, calibration=CALIBRATION):
    config = {"dense_config": {"calibration": calibration}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text(text, encoding="utf-8")
    return folder / "README.md"


@pytest.mark.parametrize(
    ("calibration", "said"),
    [
        (CALIBRATION, "reaches 0.25 -0.10 times"),
        (CALIBRATION, "or 0.75 less where it joins"),
        (None, "not calibrated"),
    ],
)
def test_only_the_marked_blocks_of_a_card_are_written(tmp_path, calibration, said):
    text = "a <!-- settings -->old<!-- /settings --> b\n<!-- scores -->\nold\n<!-- /scores -->\nc\n"
    card = write_card(tmp_path, text, calibration)
    for scores in ("first", "second"):
        card_blocks.check(card)
        card_blocks.fill(card, scores)
    written = card.read_text(encoding="utf-8")
    assert said in written
    assert written.startswith("a <!-- settings -->")
    assert written.endswith("\n<!-- scores -->\nsecond\n<!-- /scores -->\nc\n")
    assert "old" not in written
    assert "first" not in written


@pytest.mark.parametrize("text", ["<!-- scores --><!-- /scores -->", "<!-- settings -->", ""])
def test_a_card_without_the_blocks_is_refused_before_anything_is_measured(tmp_path, text):
    with pytest.raises(SystemExit, match="no block"):
        card_blocks.check(write_card(tmp_path, text))


def test_a_table_has_a_ruler_of_its_width():
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("model", "classes", "kept"),
    [
        ("builtin", ("building",), ("building",)),
        ("irmad", ("building",), ()),
        ("irmad", ("water",), ("water",)),
    ],
)
def test_a_model_is_asked_for_classes_that_it_tells(monkeypatch, model, classes, kept):
    asked = []
    monkeypatch.setattr(
        kind_tables, "kinds_report", lambda kinds, options, say: asked.extend(kinds)
    )
    kind_tables.reports([Kind("houses", classes, ())], [model], print)
    assert asked[0].classes == kept


@pytest.mark.usefixtures("marker_plugin")
def test_each_kind_has_its_models_and_then_what_needs_none(tmp_path):
    kinds = kinds_of(some_kind(tmp_path / "planted"))
    report = kinds_report(kinds, AnalyzeOptions(model="marker", tile_size_px=128))
    rows = list(kind_tables.rows(["marker", "another"], [report, report]))
    assert [row[2] for row in rows] == ["marker", "another", "differencing", "all changed"]
    assert [row[0] for row in rows] == ["planted", "", "", ""]
    assert rows[0][3:] == rows[1][3:] == tuple(report.kinds[0].tables[0].cells()[1][1:])
    assert {len(row) for row in rows} == {len(kind_tables.HEAD)}
    counted = sum(int(row[1]) for row in kind_tables.confidence_rows(report))
    assert counted == sum(len(pair.scored_features.right) for pair in report.kinds[0].pairs) > 0
    (by_kind,) = kind_tables.confidence_by_kind(report)
    right = [right for pair in report.kinds[0].pairs for right in pair.scored_features.right]
    assert by_kind[1] == str(counted)
    assert float(by_kind[3]) == pytest.approx(sum(right) / counted, abs=0.006)


def test_figures_of_a_map_are_those_of_its_pixels():
    assert finer.figures(PixelCounts(changed=40, unchanged=100, hits=30, alarms=20)) == (
        *("0.500", "0.667"),
        *("0.600", "0.750"),
    )
    assert finer.figures(PixelCounts(changed=0, unchanged=9, hits=0, alarms=0)) == ("-",) * 4


def test_the_card_of_the_built_in_model_says_what_it_is_set_to():
    card = Path(__file__).parents[2] / "geochg" / "models" / "builtin" / "README.md"
    text = card.read_text("utf-8")
    dense = json.loads(card.with_name("config.json").read_text("utf-8"))["dense_config"]
    assert card_blocks._cuts(dense["calibration"]) in text
    assert not re.findall(r"\b[A-Z]{2,}_[A-Z]{2,}\b", text)
