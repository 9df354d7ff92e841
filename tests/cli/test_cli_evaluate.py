"""`geochg evaluate` from end to end, on folders made here."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import rasterio
from clip_factory import save, tiny_clip
from labelled_pairs import blocks, some_pairs, write_pair
from PIL import Image

from geochg.evaluation.predictions import Predictions
from geochg.evaluation.presence import fit_groups

pytestmark = pytest.mark.usefixtures("marker_plugin")

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
MARKER = ("--model", "marker", "--tile-size", 64)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return f"clip:{save(tiny_clip(), tmp_path_factory.mktemp('clip'))}"


@pytest.fixture
def pairs(tmp_path):
    return some_pairs(tmp_path / "pairs")


def told(geochg, *arguments):
    code, out, errors = geochg("evaluate", *arguments, "--json")
    assert code == 0, errors
    return json.loads(out)


# --- scores --------------------------------------------------------------------------------------


def test_answers_are_scored_beside_those_that_need_no_model(geochg, pairs):
    # Differs by 5 at least, which is below what the model notices: it is right everywhere.
    result = told(geochg, pairs, *MARKER)
    assert result["model"]["id"] == "marker"
    assert result["options"] == {"tile_size_px": 64, "overlap_px": 0, "changed_share": 0.0}
    scores = result["presence"]["scores"]
    assert scores["the_model"]["accuracy"] == scores["the_model"]["auroc"] == 1
    assert scores["all_changed"]["balanced_accuracy"] == 0.5
    assert scores["no_change"]["recall"] == 0
    assert scores["differencing"]["auroc"] == 1
    assert result["presence"]["items"] == {"changed": 6, "unchanged": 6, "unanswered": 0}


def test_a_table_of_scores_in_words(geochg, pairs):
    code, out, _ = geochg("evaluate", pairs, *MARKER)
    assert code == 0
    lines = out.splitlines()
    assert lines[:2] == ["marker", "12 scored: 6 changed, 6 unchanged"]
    assert lines[2].split() == [
        *("accuracy", "precision", "recall", "specificity", "f1", "balanced", "accuracy", "AUROC")
    ]
    assert lines[3].split() == ["the", "model", *["1.000"] * 7]
    assert lines[5].split()[:4] == ["no", "change", "0.500", "-"]


def test_large_pictures_are_cut_and_labelled_by_tile(geochg, tmp_path):
    before = blocks(1, 128)
    after, mask = before.copy(), np.zeros((128, 128), np.uint8)
    after[70:80, 70:80] ^= 128
    mask[70:80, 70:80] = 255
    write_pair(tmp_path / "pairs", "a", before, after, mask)
    kept = tmp_path / "p.jsonl"
    result = told(geochg, tmp_path / "pairs", *MARKER, "--predictions", kept)
    assert result["presence"]["items"] == {"changed": 1, "unchanged": 3, "unanswered": 0}
    assert result["presence"]["scores"]["the_model"]["accuracy"] == 1
    said = Predictions.read(kept).rows
    assert {r.group for r in said} == {"a"}
    assert {r.item: (r.changed, r.answer) for r in said} == {
        "a/r0c0": (False, False),
        "a/r0c1": (False, False),
        "a/r1c0": (False, False),
        "a/r1c1": (True, True),
    }
    # A hundred of 4,096 pixels: 2.4 %.
    shares = {"0.02": 1, "0.03": 0}
    for share, changed in shares.items():
        again = told(geochg, tmp_path / "pairs", *MARKER, "--changed-share", share)
        assert again["presence"]["items"]["changed"] == changed


def test_small_pictures_are_padded_and_the_padding_is_no_change(geochg, tmp_path):
    some_pairs(tmp_path / "pairs", 4, size_px=40)
    result = told(geochg, tmp_path / "pairs", *MARKER)
    assert result["presence"]["scores"]["the_model"]["accuracy"] == 1


def test_a_table_of_pairs_is_scored_as_whole_pictures(geochg, tmp_path):
    changed = blocks(1, 128)
    changed[70:80, 70:80] ^= 128
    for name, pixels in (("a", blocks(1, 128)), ("b", changed), ("c", blocks(1, 128))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    table = tmp_path / "pairs.csv"
    table.write_text("before,after,changed\na.png,b.png,1\na.png,c.png,0\n")
    result = told(geochg, table, *MARKER)
    assert result["presence"]["items"] == {"changed": 1, "unchanged": 1, "unanswered": 0}
    assert result["presence"]["scores"]["the_model"]["accuracy"] == 1


def test_tiles_without_an_answer_are_told(geochg, pairs):
    given = (*MARKER, "--model-option", "fail_tiles=[0, 3]")
    result = told(geochg, pairs, *given)
    assert result["presence"]["items"] == {"changed": 5, "unchanged": 5, "unanswered": 2}
    assert "2 without an answer" in geochg("evaluate", pairs, *given)[1]
    code, _, errors = geochg("evaluate", pairs, *MARKER, "--model-option", "nonsense=true")
    assert code == 1
    assert "no answer about any of 12 pairs" in errors


# --- the threshold -------------------------------------------------------------------------------


def test_a_fitted_threshold_gives_the_same_answers_when_it_is_used(geochg, clip, tmp_path):
    pairs = some_pairs(tmp_path / "pairs", 24)
    kept, saved = tmp_path / "p.jsonl", tmp_path / "fitted.toml"
    asked = (pairs, "--model", clip, "--tile-size", 64)
    fitting = ("--fit-threshold", "--predictions", kept, "--save-options", saved)
    result = told(geochg, *asked, *fitting)
    fit = result["presence"]["fit"]
    assert set(fit["options"]) == {"presence_threshold"}
    assert fit["items"] == 12
    assert result["presence"]["items"] == {"changed": 6, "unchanged": 6, "unanswered": 0}
    # Another scene against a little more light: the threshold tells them apart.
    assert result["presence"]["scores"]["the_model"]["balanced_accuracy"] > 0.8

    option = f"presence_threshold={fit['options']['presence_threshold']!r}"
    again = tmp_path / "again.jsonl"
    told(geochg, *asked, "--model-option", option, "--predictions", again)
    said = Predictions.read(kept)
    held_out = {r.item for r in said.rows} - fit_groups(said.rows, 0.5, 0)
    rows = {r.item: r for r in Predictions.read(again).rows}
    for row in said.rows:
        assert rows[row.item].answer is (row.probability > fit["probability"] and row.answer)
    right = sum(rows[item].answer is rows[item].changed for item in held_out)
    assert result["presence"]["scores"]["the_model"]["accuracy"] == right / len(held_out)

    words = geochg("evaluate", *asked, "--fit-threshold")[1].splitlines()
    assert words[-1] == f"--model-option {option}"
    assert "12 scored: 6 changed, 6 unchanged, held out; 12 others to fit on" in words
    options = tomllib.loads(saved.read_text())
    assert options["model"] == clip
    assert options["model_options"] == {"presence_threshold": fit["options"]["presence_threshold"]}
    assert (options["tile_size_px"], options["overlap_px"]) == (64, 8)


def test_saved_options_are_read_by_analyze(geochg, clip, tmp_path, make_raster):
    pairs, saved = some_pairs(tmp_path / "pairs", 16), tmp_path / "fitted.toml"
    told(
        geochg,
        pairs,
        "--model",
        clip,
        "--tile-size",
        64,
        "--fit-threshold",
        *("--save-options",),
        saved,
    )
    rasters = [
        make_raster(f"{name}.tif", np.moveaxis(blocks(seed, 128, 8), -1, 0))
        for seed, name in ((3, "before"), (4, "after"))
    ]
    layer, options = tmp_path / "c.geojson", ("--options", saved, "--align", "off")
    code, out, errors = geochg("analyze", *rasters, *options, "-o", layer, "--json")
    assert code == 0, errors
    tiles = json.loads(out)["geochg"]["tiles"]
    assert tiles["total"] == 9
    assert tiles["changed"] > 4
    features = json.loads(layer.read_text())["features"]
    assert features
    # Tiles are shared by several features, so the model's sentence on a tile is about none of them.
    said = {f["properties"]["caption"]: f["properties"]["class"] for f in features}
    assert len(said) == len(features)
    for caption, name in said.items():
        words = ("road", "paved") if name == "road" else (name,)
        assert any(word in caption.lower() for word in words), (name, caption)


def test_the_default_model_is_fitted_too(geochg, tmp_path):
    with (
        rasterio.open(EXAMPLES / "dubai_2015.tif") as one,
        rasterio.open(EXAMPLES / "dubai_2018.tif") as two,
    ):
        before, after = (
            (np.moveaxis(each.read([1, 2, 3]), 0, -1) // 16).clip(0, 255).astype(np.uint8)
            for each in (one, two)
        )
    for number in range(12):
        row, col = (192 * place for place in divmod(number, 3))
        part = np.s_[row : row + 192, col : col + 192]
        changed = number % 2 == 1
        mask = np.full((192, 192), 255 * changed, np.uint8)
        later = after if changed else before
        write_pair(tmp_path / "pairs", f"{number:02d}", before[part], later[part], mask)
    asked = (tmp_path / "pairs", "--tile-size", 192)
    result = told(geochg, *asked, "--fit-threshold")
    assert result["presence"]["scores"]["the_model"]["auroc"] == 1
    ((name, threshold),) = result["presence"]["fit"]["options"].items()
    assert name == "threshold"
    for value, fewer in ((threshold, True), (1.0, False)):
        again = told(geochg, *asked, "--model-option", f"{name}={value!r}")
        assert bool(again["presence"]["scores"]["the_model"]["true_positives"]) is fewer


def test_a_model_without_an_option_is_fitted_and_told_so(geochg, pairs, refused, tmp_path):
    out = geochg("evaluate", pairs, *MARKER, "--fit-threshold")[1]
    assert "changed above a probability of 0.45; marker has no option for it" in out
    fitted = ("--fit-threshold", "--save-options", tmp_path / "f.toml")
    refused("evaluate", pairs, *MARKER, *fitted, names="marker has no option for its threshold")


# --- predictions ---------------------------------------------------------------------------------


def test_scoring_repeats_without_the_model(geochg, pairs, tmp_path):
    kept = tmp_path / "p.jsonl"
    first = told(geochg, pairs, *MARKER, "--predictions", kept)
    for path in pairs.rglob("*.png"):
        path.unlink()
    again = told(geochg, "--from-predictions", kept)
    assert again == first
    assert "fit" in told(geochg, "--from-predictions", kept, "--fit-threshold")["presence"]


def test_a_fit_repeats_without_the_model(geochg, clip, pairs, tmp_path):
    kept = tmp_path / "p.jsonl"
    asked = ("--model", clip, "--tile-size", 64, "--predictions", kept)
    first = told(geochg, pairs, *asked, "--fit-threshold")
    assert told(geochg, "--from-predictions", kept, "--fit-threshold") == first
    other = told(geochg, "--from-predictions", kept, "--fit-threshold", "--seed", 5)
    assert other["options"]["seed"] == 5


def test_what_was_asked_is_kept_when_there_is_nothing_to_fit(geochg, tmp_path):
    mask = np.full((64, 64), 255, np.uint8)
    for number in range(4):
        write_pair(tmp_path / "pairs", str(number), blocks(number), blocks(number + 9), mask)
    kept = tmp_path / "p.jsonl"
    asked = (*MARKER, "--fit-threshold", "--predictions", kept)
    code, _, errors = geochg("evaluate", tmp_path / "pairs", *asked)
    assert code == 2
    assert "no unchanged pair to fit" in errors
    assert len(Predictions.read(kept).rows) == 4


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--model", "irmad"), "irmad learns from the pair"),
        (("--model", "nosuch"), "there is no model 'nosuch'"),
        (("--model-option", "nosuch=1"), "unknown option 'nosuch'"),
        (("--model-option", "nosuch"), "has no value"),
        (("--tile-size", "0"), "tile size 0"),
        (("--overlap", "64"), "overlap 64"),
        (("--changed-share", "1"), "changed share 1"),
        (("--fit-threshold", "--fit-share", "1"), "fit share 1"),
        (("--fit-threshold", "--seed", "-1"), "seed -1"),
        (("--batch-size", "0"), "batch size 0"),
        (("--fit-share", "0.3"), "--fit-share does not go with scoring alone"),
        (("--save-options", "f.toml"), "--save-options does not go with scoring alone"),
        (("--predictions", "p.txt"), "known suffixes: .jsonl"),
        (("--predictions", "none/p.jsonl"), "does not exist"),
    ],
)
def test_options_that_make_no_sense(refused, pairs, arguments, names):
    refused("evaluate", pairs, *MARKER, *arguments, names=names)


def test_pairs_or_predictions_and_not_both(geochg, pairs, refused, tmp_path):
    for arguments in ([], [pairs, "--from-predictions", "p.jsonl"]):
        code, _, errors = geochg("evaluate", *arguments)
        assert code == 2
        assert "name SOURCE, or --from-predictions" in errors
    kept = tmp_path / "p.jsonl"
    told(geochg, pairs, *MARKER, "--predictions", kept)
    given = ("--from-predictions", kept, "--model", "marker")
    refused("evaluate", *given, names="--model does not go with --from-predictions")
    refused(
        "evaluate", "--from-predictions", tmp_path / "none", names="cannot read the predictions"
    )
    refused("evaluate", tmp_path / "none", names="no folder or file")


def test_a_damaged_picture_leaves_no_predictions(refused, pairs, tmp_path):
    (pairs / "B" / "p07.png").write_text("none")
    given = (*MARKER, "--predictions", tmp_path / "p.jsonl")
    refused("evaluate", pairs, *given, names="p07.png cannot be read as a picture")


def test_an_interruption_leaves_nothing(geochg, pairs, tmp_path, monkeypatch):
    def interrupted(files):
        raise KeyboardInterrupt

    monkeypatch.setattr("geochg.evaluation.collect_presence.read_pair", interrupted)
    there = sorted(tmp_path.rglob("*"))
    asked = (*MARKER, "--predictions", tmp_path / "p.jsonl")
    assert geochg("evaluate", pairs, *asked)[0] == 130
    assert sorted(tmp_path.rglob("*")) == there
