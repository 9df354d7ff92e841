"""What goes wrong with catalogues and scenes: one line each, and other scenes go on."""

import json
import time

import numpy as np
import pytest
import rasterio
from affine import Affine
from fetched_scenes import bands_of, fetch
from scene_catalog import BANDS, CLOUD, LEFT, S2, TOP, box_text

from geochg.errors import GeochgError, InputError, OptionError
from geochg.events import Notice
from geochg.stac.date_window import DateWindow
from geochg.stac.options import FetchOptions
from geochg.stac.search import search_scenes
from geochg.stac.search_area import SearchArea

GRID = Affine(10, 0, LEFT, 0, -10, TOP)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Pauses between tries are left out."""
    monkeypatch.setattr("geochg.stac.catalog_reader._PAUSE_S", 0)


def search(catalog, *, area=None, window="2020-06", listener=None, **options):
    return search_scenes(
        SearchArea.of(area or box_text()),
        DateWindow.of(window),
        FetchOptions(catalog=options.pop("url", catalog.url), **options),
        listener=listener or (lambda event: None),
    )


def one_line(error):
    """The message of an error, which is one line and a hint."""
    assert isinstance(error, GeochgError)
    assert "\n" not in error.message
    assert error.hint
    return error.message


# --- the catalogue ----------------------------------------------------------------------------


def test_a_server_that_fails_twice_is_asked_a_third_time(catalog):
    catalog.add_scene("s", "2020-06-13")
    catalog.faults = [{"path": "stac/search", "status": 503, "times": 2}]
    catalog.save()
    assert [item.id for item in search(catalog).items] == ["s"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"status": 500}, "answered 3 times with 500 Internal Server Error"),
        ({"status": 403}, "answered with 403 Forbidden"),
        ({"status": 404}, "is not there (404)"),
        ({"text": "<html>Please log in</html>"}, "answers no JSON: it begins with '<html>Please"),
        ({"text": "[1, 2]"}, "holds a JSON list, no STAC document"),
        ({"text": ""}, "answers no JSON"),
        ({"text": "[" * 100_000}, "answers no JSON"),
        ({"location": "file:///etc/passwd"}, "answered with 302 Found - Redirection to url"),
    ],
)
@pytest.mark.parametrize("path", ["stac", "stac/search"])
def test_what_is_wrong_with_a_catalogue_is_said_in_a_line(catalog, fault, message, path):
    catalog.add_scene("s", "2020-06-13")
    catalog.faults = [{"path": path, **fault}]
    catalog.save()
    with pytest.raises(InputError) as raised:
        search(catalog)
    assert message in one_line(raised.value)


def test_an_answer_without_items_is_no_search(catalog):
    catalog.faults = [{"path": "stac/search", "text": '{"detail": "no such thing"}'}]
    catalog.save()
    with pytest.raises(InputError, match="answers a search with something else than items"):
        search(catalog)


def test_a_server_that_does_not_answer_is_given_up(catalog):
    catalog.faults = [{"path": "stac", "hang": 20}]
    catalog.save()
    start = time.monotonic()
    with pytest.raises(InputError, match="cannot be asked: timed out"):
        search(catalog, timeout_s=0.2)
    assert time.monotonic() - start < 5


def test_an_address_where_nobody_listens_is_told(catalog):
    with pytest.raises(InputError, match=r"cannot be asked: .*refused"):
        search(catalog, url="http://127.0.0.1:9/stac")


@pytest.mark.parametrize("text", ["no-such-catalogue", "ftp://x.org/stac", "/no/such/catalog.json"])
def test_a_name_that_is_no_catalogue(catalog, text):
    with pytest.raises(InputError, match="known catalogues: earth-search, planetary-computer"):
        search(catalog, url=text)


def test_an_unknown_collection_lists_those_that_there_are(catalog):
    catalog.add_collection("landsat")
    catalog.save()
    with pytest.raises(InputError) as raised:
        search(catalog, collection="sentinel-9")
    assert one_line(raised.value).endswith("has no collection 'sentinel-9'")
    assert raised.value.hint == "collections there: landsat, sentinel-2-l2a"


@pytest.mark.parametrize(
    ("extent", "window", "reason"),
    [
        ({"spatial": {"bbox": [[-10, 30, 0, 40]]}}, "2020-06", "covers -10,30,0,40"),
        ({"temporal": {"interval": [["2021-01-01T00:00:00Z", None]]}}, "2020-06", "from 2021-01"),
        ({"temporal": {"interval": [[None, "2019-01-01T00:00:00Z"]]}}, "2020", "to 2019-01-01"),
    ],
)
def test_area_and_window_outside_the_collection(catalog, extent, window, reason):
    catalog.add_collection("small", extent=extent)
    catalog.save()
    with pytest.raises(InputError, match="lies outside the collection small") as raised:
        search(catalog, collection="small", window=window)
    assert reason in raised.value.hint


@pytest.mark.parametrize(
    "extent",
    [
        None,
        {},
        {"spatial": {"bbox": [["x"]]}},
        {"spatial": 3},
        {"temporal": {"interval": [["soon", None]]}},
    ],
)
def test_an_extent_that_says_nothing_is_one_of_everywhere(catalog, extent):
    catalog.add_collection("odd", extent=extent)
    catalog.add_scene("s", "2020-06-13", collection="odd")
    catalog.save()
    assert len(search(catalog, collection="odd").items) == 1


@pytest.mark.parametrize("methods", [["POST"], ["GET"], ["GET", "POST"]])
def test_all_pages_are_read(catalog, methods):
    for number in range(25):
        catalog.add_scene(f"s{number}", f"2020-06-{number + 1:02}", bands=())
    catalog.save(methods=methods, page=10)
    assert len(search(catalog).items) == 25


@pytest.mark.parametrize("methods", [["POST"], ["GET"]])
def test_pages_that_never_end_are_left(catalog, methods):
    for number in range(3):
        catalog.add_scene(f"s{number}", f"2020-06-{number + 1:02}", bands=())
    catalog.save(methods=methods, endless=True)
    notices = []
    scenes = search(catalog, listener=notices.append)
    assert len(scenes.items) == 3
    assert "do not end" in notices[0].message
    assert sum("search" in line for line in catalog.requests) == 2


def test_a_following_page_elsewhere_is_not_read(catalog, tmp_path):
    secret = tmp_path / "items.json"
    catalog.add_scene("s", "2020-06-13")
    secret.write_text(json.dumps({"features": catalog.items}))
    link = {"rel": "next", "href": secret.as_uri()}
    page = {"type": "FeatureCollection", "features": catalog.items, "links": [link]}
    catalog.faults = [{"path": "stac/search", "text": json.dumps(page)}]
    catalog.save()
    with pytest.raises(InputError, match="which is no address of the web"):
        search(catalog)


def test_a_server_that_ignores_the_question_is_not_believed(catalog):
    catalog.add_scene("right", "2020-06-13")
    catalog.add_scene("other-month", "2020-07-13")
    catalog.add_scene("other-place", "2020-06-13", left=LEFT + 50_000)
    catalog.add_scene("other-collection", "2020-06-13", collection="landsat")
    catalog.save(ignores_query=True)
    assert [item.id for item in search(catalog).items] == ["right"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "an item without an id"),
        ({"properties": None}, "broken has no properties"),
        ({"properties": {"datetime": None}}, "broken has no date"),
        ({"properties": {"datetime": "yesterday"}}, "broken has no date"),
        ({"geometry": None, "bbox": None}, "broken has no place"),
        ({"geometry": {"type": "Polygon", "coordinates": [[["a"]]]}}, "broken has no place"),
        ({"geometry": {"type": "Polygon", "coordinates": []}}, "broken has no place"),
        ({"geometry": {"type": "Nonsense"}}, "broken has no place"),
        ({"geometry": {"type": "Point", "coordinates": [15, 46]}}, "broken has no place"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[1e9, 0], [0, 0], [0, 1e9]]]}},
            "broken has no place",
        ),
    ],
)
def test_a_broken_item_is_left_out_and_others_go_on(catalog, change, message):
    good = catalog.add_scene("good", "2020-06-13")
    broken = {**catalog.add_scene("broken", "2020-06-14"), **change}
    page = {"type": "FeatureCollection", "features": [broken, "text", None, good], "links": 3}
    catalog.faults = [{"path": "stac/search", "text": json.dumps(page)}]
    catalog.save()
    notices = []
    assert [item.id for item in search(catalog, listener=notices.append).items] == ["good"]
    assert message in notices[0].message


def test_clouds_beyond_the_most_are_counted_in_the_error(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13", cloud_cover=60)
    catalog.save()
    with pytest.raises(InputError, match=r"with at most 20 % clouds, and 1 with more"):
        fetch(catalog, tmp_path / "a.tif", max_cloud=20)
    assert fetch(catalog, tmp_path / "a.tif", max_cloud=60).items == ("s",)


# --- scenes -----------------------------------------------------------------------------------


def spoiled(catalog, kind):
    """A scene `bad` of which one asset is not what its item says; the line that tells it."""
    item = catalog.add_scene("bad", "2020-06-16", 3000)
    red = "bad/red.tif"
    if kind == "absent":
        del item["assets"]["red"]
        return "bad has no asset 'red', only green, blue, nir, scl"
    if kind == "no mask":
        del item["assets"]["scl"]
        return "bad has no asset 'scl'"
    if kind == "vanished":
        (catalog.path / red).unlink()
        return "bad has an asset 'red' that cannot be read"
    if kind == "page":
        (catalog.path / red).write_text("<html>not here</html>")
        return "bad has an asset 'red' that cannot be read"
    if kind == "vrt":
        inner = f"<SourceFilename>{catalog.path / 'bad' / 'nir.tif'}</SourceFilename>"
        (catalog.path / red).write_text(
            '<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="UInt16" '
            f'band="1"><SimpleSource>{inner}</SimpleSource></VRTRasterBand></VRTDataset>'
        )
        return "bad has an asset 'red' that cannot be read"
    if kind == "torn":
        content = (catalog.path / red).read_bytes()
        (catalog.path / red).write_bytes(content[: len(content) // 2])
        return "bad has an asset 'red' that cannot be read"
    if kind == "size":
        catalog.write_asset(red, 3000, GRID, "EPSG:32633", 50)
        return "of 50 x 50 px, which the catalogue says has 64 x 64"
    if kind == "zone":
        catalog.write_asset(red, 3000, GRID, "EPSG:32632", 64)
        return "bad has an asset 'red' that lies elsewhere than the catalogue says"
    if kind == "no CRS":
        catalog.write_asset(red, 3000, GRID, None, 64)
        return "bad has an asset 'red' without georeference"
    if kind == "mask":
        catalog.write_asset("bad/scl.tif", 77, GRID, "EPSG:32633", 64, "uint8")
        return "bad has clouds that cannot be told: the quality band is no SCL"
    if kind == "local":
        item["assets"]["red"]["href"] = str((catalog.path / red).as_uri())
        return "bad has an asset 'red' that is not read: the catalogue names file:///"
    if kind == "vsi":
        item["assets"]["red"]["href"] = f"vsi:/vsicurl/{catalog.base}/{red}"
        return "that is not read: the catalogue names vsi:/vsicurl"
    raise AssertionError(kind)


KINDS = (
    "absent",
    "no mask",
    "vanished",
    "page",
    "vrt",
    "torn",
    "size",
    "zone",
    "no CRS",
    "mask",
    "local",
    "vsi",
)


@pytest.mark.parametrize(
    ("kind", "composite"),
    [*((kind, "best") for kind in KINDS), ("vanished", "median"), ("mask", "median")],
)
def test_a_scene_that_is_not_what_it_says_is_left_out(catalog, tmp_path, kind, composite):
    catalog.add_scene("good", "2020-06-02", 2000)
    line = spoiled(catalog, kind)
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif", composite=composite)
    assert scene.items == ("good",)
    (warning,) = scene.warnings
    assert line in warning
    assert (bands_of(tmp_path / "a.tif")[0] == 2000).all()


def test_a_path_of_this_machine_is_asked_of_the_server(catalog, tmp_path):
    catalog.add_scene("good", "2020-06-02", 2000)
    item = catalog.add_scene("bad", "2020-06-16", 3000)
    secret = catalog.path / "bad" / "red.tif"
    item["assets"]["red"]["href"] = str(secret)
    catalog.save()
    assert fetch(catalog, tmp_path / "a.tif").items == ("good",)


def test_where_no_scene_can_be_read_the_first_reason_is_told(catalog, tmp_path):
    line = spoiled(catalog, "no CRS")
    catalog.save()
    with pytest.raises(InputError, match=r"none of the 1 scenes .* can be read: ") as raised:
        fetch(catalog, tmp_path / "a.tif")
    assert line in one_line(raised.value)
    assert not (tmp_path / "a.tif").exists()


def test_an_asset_that_fails_now_and_then_is_asked_again(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13", 2000)
    catalog.faults = [{"path": "s/nir.tif", "status": 503, "times": 1}]
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif")
    assert (scene.items, scene.warnings) == (("s",), ())


@pytest.mark.parametrize("composite", ["best", "median"])
def test_an_asset_that_fails_while_it_is_read_begins_the_image_anew(catalog, tmp_path, composite):
    """No part of a scene that was left out stays in the image."""
    noise = np.random.default_rng(1).integers(3000, 3999, (600, 600))
    catalog.add_scene("good", "2020-06-02", 2000, side_px=600)
    catalog.add_scene("bad", "2020-06-16", noise, side_px=600)
    # The header can be read, and what comes with it; what follows cannot.
    catalog.faults = [{"path": "bad/nir.tif", "status": 404, "after": 1}]
    catalog.save()
    area = box_text(width_m=6000, height_m=6000)
    scene = fetch(catalog, tmp_path / "a.tif", area=area, composite=composite)
    assert scene.items == ("good",)
    assert "bad has an asset 'nir' that cannot be read" in scene.warnings[0]
    assert (bands_of(tmp_path / "a.tif")[3] == 2003).all()


def test_a_server_that_stops_in_an_asset_is_given_up(catalog, tmp_path):
    catalog.add_scene("good", "2020-06-02", 2000)
    catalog.add_scene("bad", "2020-06-16", 3000)
    catalog.faults = [{"path": "bad/nir.tif", "hang": 30}]
    catalog.save()
    start = time.monotonic()
    scene = fetch(catalog, tmp_path / "a.tif", timeout_s=1)
    assert scene.items == ("good",)
    assert time.monotonic() - start < 25


def test_many_scenes_that_fail_are_not_all_told(catalog, tmp_path):
    catalog.add_scene("good", "2020-06-30", 2000)
    for number in range(8):
        item = catalog.add_scene(f"bad{number}", f"2020-06-{number + 10}", bands=())
        item["assets"] = {}
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif")
    assert len(scene.warnings) == 6
    assert scene.warnings[-1].startswith("more scenes are left out")


@pytest.mark.parametrize(
    ("value", "told", "line"),
    [
        (500, {"scale": 1e-4, "offset": -0.1}, "100 % of the values are below zero"),
        (5000, {"scale": 1.0, "offset": 0.0}, "100 % of the values are beyond reflectance"),
    ],
)
def test_a_scale_or_offset_that_makes_no_reflectance_is_told(catalog, tmp_path, value, told, line):
    item = catalog.add_scene("s", "2020-06-13", value)
    for band in BANDS:
        item["assets"][band]["raster:bands"] = [told]
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif")
    assert line in scene.warnings[0]
    assert "must not be compared" in scene.warnings[0]


def test_bands_that_are_not_there(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13")
    catalog.save()
    with pytest.raises(OptionError, match="has no band 'thermal'") as raised:
        fetch(catalog, tmp_path / "a.tif", bands=("red", "thermal"))
    assert "coastal, blue, green, red" in raised.value.hint
    with pytest.raises(OptionError, match="named twice"):
        fetch(catalog, tmp_path / "a.tif", bands=("red", "red"))


def test_an_image_that_is_too_large_is_refused(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13", left=LEFT - 200_000, top=TOP + 100_000)
    catalog.items[-1]["geometry"] = None
    catalog.items[-1]["bbox"] = [0, 30, 30, 60]
    catalog.save()
    with pytest.raises(OptionError, match=r"the image would have [\d,]+ x [\d,]+ px"):
        fetch(catalog, tmp_path / "a.tif", area="5,40,15,50")


@pytest.mark.parametrize(
    ("crs", "reason"), [("EPSG:9999999", "is no CRS"), ("EPSG:3031", "has no place in")]
)
def test_a_crs_that_does_not_do(catalog, tmp_path, crs, reason):
    catalog.add_scene("s", "2020-06-13")
    catalog.save()
    with pytest.raises(OptionError, match=reason):
        fetch(catalog, tmp_path / "a.tif", crs=crs)


def test_like_a_raster_that_is_no_grid(catalog, tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        fetch(catalog, tmp_path / "a.tif", like=str(tmp_path / "none.tif"))
    catalog.write_asset("plain.tif", 5, Affine.identity(), None, 8)
    with pytest.raises(InputError, match="has no georeference"):
        fetch(catalog, tmp_path / "a.tif", like=str(catalog.path / "plain.tif"))


def test_a_collection_without_a_mask_says_so(catalog, tmp_path, monkeypatch):
    monkeypatch.setattr("geochg.extras.is_installed", lambda package: False)
    catalog.add_collection("drone")
    item = catalog.add_scene("s", "2020-06-13", 2000, CLOUD, collection="drone")
    del item["assets"]["scl"]
    for band in BANDS:
        item["assets"][band] |= {"eo:bands": [{"common_name": band}], "gsd": 10}
        item["assets"][band] |= {"raster:bands": [{"scale": 1e-4}]}
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif", collection="drone")
    assert "drone has no cloud mask: clouds are in the image" in scene.warnings[0]
    assert (bands_of(tmp_path / "a.tif")[0] == 2000).all()
    assert fetch(catalog, tmp_path / "a.tif", collection="drone", clouds="none").warnings == ()
    with pytest.raises(OptionError, match="no table tells the clouds of drone"):
        fetch(catalog, tmp_path / "a.tif", collection="drone", clouds="table")


def test_assets_that_nothing_names_are_listed(catalog, tmp_path):
    catalog.add_collection("odd")
    catalog.add_scene("s", "2020-06-13", bands=("x1", "x2"), collection="odd")
    catalog.save()
    with pytest.raises(InputError, match="which asset of odd is which band: x1, x2, scl") as raised:
        fetch(catalog, tmp_path / "a.tif", collection="odd")
    assert "--edit" in raised.value.hint


def test_a_picture_of_eight_bits_keeps_its_values_and_gets_a_mask(catalog, tmp_path):
    catalog.add_collection("air")
    item = catalog.add_scene("s", "2020-06-13", bands=(), collection="air", left=LEFT + 320)
    transform = Affine(10, 0, LEFT + 320, 0, -10, TOP)
    values = np.stack([np.full((64, 64), value) for value in (0, 120, 255)])
    catalog.write_asset("s/visual.tif", values, transform, "EPSG:32633", 64, "uint8", None)
    item["assets"] = {"visual": {"href": f"{catalog.base}/s/visual.tif", "roles": ["visual"]}}
    catalog.save()
    notices = []
    scene = fetch(catalog, tmp_path / "a.tif", collection="air", listener=notices.append)
    assert scene.hidden_share == pytest.approx(0.5)
    with rasterio.open(tmp_path / "a.tif") as image:
        assert (image.dtypes[0], image.nodata, image.res) == ("uint8", None, (10.0, 10.0))
        assert image.descriptions == ("red", "green", "blue")
        mask = image.dataset_mask()
        assert (image.read()[:, :, 32:] == values[:, :, :32]).all()
    assert (mask[:, :32] == 0).all()
    assert (mask[:, 32:] == 255).all()
    assert all(event.warning for event in notices if isinstance(event, Notice))


def test_a_file_with_fewer_bands_than_the_table_says(catalog, tmp_path):
    catalog.add_collection("naip")
    item = catalog.add_scene("s", "2020-06-13", bands=(), collection="naip")
    catalog.write_asset("s/image.tif", np.ones((3, 64, 64)), GRID, "EPSG:32633", 64, "uint8", None)
    item["assets"] = {"image": {"href": f"{catalog.base}/s/image.tif"}}
    catalog.save()
    with pytest.raises(InputError, match="'image' of 3 bands, not 4"):
        fetch(catalog, tmp_path / "a.tif", collection="naip")
    assert S2 in [entry["id"] for entry in catalog.collections]
