import json
import re
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from pairs import planted_pair
from pyproj import Transformer
from rasters import ORIGIN, texture

from geochg_cli.main import main

pytestmark = pytest.mark.usefixtures("marker_plugin")


@pytest.fixture
def pair(make_raster):
    before, after = planted_pair()
    return str(make_raster("before.tif", before)), str(make_raster("after.tif", after))


@pytest.fixture
def geochg(capsys):
    """Runs the command line in this process: exit code, stdout, stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return stop.value.code, told.out, told.err

    return run


SMALL = ("--model", "marker", "--tile-size", 64, "--overlap", 16, "--align", "off")


def test_analyze_says_what_it_wrote_and_found(geochg, pair, tmp_path):
    code, out, _ = geochg("analyze", *pair, *SMALL, "-o", tmp_path / "c.geojson")
    assert code == 0
    assert str(tmp_path / "c.geojson") in out
    assert re.search(r"3 changes on [\d.]+ ha, in \d+ of 24 tiles", out)
    assert "building appeared: 2" in out


def test_json_is_all_there_is_on_stdout(geochg, pair, tmp_path):
    code, out, _ = geochg("analyze", *pair, *SMALL, "-o", tmp_path / "c.geojson", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["outputs"] == {"features": str(tmp_path / "c.geojson")}
    assert told["features"]["count"] == 3
    assert told["geochg"]["tiles"]["total"] == 24


def test_saved_options_run_again_and_hand_given_ones_win(geochg, pair, tmp_path):
    saved = tmp_path / "run.toml"
    first = ["analyze", *pair, *SMALL, "--save-options", saved, "-o", tmp_path / "a.geojson"]
    assert geochg(*first)[0] == 0
    assert tomllib.loads(saved.read_text())["tile_size_px"] == 64
    again = ["analyze", *pair, "--options", saved, "-o", tmp_path / "b.geojson"]
    assert geochg(*again)[0] == 0
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()
    code, out, _ = geochg(*again, "--tile-size", 32, "--overlap", 0, "--json")
    assert code == 0
    assert json.loads(out)["geochg"]["options"]["tile_size_px"] == 32
    assert json.loads(out)["geochg"]["options"]["model"] == "marker"


def test_model_options_are_read_as_toml_or_text(geochg, pair, tmp_path):
    extra = ["--model-option", "location=grid", "--model-option", "difference=20.5"]
    code, out, _ = geochg("analyze", *pair, *SMALL, *extra, "--json", "-o", tmp_path / "c.gpkg")
    assert code == 0
    told = json.loads(out)["geochg"]["options"]["model_options"]
    assert told == {"location": "grid", "difference": 20.5}


def test_saving_options_never_overwrites_a_raster(geochg, pair, tmp_path):
    with open(pair[1], "rb") as file:
        content = file.read()
    saved = tmp_path / "link.toml"
    saved.symlink_to(pair[1])
    refused(geochg, tmp_path, *pair, *SMALL, "--save-options", saved, names="one of the inputs")
    with open(pair[1], "rb") as file:
        assert file.read() == content


def test_resume_is_not_saved_and_match_can_be_switched_off(geochg, pair, tmp_path):
    saved = tmp_path / "run.toml"
    first = ["analyze", *pair, *SMALL, "--match", "--resume", "-o", tmp_path / "a.gpkg"]
    assert geochg(*first, "--save-options", saved)[0] == 0
    known = tomllib.loads(saved.read_text())
    assert known["match"] is True
    assert "resume" not in known
    again = ["analyze", *pair, "--options", saved, "--no-match", "-o", tmp_path / "b.gpkg"]
    code, out, _ = geochg(*again, "--json")
    assert code == 0
    assert json.loads(out)["geochg"]["options"]["match"] is False


GRID = ("--model", "marker", "--model-option", "location=grid", "--tile-size", 64, "--align", "off")


def test_closer_looks_and_votes_are_asked_for_saved_and_noted(geochg, pair, tmp_path):
    saved = tmp_path / "run.toml"
    finer = ["analyze", *pair, *GRID, "--refine", 2, "--vote", "--json"]
    code, out, _ = geochg(*finer, "-o", tmp_path / "a.geojson", "--save-options", saved)
    assert code == 0
    told = json.loads(out)["geochg"]
    assert {"refine": 2, "vote": True, "overlap_px": 32}.items() <= told["options"].items()
    known = tomllib.loads(saved.read_text())
    assert (known["refine"], known["vote"], known.get("overlap_px")) == (2, True, None)
    again = ["analyze", *pair, "--options", saved, "-o", tmp_path / "b.geojson", "--json"]
    assert geochg(*again)[0] == 0
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()
    code, out, _ = geochg(*again, "--no-vote", "--refine", 0)
    assert code == 0
    assert json.loads(out)["geochg"]["options"]["vote"] is False
    counts = [
        json.loads(geochg("info", *pair, *GRID, "--tile-size", 100, *way, "--json")[1])["tiles"]
        for way in ([], ["--vote"])
    ]
    assert counts == [3 * 4, 3 * 5]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((*SMALL, "--refine", 1), "marker gives outlines"),
        (("--model", "cva", "--vote"), "cva gives outlines"),
        ((*GRID, "--vote", "--overlap", 16), "must be half a tile, 32 px"),
        ((*GRID, "--refine", 4), "refine 4"),
    ],
)
def test_closer_looks_and_votes_that_make_no_sense(geochg, pair, tmp_path, arguments, names):
    refused(geochg, tmp_path, *pair, *arguments, names=names)


def test_info_tells_what_the_pair_is(geochg, pair):
    code, out, _ = geochg("info", *pair, *SMALL, "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["grid"]["width_px"] == 300
    assert facts["grid"]["pixel_m"] == pytest.approx(10, rel=1e-3)
    assert facts["tiles"] == 24
    assert facts["seconds"] > 0
    code, out, _ = geochg("info", *pair, "--model", "marker")
    assert code == 0
    assert "common grid  300 x 200 px" in out
    assert "acquired unknown" in out


def test_models_lists_ours_and_others(geochg):
    code, out, _ = geochg("models")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()} >= {"cva", "irmad", "marker"}
    listed = json.loads(geochg("models", "--json")[1])
    assert next(model for model in listed if model["name"] == "irmad")["summary"]


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("no raster")


def folder(path):
    path.mkdir()


@pytest.mark.parametrize("which", ["before", "after"])
@pytest.mark.parametrize("spoil", [None, empty, text, folder])
def test_files_that_are_no_rasters(geochg, pair, tmp_path, which, spoil):
    bad = tmp_path / "bad.tif"
    if spoil:
        spoil(bad)
    images = (bad, pair[1]) if which == "before" else (pair[0], bad)
    refused(geochg, tmp_path, *images, *SMALL, names="bad.tif")


def test_a_truncated_raster_fails_the_run(geochg, pair, tmp_path, make_raster):
    data = np.random.default_rng(0).integers(0, 255, (2, 200, 300), dtype=np.uint8)
    cut = tmp_path / "cut.tif"
    # A COG has its header first, so that only pixels are missing.
    rasterio.shutil.copy(make_raster("whole.tif", data), cut, driver="COG", blocksize=128)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    output = tmp_path / "c.geojson"
    code, _, errors = geochg("analyze", pair[0], cut, *SMALL, "-o", output)
    assert code == 1
    assert "tiles failed" in errors
    assert "Traceback" not in errors
    assert not output.exists()


def test_places_that_do_not_fit(geochg, pair, tmp_path, make_raster):
    image = planted_pair()[0]
    nowhere = make_raster("nowhere.tif", image, crs=None)
    refused(geochg, tmp_path, pair[0], nowhere, *SMALL, names="nowhere.tif")
    far = make_raster("far.tif", image, transform=Affine(10, 0, 600_000, 0, -10, 5_000_000))
    refused(geochg, tmp_path, pair[0], far, *SMALL, names="do not overlap")
    refused(geochg, tmp_path, *pair, *SMALL, "--aoi", "10,10,11,11", names="outside")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--bands", "red"], "no band 'red'"),
        (["--bands", "9"], "no band '9'"),
        (["--tile-size", "0"], "tile size 0"),
        (["--tile-size", "-5"], "tile size -5"),
        (["--overlap", "64"], "overlap 64"),
        (["--overlap", "-1"], "overlap -1"),
        (["--model", "nosuch"], "nosuch"),
        (["--model-option", "nosuch=1"], "nosuch"),
        (["--model-option", "nosuch"], "no value"),
        (["--crs", "EPSG:0"], "EPSG:0"),
        (["--resolution", "-1"], "resolution -1"),
        (["--resolution", "nan"], "resolution nan"),
        (["--min-confidence", "2"], "between 0 and 1"),
        (["--options", "missing.toml"], "missing.toml"),
        (["--align", "sometimes"], "sometimes"),
        (["--aoi", "nothing.gpkg"], "nothing.gpkg"),
        (["--bands", "red=1,foo=2"], "'foo'"),
        (["--classes", "bulding"], "bulding"),
        (["--save-options", "before.tif"], "before.tif"),
        (["--workers", "0"], "workers 0"),
        (["--max-area", "-5"], "max area -5"),
        (["--max-area", "10", "--min-area", "20"], "lies below min area"),
        (["--nodata", "zero"], "nodata 'zero' is no number"),
        (["--nodata", ",0"], "nothing stands beside a comma of ',0'"),
        (["--nodata", "0,"], "nothing stands beside a comma of '0,'"),
        (["--bands", "3,,1"], "nothing stands beside a comma of '3,,1'"),
        (["--nodata", "1,2,3"], "nodata has 3 values"),
        (["--nodata", "-9999"], "nodata -9999 is no value"),
        (["--nodata", "none,300"], "after.tif can hold"),
    ],
)
def test_options_that_make_no_sense(geochg, pair, tmp_path, arguments, names):
    refused(geochg, tmp_path, *pair, *SMALL, *arguments, names=names)


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("c.shp", "c.shp"),
        ("c", "known suffixes"),
        ("missing/c.geojson", "missing"),
        ("before.tif", "before.tif"),
    ],
)
def test_outputs_that_cannot_be_written(geochg, pair, tmp_path, output, names):
    refused(geochg, tmp_path, *pair, *SMALL, names=names, output=tmp_path / output)


def test_an_output_that_is_an_input_is_refused(geochg, pair, tmp_path):
    before = rasterio.open(pair[0]).read()
    code, _, errors = geochg(
        "analyze", *pair, *SMALL, "-o", tmp_path / "c.geojson", "--heatmap", pair[0]
    )
    assert code == 2
    assert "is one of the inputs" in errors
    assert (rasterio.open(pair[0]).read() == before).all()


def test_nothing_to_write_is_refused(geochg, pair):
    code, _, errors = geochg("analyze", *pair)
    assert code == 2
    assert "--output" in errors


def test_an_options_file_with_an_unknown_key_is_refused(geochg, pair, tmp_path):
    saved = tmp_path / "run.toml"
    saved.write_text("tile_sise_px = 64\n")
    refused(geochg, tmp_path, *pair, "--options", saved, names="tile_sise_px")
    saved.write_text("this is no toml")
    refused(geochg, tmp_path, *pair, "--options", saved, names="not a TOML file")


def refused(geochg, tmp_path, *arguments, names, output=None):
    """Exit 2, at most two lines that name the matter, no traceback, nothing left behind."""
    there = sorted(tmp_path.iterdir())
    output = output or tmp_path / "c.geojson"
    code, out, errors = geochg("analyze", *arguments, "-o", output)
    assert code == 2
    assert names in errors
    assert out == ""
    assert "Traceback" not in errors
    if "Usage:" not in errors:
        assert 1 <= len(errors.strip().splitlines()) <= 2
    assert sorted(tmp_path.iterdir()) == there


def test_text_from_a_file_is_not_read_as_markup(geochg, make_raster, tmp_path):
    odd = make_raster("[bold]a.tif", texture(64, 64))
    code, _, errors = geochg("analyze", odd, odd, "-o", tmp_path / "c.geojson", "--bands", "7")
    assert code == 2
    assert "[bold]a.tif" in errors


@pytest.mark.parametrize("command", [[], ["analyze"], ["info"], ["models"]])
def test_help_pages_exist(geochg, command):
    code, out, _ = geochg(*command, "--help")
    assert code == 0
    assert "Usage: geochg" in out
    if command in (["analyze"], ["info"], []):
        assert "Examples:" in out


def test_help_is_instant():
    fastest = min(_seconds("--help") for _ in range(5))
    assert fastest < 0.3 * _slowness()


def _seconds(*arguments):
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "geochg_cli", *arguments], check=True, capture_output=True
    )
    return time.perf_counter() - start


def _slowness():
    """How much slower than the machine of the numbers this one starts Python, at least 1."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return max(1.0, (time.perf_counter() - start) / 0.05)


def test_zones_are_summed_up_in_a_table_in_words_and_in_json(geochg, pair, tmp_path):
    # The left half of the pair; 3 changes, of which one crosses its border.
    half = {"type": "Polygon", "coordinates": [_lonlat_ring(0, 150, 0, 200)]}
    feature = {"type": "Feature", "properties": {"name": "=left"}, "geometry": half}
    zones = tmp_path / "zones.geojson"
    zones.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    table, zones_table = tmp_path / "t.csv", tmp_path / "z.csv"
    files = ("--zones", zones, "--zones-table", zones_table, "--table", table)
    code, out, _ = geochg("analyze", *pair, *SMALL, *files)
    assert code == 0
    assert f"{table}" in out
    assert "  in =left: 3, " in out
    assert "  outside all zones: 1, " in out
    rows = zones_table.read_text(encoding="utf-8").splitlines()
    assert rows[0] == "zone,class,change,count,area_m2"
    assert rows[1].startswith("'=left,building,appeared,2,")
    _, out, _ = geochg("analyze", *pair, *SMALL, *files, "--json")
    told = json.loads(out)
    assert [row["count"] for row in told["zones"]] == [2, 1, 1]
    assert told["zones"][0]["zone"] == "=left"
    assert told["outputs"] == {"table": str(table), "zones_table": str(zones_table)}
    code, _, err = geochg("analyze", *pair, *SMALL, "--zones-table", zones_table)
    assert code == 2
    assert "name their file with --zones" in err


def _lonlat_ring(left, right, top, bottom):
    """The outline of a part of the planted pair, in grid pixels, in longitude and latitude."""
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True)
    edge = np.linspace(0, 1, 50)
    cols = [left + (right - left) * edge, np.full(50, right), right - (right - left) * edge]
    rows = [np.full(50, top), top + (bottom - top) * edge, np.full(50, bottom)]
    x, y = ORIGIN * (
        np.concatenate([*cols, np.full(50, left)]),
        np.concatenate([*rows, bottom - (bottom - top) * edge]),
    )
    return np.column_stack(to_degrees.transform(x, y)).tolist()
