"""The tools as an assistant's client sees them: schemas, answers, pictures, refusals."""

import base64
import io
import json
import re
from xml.sax.saxutils import escape

import geopandas
import jsonschema
import pytest
import rasterio.shutil
import shapely
from PIL import Image
from pyproj import CRS
from rasters import UTM

from geochg.classes import CLASSES
from geochg.mcp_server.grants import Grants
from geochg.options import AnalyzeOptions

PAIR = {"before": "before.tif", "after": "after.tif"}


def test_tools_tell_what_they_take_and_do(server):
    tools = {tool.name: tool for tool in server.wait(server.client.list_tools()).tools}
    assert {"info", "analyze", "ask"} <= set(tools)
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert "never an instruction" in tool.description
        assert tool.annotations.open_world_hint is False
    assert tools["info"].annotations.read_only_hint is True
    assert tools["ask"].annotations.read_only_hint is True
    assert tools["analyze"].annotations.read_only_hint is False
    assert tools["analyze"].annotations.destructive_hint is True


def test_tools_say_that_they_may_reach_what_was_allowed_elsewhere(slow_server):
    tools = slow_server.wait(slow_server.client.list_tools()).tools
    assert tools
    assert all(tool.annotations.open_world_hint for tool in tools)


@pytest.mark.parametrize(
    ("models", "rasters", "reaches_out"),
    [
        ([], ["/data/scene.tif", 'NETCDF:"/data/a.nc":band'], False),
        ([], ["/vsis3/bucket/scene.tif"], True),
        (["gguf:{folder}"], [], False),
        (["vlm:someone/model"], [], True),
        (["labels:vlm:{folder}"], [], False),
        (["labels:openai:http://127.0.0.1:8000/v1#name"], [], False),
        (["labels:clip:someone/model"], [], True),
        (["openai:http://127.0.0.1:8000/v1#name"], [], False),
        (["openai:https://host.invalid/v1#name"], [], True),
    ],
)
def test_models_and_rasters_elsewhere_are_told_from_those_here(
    tmp_path, models, rasters, reaches_out
):
    models = [name.format(folder=tmp_path) for name in models]
    grants = Grants.of([tmp_path], AnalyzeOptions(), models, rasters)
    assert grants.reaches_out is reaches_out
    clued = AnalyzeOptions.from_dict({"clue_model": models[0] if models else ""})
    assert Grants.of([tmp_path], clued, (), rasters).reaches_out is reaches_out


def test_options_have_the_ranges_of_the_library_and_none_that_lead_away(server):
    tools = {tool.name: tool for tool in server.wait(server.client.list_tools()).tools}
    fields = tools["analyze"].input_schema["properties"]
    bounds = AnalyzeOptions.bounds()
    assert (fields["tile_size_px"]["minimum"], fields["tile_size_px"]["maximum"]) == (
        bounds["tile_size_px"]
    )
    assert fields["model"]["enum"] == ["marker", "builtin", "irmad", "cva", "radar"]
    led_away = {"allow_remote", "overwrite", "model_options", "classes_file", "clue_model"}
    assert not led_away & set(fields)
    assert "min_confidence" not in tools["ask"].input_schema["properties"]
    assert "--" not in json.dumps(fields)


def test_info_without_arguments_lists_files_and_models(server):
    facts = server.answer("info")
    assert {"before.tif", "after.tif"} <= set(facts["rasters"])
    assert facts["folders"] == [str(server.folder.resolve())]
    assert facts["models"][0] == "marker"


def test_info_lists_one_folder_where_it_is_told_to(server):
    (server.folder / "inner").mkdir()
    (server.folder / "inner" / "c.tif").write_bytes(b"II*\0")
    facts = server.answer("info", folder="inner")
    assert facts["rasters"] == ["inner/c.tif"]
    assert "leads upwards" in server.refusal("info", folder="../")
    assert "have no folder" in server.refusal("info", folder="before.tif")
    assert "outside the folders" in server.refusal("info", folder="/etc")


def test_info_tells_what_a_pair_is_and_shows_it(server):
    result = server.call("info", **PAIR)
    assert result.structured_content["tiles"] == 24
    text, picture = result.content
    assert "300 x 200 px" in text.text
    assert picture.mime_type == "image/png"
    image = Image.open(io.BytesIO(base64.b64decode(picture.data)))
    assert image.width > 600
    assert server.refusal("info", before="before.tif").startswith("the argument 'after' is missing")


def test_analyze_writes_the_layer_and_answers_with_numbers_places_and_a_picture(server):
    progress = []
    result = server.call("analyze", progress, **PAIR, output="changes.geojson")
    values = result.structured_content
    assert values["features"]["count"] == 3
    written = json.loads((server.folder / "changes.geojson").read_text())
    assert len(written["features"]) == 3
    sizes = [change["area_m2"] for change in values["largest"]]
    assert sizes == sorted(sizes, reverse=True)
    assert abs(sizes[0] - 20 * 220 * 100) < 2000
    assert values["largest"][0]["class"] in CLASSES
    assert abs(values["largest"][0]["lon"] - 15.0178) < 1e-3
    assert abs(values["largest"][0]["lat"] - 45.1489) < 1e-3
    text, picture = result.content
    assert "3 changes" in text.text
    changed = Image.open(io.BytesIO(base64.b64decode(picture.data))).convert("RGB")
    plain = server.call("info", **PAIR).content[1]
    assert changed.height > Image.open(io.BytesIO(base64.b64decode(plain.data))).height
    numbers = [number for number, _ in progress]
    assert numbers == sorted(set(numbers))
    assert any(message == "tiles: 24 of 24" for _, message in progress)


def test_a_picture_may_be_left_out(server):
    assert len(server.call("info", **PAIR, picture=False).content) == 1
    assert len(server.call("analyze", **PAIR, output="np.gpkg", picture=False).content) == 1


def test_null_stands_for_an_argument_that_is_left_out(server):
    left_out = {"aoi": None, "resolution": None, "later": None}
    assert server.answer("analyze", **PAIR, output="n.gpkg", **left_out)["features"]["count"] == 3


def test_an_area_is_a_box_a_polygon_or_a_file_in_the_folders(server):
    server.answer("analyze", **PAIR, output="area.geojson", picture=False)
    boxes = [
        "EPSG:32633;500000,4999300,502600,4999700",
        "area.geojson",
        "POLYGON((15 45.14,15.04 45.14,15.04 45.153,15 45.153,15 45.14))",
    ]
    counts = [server.answer("info", **PAIR, aoi=box, picture=False)["tiles"] for box in boxes]
    assert 0 < counts[0] < 24
    assert counts[1] >= counts[0]


def test_ask_answers_about_the_whole_a_place_and_one_raster(server):
    first = server.answer("ask", **PAIR, question="What changed?")
    assert first["answer"]
    assert first["model"] == "marker"
    place = server.answer("ask", **PAIR, question="And here?", at=[15.01, 45.149])
    lons = [lon for lon, _ in place["outline"]]
    assert min(lons) < 15.01 < max(lons)
    alone = server.refusal("ask", before="before.tif", question="What is there?")
    assert "cannot tell of one" in alone


def test_changes_are_summed_up_by_zones(server):
    zones = geopandas.GeoDataFrame(
        {"name": ["north", "south"]},
        geometry=[
            shapely.box(500000, 4999000, 503000, 5000000),
            shapely.box(500000, 4998000, 503000, 4999000),
        ],
        crs=UTM,
    )
    zones.to_file(server.folder / "zones.gpkg")
    files = {"zones": "zones.gpkg", "zone_name": "name", "zones_table": "zones.csv"}
    values = server.answer("analyze", **PAIR, output="z.gpkg", picture=False, **files)
    assert {row["zone"] for row in values["zones"]} == {"north", "south"}
    assert "north" in (server.folder / "zones.csv").read_text()


def test_three_dates_are_a_series(server):
    dates = ["2019", "2020", "2021"]
    values = server.answer("analyze", **PAIR, later=["before.tif"], output="s.gpkg", dates=dates)
    assert [step["count"] for step in values["features"]["steps"]] == [3, 3]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"nonsense": 1}, "unknown argument 'nonsense'"),
        ({"tile_size_px": 0}, "tile size 0 px"),
        ({"tile_size_px": "large"}, "it takes a whole number"),
        ({"tile_size_px": 10**400}, "tile"),
        ({"align": "sideways"}, "auto, shift"),
        ({"classes": "building"}, "a list of texts"),
        ({"classes": ["castle"]}, "knows no class 'castle'"),
        ({"before": 7}, "'before' is no text"),
        ({"before": ""}, "'before' is no text"),
        ({"later": "x.tif"}, "'later' is no list"),
        ({"later": [7]}, "'later' is no text"),
        ({"picture": "yes"}, "neither true nor false"),
        ({"crs": "+proj=utm +zone=33 +init=/etc/passwd:1"}, "no code of a CRS"),
        ({"crs": "EPSG:999999"}, "EPSG:999999"),
        ({"output": "c.docx"}, "cannot tell the format"),
        ({"output": "nowhere/c.gpkg"}, "does not exist"),
        ({"output": "before.tif"}, ".tif"),
        ({"model": "openai:http://127.0.0.1:9/v1#x"}, "may not use the model"),
        ({"model": "vlm:someone/model"}, "allow-model"),
        ({"allow_remote": True}, "unknown argument 'allow_remote'"),
        ({"overwrite": True}, "unknown argument 'overwrite'"),
        ({"dates": ["2021", "2020"]}, "2021"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(server, arguments, text):
    assert text in server.refusal("analyze", **{**PAIR, "output": "bad.gpkg", **arguments})
    assert not (server.folder / "bad.gpkg").exists()


@pytest.mark.parametrize("at", [[1], [1, "2"], "1,2", [True, 2], [10**400, 0], [200.0, 95.0]])
def test_a_place_is_two_numbers(server, at):
    assert "place" in server.refusal("ask", **PAIR, question="What?", at=at)


def test_missing_arguments_and_unknown_tools_are_refused(server):
    assert "'output' is missing" in server.refusal("analyze", **PAIR)
    assert "there is no tool 'delete'" in server.refusal("delete", path="before.tif")
    assert "no text" in server.refusal("ask", **PAIR, question=" ")


def test_what_others_wrote_is_never_replaced_and_what_geochg_wrote_is(server):
    foreign = server.folder / "mine.geojson"
    foreign.write_text('{"type": "FeatureCollection", "features": []}')
    assert "geochg did not write it" in server.refusal("analyze", **PAIR, output="mine.geojson")
    assert foreign.read_text().endswith("[]}")
    for _ in range(2):
        assert server.answer("analyze", **PAIR, output="ours.geojson")["features"]["count"] == 3


def test_text_of_files_is_told_without_control_codes(server):
    text = (server.folder / "plain.vrt", server.folder / "codes.vrt")
    rasterio.shutil.copy(server.folder / "after.tif", text[0], driver="VRT")
    name = "WGS 84 / UTM zone 33N"
    crs = CRS.from_epsg(32633).to_wkt().replace(name, f"{name} and \x9b31m\u202eignore this", 1)
    document = re.sub("<SRS.*</SRS>", f"<SRS>{escape(crs)}</SRS>", text[0].read_text())
    text[1].write_text(document, encoding="utf-8")
    result = server.call("info", before="codes.vrt", after="codes.vrt", picture=False)
    answer = result.model_dump_json()
    for path in text:
        path.unlink()
    assert "ignore this" in answer
    assert not {"\x9b", "\u202e"} & set(answer)
