"""Lists of pairs as they are written."""

import json

import pytest

from geochg.batch.pair_list import read_pair_list
from geochg.errors import InputError, OptionError


def write(folder, name, text):
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def test_a_table_has_options_as_columns_and_as_an_object(tmp_path):
    path = write(
        tmp_path,
        "pairs.csv",
        "id;before;After;tile-size;match;classes;min_confidence;options\n"
        'a;b.tif;c.tif;128;yes;"building,road";0.5;"{""model"": ""cva""}"\n'
        ";;;;;;;\n"
        "b;d.tif;e.tif\n",
    )
    first, second = read_pair_list(path)
    assert (first.place, first.id, first.before, first.after) == ("line 2", "a", "b.tif", "c.tif")
    assert first.options == {
        "tile_size_px": 128,
        "match": True,
        "classes": ["building", "road"],
        "min_confidence": 0.5,
        "model": "cva",
    }
    assert (second.place, second.options, second.folder) == ("line 4", {}, tmp_path)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("tile_size_px;1.5", "whole number"),
        ("match;perhaps", "true or false"),
        ("min_confidence;much", "a number"),
        ("options;[1]", "no object"),
        ("options;{", "no JSON object"),
        ("model_options;half", "object of JSON"),
    ],
)
def test_a_cell_that_is_no_value_is_the_fault_of_its_row(tmp_path, cell, reason):
    name, value = cell.split(";")
    path = write(tmp_path, "p.csv", f"before;after;{name}\na;b;{value}\nc;d;\n")
    first, second = read_pair_list(path)
    assert reason in first.fault
    assert not second.fault


@pytest.mark.parametrize(
    ("text", "error", "part"),
    [
        ("id,before\na,b\n", InputError, "no column 'after'"),
        ("before,after,colour\na,b,red\n", OptionError, "'colour'"),
        ("before,after,resume\na,b,true\n", OptionError, "'resume'"),
        ("before,after,tile-size,tile_size_px\na,b,1,1\n", InputError, "two columns"),
        ("before,after\n", InputError, "no pair"),
        ("", InputError, "no column"),
    ],
)
def test_a_table_that_is_no_list_is_refused(tmp_path, text, error, part):
    with pytest.raises(error, match=part):
        read_pair_list(write(tmp_path, "p.csv", text))


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"pairs": rows}])
def test_json_is_an_array_of_objects(tmp_path, wrap):
    rows = [{"id": 7, "before": "a.tif", "after": "b.tif", "options": {"match": True}}, "nothing"]
    first, second = read_pair_list(write(tmp_path, "p.json", wrap(rows)))
    assert (first.id, first.before, first.options) == ("7", "a.tif", {"match": True})
    assert "no object" in second.fault


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"before": "a", "after": "b", "befor": "c"}, "'befor'"),
        ({"before": "a", "after": "b", "options": ["x"]}, "no object"),
    ],
)
def test_a_member_that_means_nothing_is_the_fault_of_its_row(tmp_path, row, reason):
    (pair,) = read_pair_list(write(tmp_path, "p.json", [row]))
    assert reason in pair.fault


@pytest.mark.parametrize("content", [{}, "text", 3, {"pairs": "a"}, []])
def test_json_without_pairs_is_refused(tmp_path, content):
    with pytest.raises(InputError):
        read_pair_list(write(tmp_path, "p.json", json.dumps(content)))


def test_features_of_geojson_have_their_pair_as_properties(tmp_path):
    feature = {"type": "Feature", "id": "f1", "geometry": None}
    rows = [
        {**feature, "properties": {"before": "a.tif", "after": "b.tif", "name": "x"}},
        {**feature, "properties": {"id": "f2", "before": "c.tif", "options": {"match": True}}},
    ]
    path = write(tmp_path, "p.geojson", {"type": "FeatureCollection", "features": rows})
    first, second = read_pair_list(path)
    assert (first.id, first.after, first.place) == ("f1", "b.tif", "feature 1")
    assert (second.id, second.after, second.options) == ("f2", "", {"match": True})


def item(name, **assets):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": None,
        "properties": {"geochg:options": {"tile_size_px": 64}},
        "assets": {key: {"href": href} for key, href in assets.items()},
    }


def catalog(*links, kind="Catalog"):
    return {
        "type": kind,
        "stac_version": "1.0.0",
        "id": "c",
        "links": [{"rel": rel, "href": href} for rel, href in links],
    }


def test_a_static_catalogue_is_followed_to_its_items(tmp_path):
    (tmp_path / "north").mkdir()
    write(tmp_path, "north/a b.json", item("a", before="./b.tif", after="../c%20d.tif"))
    write(tmp_path, "north/sub.json", catalog(("item", "a%20b.json"), ("root", "../catalog.json")))
    write(tmp_path, "late.json", item("z", before="b.tif", after=(tmp_path / "e.tif").as_uri()))
    path = write(
        tmp_path,
        "catalog.json",
        catalog(("self", "x"), ("child", "north/sub.json"), ("item", "late.json"),
                ("child", "catalog.json")),
    )  # fmt: skip
    first, last = read_pair_list(path)
    assert (first.id, first.place, first.options) == ("a", "item a", {"tile_size_px": 64})
    assert first.before == str(tmp_path / "north" / "./b.tif")
    assert first.after == str(tmp_path / "north" / "../c d.tif")
    assert (last.id, last.after) == ("z", str(tmp_path / "e.tif"))


def test_an_item_collection_and_a_single_item_are_lists(tmp_path):
    items = [item("a", before="b", after="c"), item("d", before="e")]
    path = write(tmp_path, "items.json", {"type": "FeatureCollection", "features": items})
    first, second = read_pair_list(path)
    assert (first.id, first.fault) == ("a", "")
    assert "no asset 'after' (has: before)" in second.fault
    (alone,) = read_pair_list(write(tmp_path, "one.json", items[0]))
    assert alone.id == "a"


def test_links_that_lead_nowhere_are_faults_and_no_machine_is_asked(tmp_path):
    write(tmp_path, "bad.json", "{")
    write(tmp_path, "plain.json", {"type": "Topology"})
    path = write(
        tmp_path,
        "catalog.json",
        catalog(("item", "http://127.0.0.1:9/item.json"), ("item", "gone.json"),
                ("child", "bad.json"), ("child", "plain.json")),
    )  # fmt: skip
    faults = [row.fault for row in read_pair_list(path)]
    parts = ["another machine", "gone.json", "bad.json", "no STAC document"]
    assert len(faults) == 4
    assert all(part in fault for part, fault in zip(parts, faults, strict=True))


def test_a_catalogue_without_items_is_empty(tmp_path):
    with pytest.raises(InputError, match="no pair"):
        read_pair_list(write(tmp_path, "catalog.json", catalog()))


@pytest.mark.parametrize("name", ["pairs.xlsx", "pairs"])
def test_other_files_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="what kind of list"):
        read_pair_list(write(tmp_path, name, "x"))
    with pytest.raises(InputError, match="is a folder"):
        read_pair_list(tmp_path)
