"""`geochg check` from the command line, with the built-in model."""

import json

import geopandas as gpd
import pytest

from geochg_cli.main import main
from tests.support.layer_checks import HOUSES, Town, box, town_layer


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


@pytest.fixture
def files(tmp_path):
    houses = tuple(house for house in HOUSES if house[0] < 250 and house[1] < 250)
    image = Town(houses, side_px=256).write(tmp_path / "image.tif")
    return town_layer(tmp_path / "layer.gpkg", [box(*house) for house in houses]), image


def test_writes_a_verdict_for_each_polygon_and_tells_of_it(files, tmp_path, capsys):
    layer, image = files
    output = tmp_path / "verdict.gpkg"
    assert run("check", layer, image, "-o", output, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["outputs"] == {"features": str(output)}
    counts = facts["geochg"]["check"]["counts"]
    frame = gpd.read_file(output, layer="verdict")
    assert frame["verdict"].value_counts().to_dict() == {k: n for k, n in counts.items() if n}
    assert sum(counts.values()) - counts["missing"] == 16
    assert facts["geochg"]["model"]["id"] == "builtin"
    assert run("check", layer, image, "-o", output, "--layer", "layer") == 0
    assert "16 polygons of building" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "solar panel"], "knows no class 'solar panel'"),
        (["--layer", "other"], "has no layer 'other'"),
        (["--gone-to", "0.7"], "not below --present-from"),
        (["--model", "irmad"], "tells nothing of one image"),
    ],
)
def test_refuses_in_one_line(files, tmp_path, capsys, arguments, message):
    layer, image = files
    assert run("check", layer, image, "-o", tmp_path / "v.gpkg", *arguments) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert not (tmp_path / "v.gpkg").exists()
