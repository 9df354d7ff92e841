"""`geochg describe`, and `geochg ask` about one image."""

import json
import re

import numpy as np
import pytest
from affine import Affine
from click.testing import CliRunner

from geochg.errors import GeochgError, InputError, OptionError
from geochg_cli.group import geochg as command

pytestmark = pytest.mark.usefixtures("marker_plugin")


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def image(make_raster):
    """Water on the left, one building on the right."""
    values = np.full((3, 64, 128), 90, np.uint8)
    values[:, :, :64] = 50
    values[:, 10:20, 100:110] = 200
    return make_raster("image.tif", values)


@pytest.fixture
def described(image, tmp_path):
    def describe(*more):
        tiles = ("--tile-size", 64, "--overlap", 0)
        model = ("--model", "scene_marker")
        return run("describe", image, "-o", tmp_path / "scene.geojson", *model, *tiles, *more)

    return describe


def refusal(result) -> GeochgError:
    assert isinstance(result.exception, GeochgError)
    assert result.exception.exit_code == 2
    assert "\n" not in result.exception.message
    return result.exception


def test_the_classes_of_geochg_are_the_usual_labels(described, tmp_path):
    result = described()
    assert result.exit_code == 0, result.exception
    assert "2 features" in result.output
    assert "water: tiles of" in result.output
    features = json.loads((tmp_path / "scene.geojson").read_text())["features"]
    assert [feature["properties"]["labels"] for feature in features] == [["water"], ["building"]]


def test_small_ground_is_told_as_what_it_is(make_raster, tmp_path):
    fine = Affine(1e-3, 0, 500_000, 0, -1e-3, 5_000_000)
    image = make_raster("small.tif", np.full((3, 64, 64), 50, np.uint8), transform=fine)
    asked = ("describe", image, "-o", tmp_path / "scene.geojson", "--model", "scene_marker")
    assert "water: tiles of 41 cm²" in run(*asked).output
    facts = json.loads(run(*asked, "--json").stdout)
    assert facts["labels_m2"]["water"] == pytest.approx(0.0041, rel=0.01)


@pytest.mark.parametrize("labels", ["solar panels, water", "FILE"])
def test_labels_are_named_or_stand_in_a_file(described, tmp_path, labels):
    if labels == "FILE":
        labels = tmp_path / "own.toml"
        labels.write_text('[[classes]]\nname = "solar panels"\n[[classes]]\nname = "water"\n')
    result = described("--labels", labels, "--json")
    assert result.exit_code == 0, result.exception
    facts = json.loads(result.stdout)
    assert facts["geochg"]["labels"] == ["solar panels", "water"]
    assert list(facts["labels_m2"]) == ["water"]
    assert facts["features"]["count"] == 2


def test_labels_that_mean_the_same_are_refused_by_their_option(described):
    message = refusal(described("--labels", "lake,Lakes")).message
    assert message == "--labels names 'lake' and 'Lakes', which mean the same"


@pytest.mark.parametrize("fault", [("--nodata", "1,2"), ("--aoi", "0,0,1,1")])
def test_messages_about_one_image_speak_of_no_pair(described, fault):
    error = refusal(described(*fault))
    words = f"{error.message}; {error.hint}"
    assert not re.search("before|after|pair|both| [02] dates| 1 dates", words), words


def test_a_list_that_comes_with_geochg_is_named(described):
    facts = json.loads(described("--labels", "mai", "--json").stdout)
    assert len(facts["geochg"]["labels"]) == 24
    assert facts["geochg"]["options"]["classes"] == []


def test_prompts_of_ones_own_are_asked(described, tmp_path):
    prompts = tmp_path / "prompts.toml"
    prompts.write_text('presence = "Is there any {thing}?"\n')
    facts = json.loads(described("--prompts", prompts, "--json").stdout)
    assert facts["geochg"]["questions"]["presence"] == "Is there any {thing}?"
    prompts.write_text('locate = "Where?"\n')
    assert "locate" in refusal(described("--prompts", prompts)).message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[[classes]]\nname = "lake"\nhue = 3\n', "unknown key 'hue'"),
        ('thing = 1\n[[classes]]\nname = "lake"\n', "unknown key 'thing'"),
        ('[[classes]]\nname = ""\n', "empty"),
        ('[[classes]]\nname = "lake"\n[[classes]]\nname = "Lakes"\n', "mean the same"),
        (f'[[classes]]\nname = "{"x" * 200}"\n', "200 characters"),
        ("", "no class"),
    ],
)
def test_a_label_file_that_makes_no_sense_is_refused(described, tmp_path, text, reason):
    labels = tmp_path / "own.toml"
    labels.write_text(text)
    result = described("--labels", labels)
    assert isinstance(result.exception, InputError)
    assert reason in refusal(result).message


def test_a_model_of_pairs_is_refused(image, tmp_path):
    result = run("describe", image, "-o", tmp_path / "scene.geojson", "--model", "cva")
    assert isinstance(result.exception, OptionError)
    assert "vlm" in refusal(result).hint
    assert not list(tmp_path.glob("scene*"))


def test_nothing_to_write_is_refused(image):
    assert "nothing to write" in run("describe", image).output


def test_a_question_about_one_image(image):
    asked = ("ask", image, "How much is built?", "--model", "scene_marker")
    assert run(*asked).output.strip() == "100 pixels of buildings"
    answer = json.loads(run(*asked, "--json").output)
    assert answer["answer"] == "100 pixels of buildings"
    piped = CliRunner().invoke(
        command, ["ask", str(image), "--model", "scene_marker"], input="How many?\n"
    )
    assert piped.output.strip() == "100 pixels of buildings"


@pytest.mark.parametrize(
    "name", ["aftr.tif", "after image.tif", "GPKG:some file.gpkg:layer", "folder/other image"]
)
def test_a_mistyped_image_is_no_question(image, name):
    result = run("ask", image, name, "--model", "scene_marker")
    assert isinstance(result.exception, InputError)


def test_more_words_than_a_question_are_refused(image):
    assert "in quotes" in run("ask", image, image, "How", "many?").output
