"""Layers of vector files: the one that is named, else the only one."""

import socket
import sqlite3

import geopandas as gpd
import pytest
from shapely import LineString, Point, box

from geochg.errors import InputError
from geochg.geometry.vector_file import LayerName, file_of, is_vector_name, read_areas

SHAPES = {"old town": box(0, 0, 2, 2), "harbour": box(10, 10, 13, 13)}


def frame(*shapes, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=32633)


def two_layers(folder):
    path = folder / "two.gpkg"
    for name, shape in SHAPES.items():
        frame(shape, kind=[name]).to_file(path, layer=name, driver="GPKG")
    return path


def two_shapefiles(folder):
    for name, shape in SHAPES.items():
        frame(shape, kind=[name]).to_file(folder / f"{name}.shp")
    return folder


@pytest.mark.parametrize("make", [two_layers, two_shapefiles])
def test_several_layers_are_listed_until_one_is_named(tmp_path, make):
    path = make(tmp_path)
    with pytest.raises(InputError, match="2 layers and none is named") as told:
        read_areas(str(path))
    assert "old town" in told.value.hint
    assert "harbour" in told.value.hint
    assert "|layername=" in told.value.hint
    for name, shape in SHAPES.items():
        found, note = read_areas(f"{path}|layername={name}")
        assert found.geometry.iloc[0].equals(shape)
        assert not note


def test_a_layer_is_named_as_qgis_writes_it(tmp_path):
    path = two_layers(tmp_path)
    names = [layer for layer, _ in __import__("pyogrio").list_layers(path)]
    number = names.index("harbour")
    for text in (
        f"{path}|layername=harbour|geometrytype=Polygon",
        f"{path}|layerid={number}",
        f"{path}|layername=harbour|subset=\"kind\" = 'harbour'",
    ):
        assert read_areas(text)[0].geometry.iloc[0].equals(SHAPES["harbour"])


@pytest.mark.parametrize(
    ("behind", "message"),
    [
        ("|layername=suburb", "no layer 'suburb'"),
        ("|layerid=7", "no layer number 7"),
        ("|layerid=x", "no number of a layer"),
        ("|harbour", "names no layer"),
        ("|layername=harbour|subset=\"kind\" = 'x'", "no polygon"),
        ("|layername=harbour|subset=no such thing", "not a vector file"),
    ],
)
def test_a_layer_that_is_not_there_is_refused(tmp_path, behind, message):
    with pytest.raises(InputError, match=message) as told:
        read_areas(f"{two_layers(tmp_path)}{behind}")
    assert told.value.hint


def test_tables_without_shapes_do_not_count(tmp_path):
    path = tmp_path / "one.gpkg"
    frame(SHAPES["harbour"]).to_file(path, layer="harbour", driver="GPKG")
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE layer_styles (id INTEGER PRIMARY KEY, styleQML TEXT)")
    base.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles')"
    )
    base.commit()
    base.close()
    assert len(read_areas(str(path))[0]) == 1


@pytest.mark.parametrize("suffix", ["geojson", "gpkg", "fgb", "parquet"])
def test_lines_and_points_are_left_out_and_told(tmp_path, suffix):
    path = tmp_path / f"mixed.{suffix}"
    mixed = frame(SHAPES["harbour"], LineString([(0, 0), (9, 9)]), Point(5, 5))
    mixed.to_parquet(path) if suffix == "parquet" else mixed.to_file(path)
    found, note = read_areas(str(path))
    assert [shape.area for shape in found.geometry] == [9]
    assert note.endswith("1 line and 1 point are left out: only polygons count")
    assert str(path) in note


@pytest.mark.parametrize(
    "shapes", [[LineString([(0, 0), (9, 9)])], [Point(1, 1)], [box(0, 0, 9, 0)]]
)
def test_a_file_without_any_area_is_refused(tmp_path, shapes):
    path = tmp_path / "none.geojson"
    frame(*shapes).to_file(path)
    with pytest.raises(InputError, match="no polygon with an area"):
        read_areas(str(path))


def test_the_file_of_a_layer_is_known(tmp_path):
    path = two_layers(tmp_path)
    assert file_of(f"{path}|layername=harbour") == file_of(str(path)) == str(path)
    assert file_of("POLYGON((0 0, 1 1, 1 0, 0 0))") == "POLYGON((0 0, 1 1, 1 0, 0 0))"
    assert is_vector_name(f"{path}|layername=x")
    assert is_vector_name("shapes|layername=x")
    assert not is_vector_name("mask.tif")


def test_a_file_may_have_a_bar_in_its_name(tmp_path):
    path = tmp_path / "a|b.geojson"
    frame(SHAPES["harbour"]).to_file(path)
    assert len(read_areas(str(path))[0]) == 1


def test_a_subset_may_hold_a_bar():
    assert LayerName.of("a.gpkg|layername=x|subset=a || b = 'c'").subset == "a || b = 'c'"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("name", ["a.geojson", "a.json"])
def test_geojson_in_any_encoding(tmp_path, encoding, name):
    text = frame(SHAPES["old town"], kind=["größer"]).to_crs(4326).to_json()
    (tmp_path / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
    found, note = read_areas(str(tmp_path / name))
    assert list(found["kind"]) == ["größer"]
    assert note == ""


def test_other_text_in_utf_16_is_refused(tmp_path):
    for text in ("hello", "<OGRVRTDataSource/>", "", "\ud800"):
        content = text.encode("utf-16", "surrogatepass")
        (tmp_path / "a.geojson").write_bytes(content)
        with pytest.raises(InputError, match="not a vector file"):
            read_areas(str(tmp_path / "a.geojson"))


GML = """<?xml version="1.0"?>
<ogr:FeatureCollection xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://a {schema}" xmlns:ogr="http://a"
 xmlns:gml="http://www.opengis.net/gml" xmlns:wfs="http://www.opengis.net/wfs">
<gml:featureMember><ogr:a fid="a.0"><ogr:g><gml:Polygon srsName="EPSG:4326"><gml:outerBoundaryIs>
<gml:LinearRing><gml:coordinates>0,0 1,0 1,1 0,0</gml:coordinates></gml:LinearRing>
</gml:outerBoundaryIs></gml:Polygon></ogr:g></ogr:a></gml:featureMember></ogr:FeatureCollection>
"""


@pytest.mark.parametrize(
    "asked", ["x.xsd", "wfs?SERVICE=WFS&amp;REQUEST=DescribeFeatureType&amp;TYPENAME=a"]
)
@pytest.mark.parametrize("name", ["a.gml", "a.geojson", "a.xml"])
def test_a_schema_is_not_fetched_and_nothing_is_left_beside(tmp_path, asked, name):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / name).write_text(GML.format(schema=f"http://127.0.0.1:{port}/{asked}"))
        frame, _ = read_areas(str(tmp_path / name))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert len(frame) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_user_has_beside_a_file_stays(tmp_path):
    (tmp_path / "a.gml").write_text(GML.format(schema="x.xsd"))
    (tmp_path / "a.gfs").write_text("mine")
    read_areas(str(tmp_path / "a.gml"))
    assert (tmp_path / "a.gfs").exists()
