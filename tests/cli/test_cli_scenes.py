"""`geochg scenes`: search, fetch and collections, against a catalogue in a file."""

import json

import pytest
import rasterio
from click.testing import CliRunner
from scene_catalog import CLOUD, S2, CatalogFolder, box_text

from geochg.errors import GeochgError
from geochg.stac.options import FetchOptions
from geochg_cli.group import geochg as command


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A static catalogue of two scenes, and the words that name it and their ground."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "settings"))
    monkeypatch.setenv("HOME", str(tmp_path))
    catalog = CatalogFolder(tmp_path, "catalog", 0)
    catalog.add_scene("clear", "2020-06-13", 2000, cloud_cover=12.5)
    catalog.add_scene("cloudy", "2020-06-23", 3000, CLOUD, cloud_cover=100)
    return ("--catalog", catalog.save_static(), "--aoi", box_text())


def test_scenes_are_listed_with_date_and_clouds(place):
    done = run("scenes", "search", *place, "--from", "2020-06")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "2020-06-13 10:00    12 %  clear",
        "2020-06-23 10:00   100 %  cloudy",
    ]
    assert done.stderr == "2 scenes of sentinel-2-l2a\n"


def test_scenes_are_printed_as_json(place):
    done = run("scenes", "search", *place, "--from", "2020", "--max-cloud", 50, "--json")
    facts = json.loads(done.stdout)
    assert facts["window"] == ["2020-01-01", "2020-12-31"]
    assert facts["too_cloudy"] == 1
    (scene,) = facts["scenes"]
    assert (scene["id"], scene["cloud_cover"]) == ("clear", 12.5)
    assert scene["datetime"] == "2020-06-13T10:00:00Z"


def test_an_image_is_fetched(place, tmp_path):
    image = tmp_path / "before.tif"
    done = run("scenes", "fetch", *place, "--from", "2020-06", "-o", image, "--bands", "red,nir")
    assert done.exit_code == 0, done.output
    line = f"{image}: 2020-06-13, 1 scene of sentinel-2-l2a, 0 % of the area not seen\n"
    assert done.stdout == line
    with rasterio.open(image) as file:
        assert file.descriptions == ("red", "nir")
    like = ("--catalog", place[1], "--like", image, "--from", "2020-06")
    done = run("scenes", "fetch", *like, "-o", tmp_path / "b.tif", "--json")
    facts = json.loads(done.stdout)
    assert (facts["items"], facts["hidden_share"]) == (["clear"], 0.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "2020-07", "--to", "2020-06"), "begins on 2020-07-01 and ends on 2020-06-30"),
        (("--from", "last summer"), "is no date"),
        (("--from", "2020", "--bbox", "1,2,3,4"), "two areas"),
        (("--from", "2020", "--collection", ""), "no collection is named"),
        (("--from", "2020", "--max-cloud", "101"), "max cloud 101"),
        (("--from", "2021"), "has no scene of"),
    ],
)
@pytest.mark.parametrize("name", ["search", "fetch"])
def test_what_makes_no_sense_is_refused(place, tmp_path, name, words, message):
    output = ("-o", tmp_path / "a.tif") if name == "fetch" else ()
    done = run("scenes", name, *place, *words, *output)
    assert isinstance(done.exception, GeochgError)
    assert done.exception.exit_code == 2
    assert message in done.exception.message


def test_an_area_is_wanted_and_a_box_has_four_numbers(place):
    done = run("scenes", "search", "--from", "2020")
    assert "no area is given" in done.exception.message
    done = run("scenes", "search", "--from", "2020", "--bbox", "farm.geojson")
    assert "is no box" in done.exception.message
    done = run("scenes", "search", *place[:2], "--from", "2020", "--bbox", "-60,1,-59,2")
    assert "has no scene of -60,1,-59,2" in done.exception.message


def test_the_collections_that_are_known_are_listed_and_nobody_is_asked(place, tmp_path):
    done = run("scenes", "collections")
    assert "earth-search  https://earth-search.aws.element84.com/v1" in done.stdout
    assert f"  {S2}: " in done.stdout
    file = tmp_path / "settings" / "geochg" / "catalogs.toml"
    done = run("scenes", "collections", "--edit", "--json")
    facts = json.loads(done.stdout)
    if str(file) == facts["file"]:  # macOS has its own folder
        assert file.is_file()
    assert {entry["id"] for entry in facts["collections"]} >= {S2, "landsat-c2-l2"}


def test_each_option_of_the_library_is_one_of_the_command_line():
    fetch = command.get_command(None, "scenes").get_command(None, "fetch")
    names = {option.name for option in fetch.params}
    assert {spec.name for spec in FetchOptions.specs()} <= names
