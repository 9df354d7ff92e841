"""What is refused before a run."""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import geopandas
import pyogrio
import pytest
import rasterio
import shapely
from PIL import Image

from geochg.errors import InputError, OptionError
from geochg.writers.checks import Output, check_outputs

SUFFIXES = (".gpkg", ".geojson")
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def out(path):
    return Output(path, SUFFIXES)


def test_good_outputs_pass_and_leave_no_trace(tmp_path):
    source = tmp_path / "before.tif"
    source.touch()
    check_outputs(
        [
            out(tmp_path / "a.gpkg"),
            out(tmp_path / "b.GeoJSON"),
            Output(tmp_path / "h.tif", (".tif",)),
        ],
        [source, Path("https://example.org/after.tif")],
    )
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("name", ["x.shp", "x", "x.tif"])
def test_an_unknown_suffix_lists_the_known_ones(tmp_path, name):
    with pytest.raises(OptionError, match=r"\.gpkg, \.geojson"):
        check_outputs([out(tmp_path / name)], [])


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist") as caught:
        check_outputs([out(tmp_path / "gone" / "x.gpkg")], [])
    assert "create" in caught.value.hint


def test_a_folder_as_target(tmp_path):
    (tmp_path / "x.gpkg").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_outputs([out(tmp_path / "x.gpkg")], [])


def test_a_folder_that_takes_no_files(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        check_outputs([out(tmp_path / "x.gpkg")], [])


@pytest.mark.skipif(IS_ROOT or sys.platform == "win32", reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="may write to"):
            check_outputs([out(tmp_path / "x.gpkg")], [])
    finally:
        tmp_path.chmod(0o700)


def test_an_output_that_is_an_input(tmp_path, monkeypatch):
    source = tmp_path / "x.gpkg"
    source.touch()
    (tmp_path / "link.gpkg").symlink_to(source)
    (tmp_path / "hard.gpkg").hardlink_to(source)
    monkeypatch.chdir(tmp_path)
    for path in (source, Path("x.gpkg"), tmp_path / "link.gpkg", tmp_path / "hard.gpkg"):
        with pytest.raises(InputError, match="one of the inputs"):
            check_outputs([out(path)], [source])


def test_an_output_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="twice"):
        check_outputs([out(tmp_path / "x.gpkg"), out(Path("x.gpkg"))], [])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_link_to_itself(tmp_path, suffix):
    link = tmp_path / f"x{suffix}"
    link.symlink_to(link)
    with pytest.raises(InputError, match="link to itself"):
        check_outputs([out(link)], [])


# --- what is there already -----------------------------------------------------------------------


def layer(path, driver, name="layer", metadata=None):
    frame = geopandas.GeoDataFrame(
        {"owner": ["mine"]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32633"
    )
    pyogrio.write_dataframe(frame, path, driver=driver, layer=name, layer_metadata=metadata)
    return path


def raster(path):
    profile = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile):
        pass


def sheet(path):
    Image.new("RGB", (4, 4)).save(path)


OWN = {
    "a.geojson": lambda path: path.write_text('{"type": "FeatureCollection", "features": []}'),
    "b.geojson": lambda path: path.write_text(
        '{"type": "FeatureCollection", "features": [{"properties": {"geochg": {}}}], "geochg": {}}'
    ),
    "c.geojson": lambda path: path.write_text("[" * 100_000),
    "d.geojson": lambda path: path.write_text('{"geochg": "a word"}'),
    "a.json": lambda path: path.write_text('{"secret": "the only copy"}'),
    "b.json": lambda path: path.write_text('[{"id": 1}]'),
    "a.fgb": lambda path: layer(path, "FlatGeobuf"),
    "b.fgb": lambda path: path.write_text("<OGRVRTDataSource/>"),
    "c.fgb": lambda path: path.write_bytes(b"fgb\x03fgb\x01" + b"\xff" * 40),
    "a.parquet": lambda path: geopandas.GeoDataFrame(
        {"a": [1]}, geometry=[shapely.Point(0, 0)], crs=4326
    ).to_parquet(path),
    "b.parquet": lambda path: path.write_text("PAR1 it is not"),
    "a.tif": raster,
    "b.tif": lambda path: path.write_text("no raster"),
    "a.gpkg": lambda path: path.write_text("no database"),
    "a.toml": lambda path: path.write_text('[project]\nname = "mine"\n'),
    "b.toml": lambda path: path.write_text("not = [ TOML"),
    "a.md": lambda path: path.write_text("# Scores of my team\n"),
    "a.jsonl": lambda path: path.write_text('{"kind": "mine"}\n'),
    "b.jsonl": lambda path: path.write_text("no JSON\n"),
    "a.png": sheet,
    "b.png": lambda path: path.write_text("no picture"),
}


@pytest.mark.parametrize("name", OWN)
def test_a_file_of_the_users_own_is_kept_unless_told_otherwise(tmp_path, name):
    path = tmp_path / name
    OWN[name](path)
    content = path.read_bytes()
    output = Output(path, (path.suffix,), "changes")
    with pytest.raises(InputError, match="did not write") as caught:
        check_outputs([output], [])
    assert "--overwrite" in caught.value.hint
    check_outputs([output], [], overwrite=True)
    assert path.read_bytes() == content


def test_an_empty_file_holds_nothing_to_keep(tmp_path):
    for name in ("a.geojson", "a.gpkg", "a.toml"):
        path = tmp_path / name
        path.touch()
        check_outputs([Output(path, (path.suffix,), "changes")], [])


@pytest.mark.skipif(IS_ROOT or sys.platform == "win32", reason="root may write anything")
def test_a_read_only_file(tmp_path):
    path = tmp_path / "x.geojson"
    path.touch()
    path.chmod(0o400)
    with pytest.raises(InputError, match="read-only"):
        check_outputs([out(path)], [], overwrite=True)


@pytest.mark.parametrize("name", ["x.gpkg-wal", "x.gpkg-shm", "x.gpkg-journal"])
def test_a_log_without_its_database_is_not_given_a_new_one(tmp_path, name):
    (tmp_path / name).write_bytes(b"of a GeoPackage that is gone")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="taken for a part") as caught:
            check_outputs([out(tmp_path / "x.gpkg")], [], overwrite=overwrite)
        assert "QGIS" in caught.value.hint


@pytest.mark.parametrize("suffix", [".aux.xml", ".msk", ".ovr"])
def test_a_mask_without_its_raster_is_not_given_a_new_one(tmp_path, suffix):
    (tmp_path / f"x.tif{suffix}").write_text("of a raster that is gone")
    output = Output(tmp_path / "x.tif", (".tif",))
    with pytest.raises(InputError, match="taken for a part"):
        check_outputs([output], [])
    check_outputs([output], [], overwrite=True)


# --- GeoPackages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [" ", "gpkg_contents", "SQLite_x", "rtree_a_geom", "a\nb", 'a"b', "x" * 101, "\udcff"],
)
def test_what_is_no_name_of_a_layer(tmp_path, name):
    with pytest.raises(OptionError, match="layer"):
        check_outputs([Output(tmp_path / "x.gpkg", SUFFIXES, name)], [])


def test_layers_of_one_geopackage_have_names_of_their_own(tmp_path):
    path = tmp_path / "x.gpkg"
    check_outputs([Output(path, SUFFIXES, "changes"), Output(path, SUFFIXES, "tiles")], [])
    with pytest.raises(OptionError, match="asked for twice"):
        check_outputs([Output(path, SUFFIXES, "tiles"), Output(path, SUFFIXES, "Tiles")], [])


@pytest.mark.parametrize("name", ["changes", "Changes", "CHANGES"])
def test_a_layer_of_someone_elses(tmp_path, name):
    path = layer(tmp_path / "x.gpkg", "GPKG", name)
    output = Output(path, SUFFIXES, "changes")
    with pytest.raises(InputError, match="geochg did not write"):
        check_outputs([output], [])
    check_outputs([output], [], overwrite=True)
    check_outputs([Output(path, SUFFIXES, "others")], [])


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE changes (x)",
        "INSERT INTO gpkg_contents (table_name, data_type) VALUES ('changes', 'tiles')",
        "INSERT INTO gpkg_contents (table_name, data_type) VALUES ('changes', 'attributes')",
    ],
)
def test_a_name_that_is_taken_by_no_layer_of_features(tmp_path, statement):
    path = layer(tmp_path / "x.gpkg", "GPKG", "parcels")
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()
    for overwrite in (False, True):
        with pytest.raises(InputError, match="no layer of features"):
            check_outputs([Output(path, SUFFIXES, "changes")], [], overwrite=overwrite)


def test_a_name_that_is_taken_by_a_view(tmp_path):
    path = layer(tmp_path / "x.gpkg", "GPKG", "parcels")
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIEW changes AS SELECT 1")
        database.commit()
    for overwrite in (False, True):
        with pytest.raises(InputError, match="has a view 'changes' where a table"):
            check_outputs([Output(path, SUFFIXES, "changes")], [], overwrite=overwrite)


def test_a_geopackage_that_is_being_written(tmp_path):
    path = layer(tmp_path / "x.gpkg", "GPKG", "parcels")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(InputError, match="such as QGIS"):
            check_outputs([Output(path, SUFFIXES, "changes")], [])
