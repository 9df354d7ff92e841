import errno
import itertools
import json
import sqlite3
import time
from contextlib import closing

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from affine import Affine
from tile_factory import ALTERED, BUILDING, make_grid, results_of

from geochg.errors import OptionError, RunError
from geochg.features.changes import FeatureSettings, changes_of
from geochg.features.tiles import tile_features
from geochg.records import Caption, Channel, Counts, TileFailure
from geochg.writers.layers import LAYER_SUFFIXES, write_features, write_frames
from geochg.writers.staging import Staging


def change_features(*arguments):
    return changes_of(*arguments).layer.frame()


METADATA = {
    "version": "0.1.0",
    "model": {"id": "irmad", "checksum": None},
    "sources": [{"path": "vorher/größe.tif", "size": 12345678901}],
    "options": {"min_confidence": 0.1},
}
GDAL_SUFFIXES = (".gpkg", ".fgb")
PARQUET_SUFFIXES = (".parquet", ".geoparquet")


def layer(crs="EPSG:32633", affine=None):
    classes = np.zeros((24, 24), int)
    classes[2:10, 2:10] = 1
    classes[4:8, 4:8] = 0
    classes[5, 5] = 2
    classes[11:14, 11:20] = 2
    said = Caption('a "house"\nof straße', True), Counts({"building": 1})
    # Waters are not counted.
    channels = BUILDING, Channel("water", ALTERED)
    results = results_of(classes, 12, *said, channels=channels)
    return change_features(results, make_grid((24, 24), crs, affine), FeatureSettings())


def read(path):
    frame = gpd.read_parquet(path) if path.suffix in PARQUET_SUFFIXES else gpd.read_file(path)
    return frame.sort_values("id").reset_index(drop=True)


def metadata_in(path):
    if path.suffix in PARQUET_SUFFIXES:
        return json.loads(pq.read_schema(path).metadata[b"geochg"])
    if path.suffix in GDAL_SUFFIXES:
        return json.loads(pyogrio.read_info(path)["layer_metadata"]["geochg"])
    return json.loads(path.read_text(encoding="utf-8"))["geochg"]


@pytest.mark.parametrize("suffix", LAYER_SUFFIXES)
def test_every_format_reads_back(tmp_path, suffix):
    frame, path = layer(), tmp_path / f"änderung{suffix}"
    write_features(frame, path, METADATA)
    found = read(path)
    assert metadata_in(path) == METADATA
    assert frame["class"].tolist() == ["building", "water", "water"]
    for name in ("id", "class", "change", "confidence", "caption", "area_m2"):
        assert found[name].tolist() == frame[name].tolist()
    assert [None if pd.isna(n) else n for n in found["count"]] == [1, None, None]
    assert found[["before_class", "after_class"]].isna().all(axis=None)
    for name in ("tiles", "cells"):
        lists = [json.loads(v) if isinstance(v, str) else list(v) for v in found[name]]
        assert lists == frame[name].tolist()
    if suffix in (".geojson", ".json"):
        assert found.crs == "EPSG:4326"
        # Seven decimals are a centimetre.
        apart = found.to_crs(frame.crs).symmetric_difference(frame.geometry)
        assert apart.area.max() < 5
    else:
        assert found.crs == frame.crs
        assert found.geometry.geom_equals(frame.geometry).all()


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".fgb"])
def test_texts_stay_texts_and_lists_lists_whatever_is_in_them(tmp_path, suffix):
    captions = ['{"answer": "a house"}', "[1, 2]", "{roofs}"]
    quoted = ['it\'s a "tin" roof', "[]"]
    lists = pd.Series([quoted, [], ["roof"]], dtype="object")
    frame = layer().assign(caption=pd.array(captions, dtype="string"), cells=lists)
    path = tmp_path / f"quoted{suffix}"
    write_features(frame, path, METADATA)
    if suffix == ".geojson":
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        rows = [feature["properties"] for feature in features]
        assert [row["caption"] for row in rows] == captions
        assert [row["cells"] for row in rows] == lists.tolist()
        return
    found = read(path)
    assert found["caption"].tolist() == captions
    assert list(map(json.loads, found["cells"])) == lists.tolist()


@pytest.mark.parametrize("suffix", LAYER_SUFFIXES)
def test_the_same_table_gives_the_same_bytes(tmp_path, suffix):
    frame = layer()
    one, other = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
    write_features(frame, one, METADATA)
    time.sleep(1.1)
    write_features(frame, other, METADATA)
    assert one.read_bytes() == other.read_bytes()
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None


@pytest.mark.parametrize("suffix", LAYER_SUFFIXES)
def test_layers_without_features_are_valid(tmp_path, suffix):
    full = layer()
    frame, path = full.iloc[:0], tmp_path / f"empty{suffix}"
    write_features(frame, path, METADATA)
    assert metadata_in(path) == METADATA
    if suffix in (".geojson", ".json"):
        assert json.loads(path.read_text())["features"] == []
        return
    found = read(path)
    assert len(found) == 0
    assert set(found.columns) == set(frame.columns)
    assert found.crs == frame.crs
    if suffix in PARQUET_SUFFIXES:
        write_features(full, tmp_path / f"full{suffix}", METADATA)
        assert pq.read_schema(path).equals(pq.read_schema(tmp_path / f"full{suffix}"))
    else:
        assert pyogrio.read_info(path)["geometry_type"] == "Polygon"


@pytest.mark.parametrize("suffix", LAYER_SUFFIXES)
@pytest.mark.parametrize("cuts", [(1,), (1, 2)])
def test_a_layer_written_in_parts_is_that_written_at_once(tmp_path, suffix, cuts):
    frame = layer()
    frame["geometry"] = frame.translate(*[40] * 2).where(frame["id"] == 3, frame.geometry)
    starts = [0, *cuts, len(frame)]
    parts = [frame.iloc[start:stop] for start, stop in itertools.pairwise(starts)]
    whole, joined = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
    write_features(frame, whole, METADATA, layer="changes")
    write_frames(iter(parts), joined, METADATA, layer="changes")
    assert sorted(path.name for path in tmp_path.iterdir()) == [joined.name, whole.name]
    pd.testing.assert_frame_equal(pd.DataFrame(read(joined)), pd.DataFrame(read(whole)))
    assert metadata_in(joined) == METADATA
    if suffix in PARQUET_SUFFIXES:
        facts = [json.loads(pq.read_metadata(path).metadata[b"geo"]) for path in (joined, whole)]
        assert facts[0] == facts[1]
        (column,) = facts[0]["columns"].values()
        assert column["bbox"] == frame.total_bounds.tolist()
        assert column["geometry_types"] == ["Polygon"]
        assert b"geo" in pq.read_schema(joined).metadata
        assert pq.ParquetFile(joined).num_row_groups == len(parts)
        return
    if suffix != ".gpkg":
        assert joined.read_bytes() == whole.read_bytes()
        return
    infos = [
        pyogrio.read_info(path, force_feature_count=True, force_total_bounds=True)
        for path in (joined, whole)
    ]
    assert str(infos[0]) == str(infos[1])
    for polygon in frame.geometry:  # by its index
        found = gpd.read_file(joined, bbox=tuple(polygon.bounds))
        pd.testing.assert_frame_equal(found, gpd.read_file(whole, bbox=tuple(polygon.bounds)))
    with closing(sqlite3.connect(joined)) as database, closing(sqlite3.connect(whole)) as other:
        for query in (
            "PRAGMA integrity_check", "SELECT type, name, sql FROM sqlite_master ORDER BY name",
            "SELECT * FROM gpkg_contents", "SELECT * FROM gpkg_ogr_contents",
            "SELECT * FROM sqlite_sequence ORDER BY name",
        ):  # fmt: skip
            assert database.execute(query).fetchall() == other.execute(query).fetchall()
    # It can be edited: its triggers are there.
    pyogrio.write_dataframe(frame.assign(**dict.fromkeys(("tiles", "cells"), "")), joined,
                            layer="changes", append=True)  # fmt: skip
    assert pyogrio.read_info(joined)["features"] == 2 * len(frame)


@pytest.mark.parametrize("name", ["Änderungen", "a_b%", "GPKG's"])
def test_a_layer_of_any_name_is_written_in_parts(tmp_path, name):
    frame, path = layer(), tmp_path / "part.gpkg"
    write_frames([frame.iloc[:1], frame.iloc[1:]], path, METADATA, layer=name)
    assert gpd.read_file(path, layer=name)["id"].tolist() == frame["id"].tolist()


@pytest.mark.parametrize("suffix", LAYER_SUFFIXES)
def test_the_layer_of_tiles(tmp_path, suffix):
    classes = np.zeros((24, 24), int)
    first, *_, last = results_of(classes, 12, Counts({"road": 0}))
    frame = tile_features([first], make_grid((24, 24)), failures=[TileFailure(last.window, "gone")])
    path = tmp_path / f"tiles{suffix}"
    write_features(frame, path, METADATA, layer="tiles")
    found = gpd.read_parquet(path) if suffix in PARQUET_SUFFIXES else gpd.read_file(path)
    found = found.sort_values("tile").reset_index(drop=True)
    assert found["tile"].tolist() == ["r0c0", "r1c1"]
    assert found["status"].tolist() == ["answered", "failed"]
    assert bool(found["changed"][0]) is False
    assert pd.isna(found["changed"][1])
    assert found["count_road"][0] == 0
    if suffix in GDAL_SUFFIXES:
        assert pyogrio.list_layers(path)[0, 0] == "tiles"
        assert found["unparsed"].tolist() == ["[]", "[]"]


def test_mixed_polygons_and_multipolygons_are_of_one_type(tmp_path):
    frame = layer()
    square = shapely.box(0, 0, 1, 1)
    frame.geometry = [square, shapely.MultiPolygon([square, shapely.box(2, 2, 3, 3)]), square]
    for suffix in GDAL_SUFFIXES:
        write_features(frame, tmp_path / f"x{suffix}", METADATA)
        assert pyogrio.read_info(tmp_path / f"x{suffix}")["geometry_type"] == "MultiPolygon"
        assert set(read(tmp_path / f"x{suffix}").geom_type) == {"MultiPolygon"}


# --- RFC 7946 ------------------------------------------------------------------------------------


def collection(tmp_path, frame):
    path = tmp_path / "x.geojson"
    write_features(frame, path, METADATA)
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_collection_is_as_rfc_7946_wants_it(tmp_path):
    found = collection(tmp_path, layer())
    assert list(found) == ["type", "geochg", "features"]
    properties = found["features"][0]["properties"]
    assert list(properties) == [
        "id", "class", "change", "before_class", "after_class", "from_date", "to_date",
        "confidence", "change_confidence", "caption", "count", "area_m2", "tiles", "cells",
    ]  # fmt: skip
    assert properties["count"] == 1
    assert found["features"][1]["properties"]["count"] is None
    assert properties["tiles"] == ["r0c0"]
    shell, hole = found["features"][0]["geometry"]["coordinates"]
    assert shapely.LinearRing(shell).is_ccw
    assert not shapely.LinearRing(hole).is_ccw
    assert all(round(value, 7) == value for vertex in shell for value in vertex)
    assert 14.9 < shell[0][0] < 15.1
    assert 44.9 < shell[0][1] < 45.3


@pytest.mark.parametrize(
    ("crs", "affine"),
    [
        ("EPSG:4326", Affine(0.01, 0, 179.85, 0, -0.01, 10)),
        ("EPSG:4326", Affine(0.01, 0, -180.15, 0, -0.01, 10)),
        ("EPSG:4269", Affine(0.01, 0, 179.85, 0, -0.01, 10)),
        ("EPSG:32660", Affine(1000, 0, 814_000, 0, -1000, 1_100_000)),
        ("EPSG:3832", Affine(1000, 0, 3_325_000, 0, -1000, 1_100_000)),
    ],
)
def test_polygons_across_the_antimeridian_are_cut(tmp_path, crs, affine):
    frame = layer(crs, affine)
    found = collection(tmp_path, frame)
    shapes = [shapely.geometry.shape(each["geometry"]) for each in found["features"]]
    assert "MultiPolygon" in {each.geom_type for each in shapes}
    for shape, area_m2 in zip(shapes, frame["area_m2"], strict=True):
        assert shape.is_valid
        assert shapely.box(-180, -90, 180, 90).covers(shape)
        assert all(part.bounds[2] - part.bounds[0] < 1 for part in shapely.get_parts(shape))
        # A square degree on the ellipsoid at 10 degrees of latitude.
        assert shape.area * 110_600 * 109_640 == pytest.approx(area_m2, rel=0.01)


def test_a_grid_beyond_180_degrees_comes_back(tmp_path):
    found = collection(tmp_path, layer("EPSG:4326", Affine(0.01, 0, 200, 0, -0.01, 10)))
    shapes = [shapely.geometry.shape(each["geometry"]) for each in found["features"]]
    assert all(-160 <= shape.bounds[0] < shape.bounds[2] < -159 for shape in shapes)


# --- failures ------------------------------------------------------------------------------------


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"\.gpkg"):
        write_features(layer(), tmp_path / "x.shp", METADATA)


@pytest.mark.parametrize("suffix", LAYER_SUFFIXES)
def test_a_full_disk_leaves_nothing_behind(tmp_path, suffix, monkeypatch):
    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / f"x{suffix}"
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(RunError, match="No space left") as caught, Staging() as staging:  # noqa: PT012
        with staging.write(target) as path:
            write_features(layer(), path, METADATA)
        staging.commit()
    assert str(target) in caught.value.message
    assert "room" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_gdal_refuses_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise pyogrio.errors.DataSourceError("sqlite3_exec failed: disk I/O error")

    monkeypatch.setattr("pyogrio.write_dataframe", refuse)
    with pytest.raises(RunError, match=r"x\.gpkg: sqlite3_exec"), Staging() as staging:
        with staging.write(tmp_path / "x.gpkg") as path:
            write_features(layer(), path, METADATA)
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
    assert list(tmp_path.iterdir()) == []


def test_a_column_named_as_the_numbers_of_a_geopackage_is_kept(tmp_path):
    path = tmp_path / "a.gpkg"
    frame = layer()
    frame["FID"] = pd.Series(["same"] * len(frame), dtype="string")
    write_features(frame, path, METADATA, layer="changes")
    assert list(gpd.read_file(path)["FID"]) == ["same"] * len(frame)
