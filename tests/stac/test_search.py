"""Searches of APIs and static catalogues, and of catalogues that are known by name."""

import json

import pytest
from fetched_scenes import bands_of, fetch
from scene_catalog import LEFT, S2, box_text

from geochg.errors import InputError
from geochg.stac.collection import BandSource
from geochg.stac.date_window import DateWindow
from geochg.stac.known import copy_for_user, read_known_catalogs, user_file
from geochg.stac.options import FetchOptions
from geochg.stac.search import search_scenes
from geochg.stac.search_area import SearchArea


def search(url, *, window="2020-06", listener=None, **options):
    return search_scenes(
        SearchArea.of(box_text()),
        DateWindow.of(window),
        FetchOptions(catalog=str(url), **options),
        listener=listener or (lambda event: None),
    )


def test_the_server_of_these_tests_is_one_to_others_too(catalog):
    """pystac-client finds what we find."""
    pystac_client = pytest.importorskip("pystac_client")
    for day in (3, 13, 23):
        catalog.add_scene(f"s{day}", f"2020-06-{day:02}", bands=(), cloud_cover=day)
    catalog.add_scene("july", "2020-07-03", bands=())
    catalog.save(page=2)
    area, window = SearchArea.of(box_text()), DateWindow.of("2020-06")
    theirs = pystac_client.Client.open(catalog.url).search(
        collections=[S2], bbox=area.boxes()[0], datetime=window.interval
    )
    ours = search(catalog.url).items
    assert (
        {item.id for item in ours} == {item.id for item in theirs.items()} == {"s3", "s13", "s23"}
    )
    assert [item.cloud_cover for item in ours] == [3, 13, 23]


@pytest.mark.parametrize("place", ["url", "file"])
def test_a_static_catalogue(catalog, place):
    catalog.add_scene("s", "2020-06-13", 2000)
    catalog.add_scene("july", "2020-07-13", 2000)
    catalog.add_scene("l", "2020-06-13", 2000, collection="landsat")
    catalog.add_collection("landsat")
    root = catalog.save_static()
    root = root if place == "file" else f"{catalog.base}/static/catalog.json"
    assert [item.id for item in search(root).items] == ["s"]
    with pytest.raises(InputError) as raised:
        search(root, collection="sentinel-9")
    assert raised.value.hint == "collections there: landsat, sentinel-2-l2a"
    # The items of other collections are not read.
    assert not any("/l.json" in line for line in catalog.requests)


@pytest.mark.parametrize("place", ["url", "file"])
def test_scenes_of_a_static_catalogue_are_fetched(catalog, tmp_path, place):
    catalog.add_scene("s", "2020-06-13", 2000)
    root = catalog.save_static()
    url = str(root) if place == "file" else f"{catalog.base}/static/catalog.json"
    assert fetch(catalog, tmp_path / "a.tif", catalog=url).items == ("s",)
    assert (bands_of(tmp_path / "a.tif")[0] == 2000).all()
    # No more is asked of a server than the catalogue names.
    assert bool(catalog.requests) == (place == "url")


def test_a_catalogue_in_a_file_asks_no_server_unless_trusted(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13", 2000)
    catalog.save()
    file = tmp_path / "items.json"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": catalog.items}))
    with pytest.raises(InputError, match="names an address elsewhere"):
        fetch(catalog, tmp_path / "a.tif", catalog=str(file))
    assert catalog.requests == []
    scene = fetch(catalog, tmp_path / "a.tif", catalog=str(file), allow_remote=True)
    assert scene.items == ("s",)


def test_a_static_catalogue_that_goes_round_or_lacks_documents(catalog):
    catalog.add_scene("s", "2020-06-13")
    root = catalog.save_static()
    content = json.loads(root.read_text())
    content["links"] += [
        {"rel": "child", "href": "catalog.json"},
        {"rel": "child", "href": "gone.json"},
        {"rel": "item", "href": "/vsicurl/http://x"},
        {"rel": "item", "href": "page.json"},
        {"rel": "item"},
        "link",
    ]
    root.write_text(json.dumps(content))
    root.with_name("page.json").write_text("<html>")
    notices = []
    scenes = search(root, listener=notices.append)
    assert [item.id for item in scenes.items] == ["s"]
    assert len(notices) == 3


def test_an_item_alone_is_a_catalogue(catalog):
    item = catalog.add_scene("s", "2020-06-13")
    catalog.save()
    (catalog.path / "item.json").write_text(json.dumps(item))
    assert len(search(f"{catalog.base}/item.json").items) == 1
    with pytest.raises(InputError, match="no collection 'landsat'"):
        search(f"{catalog.base}/item.json", collection="landsat")


def test_scenes_of_one_overpass_have_one_day_also_over_midnight(catalog):
    # East of New Zealand, midnight UTC is noon.
    catalog.add_scene("a", "2020-06-13", left=LEFT, crs="EPSG:32760", time="23:59:50", bands=())
    catalog.add_scene("b", "2020-06-14", left=LEFT, crs="EPSG:32760", time="00:00:10", bands=())
    catalog.save()
    scenes = search_scenes(
        SearchArea.of(box_text(crs="EPSG:32760")),
        DateWindow.of("2020-06"),
        FetchOptions(catalog=catalog.url),
    )
    assert {item.day for item in scenes.items} == {"2020-06-14"}


# --- catalogues that are known ------------------------------------------------------------------


def test_the_tables_that_come_with_geochg_are_whole():
    tables = read_known_catalogs()
    assert "earth-search" in tables.catalogs
    for collection in tables.collections:
        assert collection.catalog in tables.catalogs
        assert set(collection.default) <= set(collection.bands)
        assert collection.resolution_m
        assert collection.attribution
        assert {"red", "green", "blue", "nir"} <= set(collection.bands)
    sentinel = tables.collection(tables.catalog(""), S2)
    assert sentinel.bands["swir"] == BandSource("swir16")
    naip = tables.collection(tables.catalog("planetary-computer"), "naip")
    assert naip.bands["nir"] == BandSource("image", 4)


def test_the_users_own_entries_count_first(catalog, monkeypatch):
    file = user_file()
    file.parent.mkdir(parents=True)
    file.write_text(
        f"""
        [catalogs.mine]
        url = "{catalog.url}"
        [[collections]]
        catalog = "mine"
        id = "drone"
        resolution_m = 2
        bands = {{ red = "ortho:1", green = "ortho:2", blue = "ortho:3" }}
        [[collections]]
        catalog = "earth-search"
        id = "sentinel-2-l2a"
        resolution_m = 20
        bands = {{ red = "B04" }}
        """
    )
    tables = read_known_catalogs()
    assert tables.catalog("mine").url == catalog.url
    assert tables.catalog(f"{catalog.url}/").name == "mine"
    drone = tables.collection(tables.catalog("mine"), "drone")
    assert drone.default == ("red", "green", "blue")
    assert tables.collection(tables.catalog("earth-search"), S2).resolution_m == 20
    assert tables.collection(tables.catalog("planetary-computer"), S2).resolution_m == 10


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[catalogs", "is not a TOML file"),
        ("catalogs = 3", "holds no"),
        ("[catalogs.x]\nabout = 'x'", "needs url"),
        ("[catalogs.x]\nurl = 'https://x.org'\ntoken = 'https://x.org/t'", "one of token"),
        ("[[collections]]\nid = 'x'", "x cannot be read: it lacks 'bands'"),
        ("[[collections]]\nid = 'x'\ncatalog = 'y'\nbands = {}\nresolution_m = 0", "no size"),
        ("[[collections]]\nid = 'x'\ncatalog = 'y'\nbands = {}\nbandz = 1", "unknown key bandz"),
        ("[[collections]]\nid = 'x'\ncatalog = 'y'\nbands = {a = 'b'}\ndefault = ['c']", "names c"),
        (
            "[[collections]]\nid = 'x'\ncatalog = 'y'\nbands = {}\nresolution_m = 1\n"
            "mask = {asset = 'm'}",
            "mask needs one of",
        ),
    ],
)
def test_a_broken_table_of_the_users_is_told(catalog, text, reason):
    file = user_file()
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(InputError, match=reason) as raised:
        read_known_catalogs()
    assert str(file) in raised.value.message


def test_a_copy_is_made_once(catalog):
    file = copy_for_user()
    assert "earth-search" in file.read_text(encoding="utf-8")
    file.write_text("# mine\n")
    assert copy_for_user() == file
    assert file.read_text() == "# mine\n"
    assert "earth-search" in read_known_catalogs().catalogs


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"token": ""}, "gives no token"),
        ({"token": "a\nb"}, "gives no token"),
        ({}, "gives no token"),
        (None, "is not there"),
    ],
)
def test_a_token_that_does_not_come_is_an_error(catalog, tmp_path, answer, reason):
    write_token_table(catalog)
    if answer is not None:
        (catalog.path / f"token-{S2}").write_text(json.dumps(answer))
    with pytest.raises(InputError, match=reason):
        fetch(catalog, tmp_path / "a.tif", catalog="mine")


def test_a_token_is_asked_for_the_collection_and_stays_out_of_the_file(catalog, tmp_path):
    write_token_table(catalog)
    (catalog.path / f"token-{S2}").write_text(json.dumps({"token": "sv=1&sig=verysecret"}))
    fetch(catalog, tmp_path / "a.tif", catalog="mine")
    assert any(f"GET /{catalog.path.name}/token-{S2}" in line for line in catalog.requests)
    # The server of the scenes has another name than that of the table.
    assert not any("verysecret" in line for line in catalog.requests)
    assert b"verysecret" not in (tmp_path / "a.tif").read_bytes()


def write_token_table(catalog):
    catalog.add_scene("s", "2020-06-13", 2000)
    catalog.save()
    file = user_file()
    file.parent.mkdir(parents=True)
    file.write_text(
        f'[catalogs.mine]\nurl = "{catalog.url}"\ntoken = "{catalog.base}/token-{{collection}}"\n'
        'token_host = ".blob.core.windows.net"\n'
    )
