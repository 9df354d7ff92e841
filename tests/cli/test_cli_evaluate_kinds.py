"""`geochg evaluate` on folders of georeferenced pairs with masks."""

import json

import pytest
import rasterio
from affine import Affine
from labelled_pairs import some_pairs
from masked_pairs import (
    damaged_pair,
    pair_on_two_grids,
    pair_with_nodata,
    pair_with_unknown,
    plain_pair,
    unchanged_pair,
)

from geochg.options import AnalyzeOptions

pytestmark = pytest.mark.usefixtures("marker_plugin")

MARKER = ("--model", "marker", "--tile-size", 128)


@pytest.fixture
def kinds(tmp_path):
    folder = tmp_path / "kinds"
    plain_pair(folder / "houses" / "plain")
    pair_with_nodata(folder / "houses" / "nodata")
    unchanged_pair(folder / "houses" / "unchanged")
    (folder / "houses" / "kind.json").write_text('{"classes": "building"}')
    pair_with_unknown(folder / "fields" / "unknown")
    pair_on_two_grids(folder / "fields" / "two_grids")
    damaged_pair(folder / "fields" / "damaged")
    return folder


def test_scores_of_each_kind_in_every_form(geochg, kinds, tmp_path):
    files = ("--markdown", tmp_path / "m.md", "-o", tmp_path / "s.json")
    code, out, errors = geochg("evaluate", kinds, *MARKER, *files, "--json")
    assert code == 0, errors
    assert "warning: fields/damaged is not scored: " in errors
    result = json.loads(out)
    assert json.loads((tmp_path / "s.json").read_text()) == result
    assert result["model"]["id"] == "marker"
    # Overlap and the rest are those of analyze.
    assert result["options"] == AnalyzeOptions(model="marker", tile_size_px=128).shaping()
    fields, houses = result["kinds"]
    assert (fields["kind"], houses["kind"]) == ("fields", "houses")
    assert (fields["classes"], houses["classes"]) == ([], ["building"])
    assert [pair["pair"] for pair in fields["pairs"]] == ["two_grids", "unknown"]
    assert [each["pair"] for each in fields["failed"]] == ["damaged"]
    assert "after.tif" in fields["failed"][0]["reason"]
    groups = {group["group"]: group for group in houses["groups"]}
    assert {name: group["pairs"] for name, group in groups.items()} == {
        "all pairs": 3,
        "changed pairs": 2,
        "unchanged pairs": 1,
    }
    model, differencing, everything = groups["all pairs"]["scores"]
    assert model["name"] == "the model"
    assert model["pixel_f1"] > differencing["pixel_f1"] > everything["pixel_f1"]
    assert everything["false_area"] == 1
    low, high = model["intervals"]["pixel_f1"]
    assert low <= model["pixel_f1"] <= high

    report = (tmp_path / "m.md").read_text()
    assert "# Scores of `marker`" in report
    assert "## houses" in report
    assert "|  | AUROC | cell F1 | pixel F1 | false area |" in report
    assert f"| the model | {model['cell_auroc']:.3f}" in report
    assert "damaged is not scored" in report


def test_scores_of_one_kind_in_words(geochg, kinds):
    code, out, errors = geochg("evaluate", kinds / "houses", *MARKER)
    assert code == 0, errors
    lines = out.splitlines()
    assert lines[0] == "marker"
    assert lines[2].startswith("houses: 3 pairs, 24 cells, ")
    assert lines[4].split() == ["AUROC", "cell", "F1", "pixel", "F1", "false", "area"]
    assert [line.split("  ")[1] for line in lines[5:8]] == [
        "the model",
        "differencing",
        "all changed",
    ]


def test_classes_and_options_of_a_file_go_to_analyze(geochg, kinds, tmp_path):
    plain_pair(tmp_path / "alone" / "p")
    file = tmp_path / "o.toml"
    AnalyzeOptions(model="marker", tile_size_px=128, min_area_m2=1e5).to_toml(file)
    features = {}
    for name, given in {
        "all": MARKER,
        "none": (*MARKER, "--classes", "road"),
        "large": ("--options", file),
    }.items():
        code, out, errors = geochg("evaluate", tmp_path / "alone", *given, "--json")
        assert code == 0, errors
        features[name] = json.loads(out)["kinds"][0]["pairs"][0]["features"]
    assert features == {"all": 3, "none": 0, "large": 1}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--model", "nosuch"), "there is no model 'nosuch'"),
        (("--classes", "castle"), "knows no class 'castle'"),
        (("--fit-threshold",), "--fit-threshold does not go with a folder of kinds"),
        (("--predictions", "p.jsonl"), "--predictions does not go with a folder of kinds"),
        (("--resume",), "--resume does not go with a folder of kinds"),
        (("--bert", "b"), "--bert does not go with a folder of kinds"),
        (("-o", "s.txt"), "known suffixes: .json"),
        (("-o", "none/s.json"), "does not exist"),
        (("--overlap", "256"), "overlap 256 px"),
    ],
)
def test_options_that_make_no_sense(geochg, tmp_path, arguments, names):
    plain_pair(tmp_path / "kind" / "p")
    there = sorted(tmp_path.rglob("*"))
    code, out, errors = geochg("evaluate", tmp_path / "kind", *MARKER, *arguments)
    assert (code, out) == (2, "")
    assert names in errors
    assert sorted(tmp_path.rglob("*")) == there


def test_other_sources_take_no_options_of_kinds(geochg, tmp_path):
    pairs = some_pairs(tmp_path / "pairs", 4)
    code, _, errors = geochg("evaluate", pairs, "--model", "marker", "--classes", "building")
    assert code == 2
    assert "--classes does not go with other sources than kinds" in errors
    code, out, errors = geochg(
        "evaluate", pairs, "--model", "marker", "--json", "-o", tmp_path / "s.json"
    )
    assert code == 0, errors
    assert json.loads((tmp_path / "s.json").read_text()) == json.loads(out)


# --- exchange, groups, histogram -----------------------------------------------------------------


@pytest.fixture
def alike(tmp_path):
    """A kind of four pairs of one size, at different places of the earth."""
    folder = tmp_path / "alike"
    for number in range(3):
        plain_pair(folder / f"p{number}", number)
    unchanged_pair(folder / "quiet")
    for number, path in enumerate(sorted(folder.iterdir())):
        for name in ("before.tif", "after.tif", "mask.tif"):
            with rasterio.open(path / name, "r+") as dataset:
                dataset.transform = Affine.translation(5000 * number, 0) * dataset.transform
    return folder


def kind_of(geochg, *arguments):
    code, out, errors = geochg("evaluate", *arguments, *MARKER, "--json")
    assert code == 0, errors
    (kind,) = json.loads(out)["kinds"]
    return kind


def test_exchanged_images_of_a_kind_are_called_changed(geochg, alike):
    exchange = kind_of(geochg, alike, "--exchange")["exchange"]
    assert exchange["exchanged_called_changed"] > 0.9
    assert (exchange["left_out"], exchange["unanswered"]) == (0, 0)
    shares = {n: s["called_changed"] for n, s in exchange["as_they_are"].items()}
    assert shares["unchanged_pairs"] < 0.3 < 0.9 < shares["changed_pairs"]
    blind = kind_of(geochg, alike, "--exchange", "--model-option", "blind=true")["exchange"]
    as_they_are = blind["as_they_are"].values()
    cells = sum(s["items"] for s in as_they_are)
    called = sum(s["items"] * s["called_changed"] for s in as_they_are) / cells
    assert blind["exchanged_called_changed"] == pytest.approx(called)
    words = geochg("evaluate", alike, *MARKER, "--exchange")[1]
    assert "alike, exchange: 32 cells with the after image of another pair" in words


def test_groups_and_heat_of_a_kind(geochg, refused, alike, tmp_path):
    table = tmp_path / "columns.csv"
    table.write_text("pair,sensor\nalike/p0,x\nalike/p1,x\np2,y\nquiet,y\n")
    kind = kind_of(geochg, alike, "--by", "sensor", "--by-file", table)
    assert [(g["group"], g["items"]) for g in kind["by"]["sensor"]] == [("x", 2), ("y", 2)]
    model = kind["by"]["sensor"][0]["scores"][0]
    assert model["name"] == "the model"
    assert model["pixel_f1"] > 0.9
    assert all(group["is_small"] for group in kind["by"]["sensor"])
    histogram = kind["histogram"]
    assert sum(histogram["changed"]) + sum(histogram["unchanged"]) == 32
    words = geochg("evaluate", alike, *MARKER, "--by", "sensor", "--by-file", table)[1]
    assert "alike by sensor: 2 groups" in words
    assert "mean heat of cells (32)" in words
    given = ("evaluate", alike, *MARKER, "--by", "place")
    refused(*given, names="there is no column 'place' to score by")
    refused(*given, "--by-file", table, names="there is no column 'place' to score by")
    table.write_text("pair,sensor\np0,x\n")
    given = ("--by", "sensor", "--by-file", table)
    refused("evaluate", alike, *MARKER, *given, names="has no row for the pair 'p1'")
    refused("evaluate", alike, *MARKER, "--agreement", names="--agreement does not go with")


def test_a_kind_of_one_pair_cannot_be_exchanged(geochg, tmp_path):
    plain_pair(tmp_path / "kind" / "one")
    code, _, errors = geochg("evaluate", tmp_path / "kind", *MARKER, "--exchange")
    assert code == 2
    assert "there is one pair only" in errors
