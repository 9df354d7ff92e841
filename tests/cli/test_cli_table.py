"""`geochg table`: the sums of a layer in words, as JSON and as CSV."""

import json

import geopandas as gpd
import pytest
from pairs import planted_pair
from rasters import ORIGIN
from shapely import box

from geochg_cli.main import main

pytestmark = pytest.mark.usefixtures("marker_plugin")
SMALL = ("--model", "marker", "--tile-size", 64, "--overlap", 16, "--align", "off")


@pytest.fixture
def geochg(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return stop.value.code, told.out, told.err

    return run


@pytest.fixture
def files(make_raster, tmp_path, geochg):
    before, after = planted_pair()
    pair = make_raster("before.tif", before), make_raster("after.tif", after)
    layer, zones = tmp_path / "c.gpkg", tmp_path / "z.gpkg"
    (left, top), (right, bottom) = ORIGIN * (0, 0), ORIGIN * (150, 200)
    half = gpd.GeoDataFrame({"name": ["left"]}, geometry=[box(left, bottom, right, top)], crs=32633)
    half.to_file(zones)
    wanted = ("--zones", zones, "--zones-table", tmp_path / "z.csv", "--table", tmp_path / "t.csv")
    assert geochg("analyze", *pair, *SMALL, "-o", layer, *wanted)[0] == 0
    return layer, zones


def test_the_tables_of_a_layer_are_those_of_its_run(geochg, files, tmp_path):
    layer, zones = files
    wanted = ("-o", tmp_path / "t2.csv", "--zones-table", tmp_path / "z2.csv")
    code, out, _ = geochg("table", layer, "--zones", zones, *wanted)
    assert code == 0
    assert "  left: building appeared: 2, " in out
    assert "  outside all zones: building appeared: 1, " in out
    assert (tmp_path / "t2.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()
    assert (tmp_path / "z2.csv").read_bytes() == (tmp_path / "z.csv").read_bytes()


def test_json_and_errors(geochg, files, tmp_path):
    layer, _ = files
    code, out, _ = geochg("table", layer, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["features"] == 3
    assert sum(row["features"] for row in told["table"]) == 3
    assert "zones" not in told
    code, _, err = geochg("table", layer, "--zones-table", tmp_path / "x.csv")
    assert code == 2
    assert "name their file with --zones" in err
    assert not (tmp_path / "x.csv").exists()
    assert geochg("table", layer, "--layer", "nothing")[0] == 2
