"""`geochg report`, and `--report` of the commands that make layers."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pairs import PLANTED, planted_pair
from report_pages import Page

from geochg.errors import GeochgError
from geochg_cli.group import geochg as command

pytestmark = pytest.mark.usefixtures("marker_plugin")
TILES = ("--tile-size", 64, "--overlap", 16, "--align", "off")


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def refusal(result):
    assert isinstance(result.exception, GeochgError), result.exception
    assert result.exception.exit_code == 2
    assert "\n" not in result.exception.message
    return result.exception.message


@pytest.fixture
def pair(make_raster):
    before, after = planted_pair()
    images = (before.repeat(2, 0)[:3], after.repeat(2, 0)[:3])
    return [make_raster(f"{name}.tif", data) for name, data in zip("ab", images, strict=True)]


@pytest.fixture
def layer(pair, tmp_path):
    path = tmp_path / "c.gpkg"
    result = run("analyze", *pair, "-o", path, "--model", "marker", *TILES)
    assert result.exit_code == 0, result.exception
    return path


def test_a_run_and_its_layer_make_the_same_report(pair, tmp_path):
    outputs = ("-o", tmp_path / "c.gpkg", "--report", tmp_path / "run.html")
    result = run("analyze", *pair, *outputs, "--model", "marker", *TILES, "--json")
    assert result.exit_code == 0, result.exception
    assert json.loads(result.output)["outputs"]["report"] == str(tmp_path / "run.html")
    page = Page((tmp_path / "run.html").read_bytes())
    assert len(page.rows()) == len(PLANTED)
    assert len(page.all("img")) == 2
    again = run("report", tmp_path / "c.gpkg", "-o", tmp_path / "layer.html")
    assert again.exit_code == 0, again.exception
    assert (tmp_path / "layer.html").read_bytes() == (tmp_path / "run.html").read_bytes()


def test_a_report_may_be_all_that_is_wanted(pair, tmp_path):
    path = tmp_path / "only.html"
    result = run("analyze", *pair, "--report", path, "--model", "marker", *TILES)
    assert result.exit_code == 0, result.exception
    assert str(path) in result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif", "only.html"]


def test_it_tells_what_it_wrote(layer, tmp_path):
    result = run("report", layer, "-o", tmp_path / "r.html", "--title", "My <title>", "--json")
    assert json.loads(result.output) == {
        "report": str(tmp_path / "r.html"),
        "features": len(PLANTED),
        "pictures": 2,
        "notes": [],
    }
    assert Page((tmp_path / "r.html").read_bytes()).all("h1")[0]["text"] == "My <title>"
    (tmp_path / "b.tif").rename(tmp_path / "moved.tif")
    lines = run("report", layer, "-o", tmp_path / "r.html").output.splitlines()
    assert lines[1] == f"{len(PLANTED)} features, no pictures"
    assert "b.tif was not found." in lines[2]
    named = run("report", layer, "-o", tmp_path / "r.html", "--after", tmp_path / "moved.tif")
    assert named.output.splitlines()[1:] == [f"{len(PLANTED)} features, 2 pictures"]


def test_what_cannot_be_is_refused_in_a_line(layer, pair, tmp_path):
    page = tmp_path / "r.html"
    assert "is not there" in refusal(run("report", tmp_path / "no.gpkg", "-o", page))
    assert "no layer that geochg wrote" in refusal(run("report", pair[0], "-o", page))
    assert "has no layer 'x'" in refusal(run("report", layer, "--layer", "x", "-o", page))
    assert "suffix '.pdf'" in refusal(run("report", layer, "-o", tmp_path / "r.pdf"))
    assert "is there already" in refusal(run("report", layer, "-o", _others(tmp_path)))
    both = run("report", layer, "-o", page, "--image", "a.tif", "--before", "b.tif")
    assert both.exit_code == 2
    assert "--image names all images" in both.output
    assert not page.exists()


def _others(folder):
    path = folder / "mine.html"
    path.write_text("<html></html>")
    return path


def test_a_run_refuses_a_report_that_could_not_be_written_before_it_begins(pair, tmp_path):
    words = ("--model", "marker", *TILES)
    assert "is there already" in refusal(
        run("analyze", *pair, "--report", _others(tmp_path), *words)
    )
    twice = ("-o", tmp_path / "c.geojson", "--report", tmp_path / "c.geojson")
    assert "suffix '.geojson'" in refusal(run("analyze", *pair, *twice, *words))


def test_a_series_has_a_report_of_its_steps(make_raster, tmp_path):
    before, after = planted_pair()
    images = [data.repeat(2, 0)[:3] for data in (before, after, before)]
    names = [make_raster(f"20{n}0.tif", data) for n, data in enumerate(images, start=1)]
    path = tmp_path / "series.html"
    result = run("analyze", *names, "--report", path, "--model", "marker", *TILES)
    assert result.exit_code == 0, result.exception
    page = Page(path.read_bytes())
    data = json.loads(page.all("script", id="data")[0]["text"])
    assert {tuple(dates) for dates in data["dates"]} == {(0, 1), (1, 2)}
    assert [picture["label"] for picture in data["pictures"]] == ["2010", "2020", "2030"]
    assert [o["text"].strip() for o in page.all("option")][:2] == [
        "Whole series",
        "Step 1: 2010 to 2020",
    ]


def test_one_image_has_a_report_of_what_it_shows(make_raster, tmp_path):
    values = np.full((3, 64, 128), 90, np.uint8)
    values[:, :, :64] = 50
    image = make_raster("image.tif", values)
    path = tmp_path / "scene.html"
    tiles = ("--tile-size", 64, "--overlap", 0)
    result = run("describe", image, "--report", path, "--model", "scene_marker", *tiles)
    assert result.exit_code == 0, result.exception
    page = Page(path.read_bytes())
    assert page.all("p", _class="eyebrow")[0]["text"] == "Scene report"
    assert "water" in page.rows()[0]["text"]
    assert len(page.all("img")) == 1


def test_zones_stand_in_the_report_of_a_run_and_of_its_layer(pair, tmp_path):
    import geopandas as gpd
    import shapely
    from rasters import ORIGIN, UTM

    corners = [ORIGIN * point for point in ((0, 0), (300, 0), (300, 100), (0, 100))]
    frame = gpd.GeoDataFrame({"name": ["North"]}, geometry=[shapely.Polygon(corners)], crs=UTM)
    frame.to_file(zones := tmp_path / "zones.gpkg")
    outputs = ("-o", tmp_path / "c.gpkg", "--report", tmp_path / "run.html")
    words = ("--zones", zones, "--zone-name", "name", "--model", "marker", *TILES)
    result = run("analyze", *pair, *outputs, *words)
    assert result.exit_code == 0, result.exception
    named = ("--zones", zones, "--zone-name", "name")
    again = run("report", tmp_path / "c.gpkg", "-o", tmp_path / "layer.html", *named)
    assert again.exit_code == 0, again.exception
    for name in ("run.html", "layer.html"):
        page = Page((tmp_path / name).read_bytes())
        table = page.all("section", **{"aria-labelledby": "zones-title"})[0]["text"]
        text = " ".join(table.split())
        assert "Northbuildingappeared1" in text
        assert "outside of all zonesbuildingdisappeared1" in text
