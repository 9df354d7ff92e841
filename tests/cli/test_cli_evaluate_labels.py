"""`geochg evaluate --labels` on drawn pictures, with a model that tells truly what they show."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from geochg.errors import GeochgError
from geochg_cli.group import geochg as command

pytestmark = pytest.mark.usefixtures("marker_plugin")
MARKS = {"building": 200, "water": 50, "solar panels": 230}


def run(*arguments):
    words = ["evaluate", *map(str, arguments), "--model", "scene_marker"]
    return CliRunner().invoke(command, words)


def refusal(result):
    assert isinstance(result.exception, GeochgError), result.output
    assert result.exception.exit_code == 2
    return result.exception


def draw(path, *labels, side_px=32):
    """A picture that shows some labels, each in a square of its own."""
    path.parent.mkdir(exist_ok=True)
    pixels = np.full((side_px, side_px, 3), 90, np.uint8)
    for number, label in enumerate(labels):
        pixels[2 + 8 * number : 6 + 8 * number, 2:6] = MARKS[label]
    Image.fromarray(pixels).save(path)


@pytest.fixture
def table(tmp_path):
    """Four pictures of two sizes; the truth of the last is wrong by one label of two."""
    draw(tmp_path / "a.png", "building")
    draw(tmp_path / "b.png", "building", "water")
    draw(tmp_path / "c.png", side_px=48)
    draw(tmp_path / "d.png", "water")
    file = tmp_path / "truth.csv"
    rows = ["image,labels", "a.png,building", "b.png,water; Buildings", "c.png,", "d.png,building"]
    file.write_text("\n".join(rows))
    return file


LABELS = "building,water,solar panels"


def test_labels_are_scored_beside_baselines(table):
    result = run(table, "--labels", LABELS, "--json")
    assert result.exit_code == 0, result.exception
    facts = json.loads(result.stdout)
    scores = facts["scores"]
    assert facts["items"] == 4
    assert scores["set_accuracy"] == 0.75
    by_name = {label["name"]: label for label in scores["labels"]}
    assert by_name["building"]["precision"] == 1
    assert by_name["building"]["recall"] == pytest.approx(2 / 3)
    assert by_name["water"]["precision"] == 0.5
    assert by_name["solar panels"]["f1"] is None
    assert scores["micro"]["f1"] == pytest.approx(2 * 3 / (4 + 4))
    # Both pictures with water, one of them truly, are as likely.
    assert by_name["water"]["average_precision"] == 0.5
    # Two of three pictures with buildings come first; the third comes with all others.
    assert by_name["building"]["average_precision"] == pytest.approx(2 / 3 + 1 / 3 * 3 / 4)
    assert scores["mean_average_precision"] == pytest.approx((0.5 + 2 / 3 + 1 / 4) / 2)
    assert scores["confusion"][1] == [[2, 1], [0, 1]]
    assert facts["baselines"]["every label"]["micro"]["recall"] == 1
    assert facts["top_1"] is None


def test_tables_stand_in_words_and_in_markdown(table, tmp_path):
    markdown, output = tmp_path / "labels.md", tmp_path / "labels.json"
    result = run(table, "--labels", LABELS, "--markdown", markdown, "-o", output)
    assert result.exit_code == 0, result.exception
    assert "whole sets right" in result.output
    assert "the commonest label" in result.output
    text = markdown.read_text()
    assert "| water | 50.00 | 100.00 | 66.67 | 50.00 |" in text
    assert "answered only" in text
    assert json.loads(output.read_text())["labels"] == LABELS.split(",")
    # A file of geochg's own is replaced.
    assert run(table, "--labels", LABELS, "--markdown", markdown).exit_code == 0


def test_folders_of_one_label_have_a_confusion_of_classes(tmp_path):
    (tmp_path / "set").mkdir()
    draw(tmp_path / "set" / "building" / "a.png", "building")
    draw(tmp_path / "set" / "building" / "b.png", "water")
    draw(tmp_path / "set" / "water" / "c.png", "water")
    result = run(tmp_path / "set", "--labels", "building,water", "--json")
    facts = json.loads(result.stdout)
    assert facts["top_1"] == {"accuracy": pytest.approx(2 / 3), "confusion": [[1, 1], [0, 1]]}
    assert "likeliest by column" in run(tmp_path / "set", "--labels", "building,water").output


def test_merged_labels_are_one(tmp_path):
    draw(tmp_path / "a.png", "building")
    text = "image,labels\na.png,dense_residential|medium residential\n"
    (tmp_path / "labels.csv").write_text(text)
    facts = json.loads(run(tmp_path, "--labels", "merged", "--json").stdout)
    by_name = {label["name"]: label["items"] for label in facts["scores"]["labels"]}
    assert by_name["residential"] == 1
    assert len(by_name) == 37


def test_labels_that_the_list_has_not_are_refused_or_left_out(table):
    short = ("--labels", "water,solar panels")
    error = refusal(run(table, *short))
    assert "'building'" in error.message
    assert "line 2" in error.message
    result = run(table, *short, "--skip-unknown-labels", "--json")
    assert json.loads(result.stdout)["images"] == {"scored": 1, "left_out": 3}


def test_answers_without_sense_count_as_wrong_and_failed_images_are_told(table):
    senseless = ("--model-option", 'senseless=["water"]')
    facts = json.loads(run(table, "--labels", LABELS, *senseless, "--json").stdout)
    assert facts["unparsed"] == 4
    assert facts["scores"]["set_accuracy"] == 0
    assert facts["scores"]["mean_average_precision"] is None
    fails = ("--model-option", "fail_tiles=[0]", "--batch-size", 4)
    facts = json.loads(run(table, "--labels", LABELS, *fails, "--json").stdout)
    assert list(facts["failed"].values()) == ["told to fail"]
    assert facts["items"] == 3


def test_other_options_and_models_are_refused(table):
    assert "--agreement" in refusal(run(table, "--labels", LABELS, "--agreement")).message
    assert "--skip-unknown-labels" in refusal(run(table, "--skip-unknown-labels")).message
    words = ["evaluate", str(table), "--labels", LABELS, "--model", "cva"]
    assert "cannot tell of one" in refusal(CliRunner().invoke(command, words)).message


@pytest.mark.parametrize(
    ("text", "reason"),
    [("image,label\na.png,water\n", "'labels'"), ("image,labels\nz.png,water\n", "no file")],
)
def test_tables_that_make_no_sense_are_refused(table, text, reason):
    table.write_text(text)
    assert reason in refusal(run(table, "--labels", LABELS)).message


def test_an_empty_folder_is_refused(tmp_path):
    assert "no labelled image" in refusal(run(tmp_path, "--labels", LABELS)).message
