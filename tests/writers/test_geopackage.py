"""Layers put into GeoPackages that hold others."""

import os
import sqlite3
from contextlib import closing

import geopandas
import pyogrio
import pytest
import shapely

from geochg.errors import InputError, RunError
from geochg.writers import geopackage
from geochg.writers.checks import Output, check_outputs
from geochg.writers.layers import write_features
from geochg.writers.staging import Staging

SUFFIXES = (".gpkg",)


def frame(count, crs="EPSG:32633", **columns):
    boxes = [shapely.box(i, 0, i + 1, 1) for i in range(count)]
    found = geopandas.GeoDataFrame({"id": range(count), **columns}, geometry=boxes, crs=crs)
    return found


def put(path, count, layer="changes", crs="EPSG:32633", overwrite=False):
    check_outputs([Output(path, SUFFIXES, layer)], [], overwrite=overwrite)
    with Staging(overwrite=overwrite) as staging:
        with staging.write(path, layer) as place:
            write_features(frame(count, crs), place, {"count": count}, layer=layer)
        staging.commit()


def names(path):
    return sorted(name for name, _ in pyogrio.list_layers(path))


def check_sound(path):
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.fixture
def project(tmp_path):
    path = tmp_path / "project.gpkg"
    for name in ("parcels", "roads"):
        frame(3).to_file(path, layer=name, driver="GPKG")
    return path


@pytest.mark.parametrize(
    "crs", ["EPSG:32633", "EPSG:3857", "+proj=laea +lat_0=10 +lon_0=20", "EPSG:4979"]
)
def test_other_layers_stay_and_ours_is_replaced(project, crs):
    others = project.parent / "others"
    before = geopandas.read_file(project, layer="parcels")
    for count in (5, 2):
        put(project, count, crs=crs)
        assert names(project) == ["changes", "parcels", "roads"]
        found = geopandas.read_file(project, layer="changes")
        assert len(found) == count
        assert found.crs == frame(1, crs).crs
        assert len(geopandas.read_file(project, layer="changes", bbox=(0.1, 0.1, 0.2, 0.2))) == 1
        assert pyogrio.read_info(project, layer="changes")["features"] == count
        assert "geochg" in pyogrio.read_info(project, layer="changes")["layer_metadata"]
        assert geopandas.read_file(project, layer="parcels").equals(before)
        check_sound(project)
    assert not others.exists()
    assert [path.name for path in project.parent.iterdir()] == ["project.gpkg"]


def test_the_layer_can_be_edited_afterwards(project):
    put(project, 3)
    pyogrio.write_dataframe(frame(2), project, layer="changes", append=True)
    assert pyogrio.read_info(project, layer="changes")["features"] == 5
    check_sound(project)


@pytest.mark.parametrize("layer", ["Changes of 2024", "l'eau", "變化", "Änderungen", "changes.v2"])
def test_names_of_layers(project, layer):
    for count in (2, 1):
        put(project, count, layer)
        assert len(geopandas.read_file(project, layer=layer)) == count
    check_sound(project)


def test_styles_projects_and_statistics_of_others_stay(project):
    put(project, 2)
    with closing(sqlite3.connect(project)) as database:
        database.execute("CREATE TABLE qgis_projects (name TEXT PRIMARY KEY, content BLOB)")
        database.execute("INSERT INTO qgis_projects VALUES ('town', x'00')")
        database.execute("CREATE TABLE layer_styles (f_table_name TEXT, styleQML TEXT)")
        database.execute("INSERT INTO layer_styles VALUES ('changes', '<qgis/>')")
        database.commit()
    put(project, 4)
    with closing(sqlite3.connect(project)) as database:
        assert database.execute("SELECT name FROM qgis_projects").fetchall() == [("town",)]
        assert database.execute("SELECT f_table_name FROM layer_styles").fetchall() == [
            ("changes",)
        ]


def test_a_layer_of_someone_elses_is_replaced_when_told_so(project):
    put(project, 2, layer="parcels", overwrite=True)
    assert names(project) == ["parcels", "roads"]
    assert list(geopandas.read_file(project, layer="parcels").columns) == ["id", "geometry"]
    assert "geochg" in pyogrio.read_info(project, layer="parcels")["layer_metadata"]
    check_sound(project)


def test_another_layer_may_have_our_name_as_its_title(project):
    with closing(sqlite3.connect(project)) as database:
        database.execute(
            "UPDATE gpkg_contents SET identifier = 'changes' WHERE table_name = 'roads'"
        )
        database.commit()
    put(project, 2)
    assert names(project) == ["changes", "parcels", "roads"]
    with closing(sqlite3.connect(project)) as database:
        rows = database.execute("SELECT table_name, identifier FROM gpkg_contents").fetchall()
    assert ("roads", "changes") in rows


def test_the_number_of_our_crs_may_be_taken_by_another(project):
    with closing(sqlite3.connect(project)) as database:
        database.execute(
            "INSERT INTO gpkg_spatial_ref_sys VALUES ('theirs', 3857, 'NONE', 7, 'GEOGCS[]', '')"
        )
        database.commit()
    put(project, 2, crs="EPSG:3857")
    assert geopandas.read_file(project, layer="changes").crs == "EPSG:3857"
    check_sound(project)


def test_two_layers_of_one_new_file(tmp_path):
    path = tmp_path / "all.gpkg"
    for _ in range(2):
        with Staging() as staging:
            for layer, count in (("changes", 2), ("tiles", 3)):
                with staging.write(path, layer) as place:
                    write_features(frame(count), place, {}, layer=layer)
            staging.commit()
        assert names(path) == ["changes", "tiles"]
        check_sound(path)
    assert [each.name for each in tmp_path.iterdir()] == ["all.gpkg"]


@pytest.mark.parametrize("how", ["crash", "stay"])
def test_a_geopackage_with_a_write_ahead_log_beside_it(project, how):
    put(project, 5)
    editor = sqlite3.connect(project)
    editor.execute("PRAGMA journal_mode = WAL")
    editor.execute("PRAGMA wal_autocheckpoint = 0")
    for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
        editor.create_function(name, 1, lambda geometry: 0.0)
    editor.execute("UPDATE roads SET id = 77")
    editor.commit()
    log = project.with_name("project.gpkg-wal")
    assert log.stat().st_size > 0
    if how == "crash":
        content, logged = project.read_bytes(), log.read_bytes()
        editor.close()
        project.write_bytes(content)
        log.write_bytes(logged)
    put(project, 2)
    assert len(geopandas.read_file(project, layer="changes")) == 2
    assert set(geopandas.read_file(project, layer="roads")["id"]) == {77}
    editor.close()
    check_sound(project)


def test_a_geopackage_that_is_held_at_the_end_is_left_as_it_is(project, monkeypatch):
    monkeypatch.setattr(geopackage, "WAIT_S", 0.1)
    monkeypatch.setattr("geochg.writers.staging.check_existing", lambda *_, **__: None)
    heatmap = project.with_name("x.txt")
    content = project.read_bytes()
    with closing(sqlite3.connect(project, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunError, match="such as QGIS"), Staging() as staging:  # noqa: PT012
            with staging.write(heatmap) as path:
                path.write_text("heat")
            with staging.write(project, "changes") as path:
                write_features(frame(1), path, {}, layer="changes")
            staging.commit()
    assert project.read_bytes() == content
    assert os.listdir(project.parent) == ["project.gpkg"]


def test_other_files_are_taken_back_when_the_geopackage_fails(project, monkeypatch):
    def fail(self):
        raise RunError("no room")

    monkeypatch.setattr(geopackage.LayerChange, "commit", fail)
    beside = project.with_name("x.txt")
    with pytest.raises(RunError, match="no room"), Staging() as staging:  # noqa: PT012
        with staging.write(project, "changes") as path:
            write_features(frame(1), path, {}, layer="changes")
        with staging.write(beside) as path:
            path.write_text("heat")
        staging.commit()
    assert names(project) == ["parcels", "roads"]
    assert not beside.exists()


def test_folders_without_locks(project, monkeypatch):
    for room in ("staging", "geopackage"):
        monkeypatch.setattr(f"geochg.writers.{room}.has_locks", lambda folder: False)
    for count in (3, 2):
        put(project, count)
        assert len(geopandas.read_file(project, layer="changes")) == count
        assert names(project) == ["changes", "parcels", "roads"]
    check_sound(project)


def spoil_schema(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE gpkg_contents RENAME COLUMN data_type TO other")


def spoil_pages(path):
    content = bytearray(path.read_bytes())
    content[8192:24576] = bytes(range(256)) * 64
    path.write_bytes(content)


def spoil_root(path):
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [spoil_schema, spoil_pages, spoil_root])
def test_a_damaged_file_is_not_blamed_on_other_programs(tmp_path, spoil):
    path = tmp_path / "mine.gpkg"
    frame(200).to_file(path, layer="mine")
    spoil(path)
    with pytest.raises(InputError) as caught:
        geopackage.check_layer(path, "changes", overwrite=False)
    assert "damaged" in caught.value.hint
    assert "QGIS" not in caught.value.hint


TAMPERED = {
    "when contents are deleted": "BEFORE DELETE ON gpkg_contents BEGIN {} END",
    "when contents are inserted": "AFTER INSERT ON gpkg_contents BEGIN {} END",
    "when contents are updated": "AFTER UPDATE ON gpkg_contents BEGIN {} END",
    "when columns are deleted": "AFTER DELETE ON gpkg_geometry_columns BEGIN {} END",
    "when metadata are inserted": "AFTER INSERT ON gpkg_metadata BEGIN {} END",
    "when references are deleted": "AFTER DELETE ON gpkg_metadata_reference BEGIN {} END",
    "when the layer is updated": "AFTER UPDATE ON changes BEGIN {} END",
    "when the layer is deleted": "AFTER DELETE ON changes BEGIN {} END",
}
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n"


@pytest.mark.parametrize("what", ["DELETE FROM parcels;", "SELECT count(*) FROM endless;"])
@pytest.mark.parametrize("trigger", TAMPERED.values(), ids=TAMPERED)
def test_triggers_of_a_geopackage_are_not_run_and_stay(project, trigger, what):
    put(project, 3)
    with closing(sqlite3.connect(project)) as database:
        database.execute(f"CREATE VIEW endless AS {ENDLESS}")
        database.execute(f"CREATE TRIGGER odd {trigger.format(what)}")
        database.commit()
    put(project, 5)
    assert len(geopandas.read_file(project, layer="changes")) == 5
    assert len(geopandas.read_file(project, layer="parcels")) == 3
    with closing(sqlite3.connect(project)) as database:
        kept = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'odd'").fetchall()
    # With the layer that is replaced, its own triggers go.
    assert bool(kept) == ("ON changes" not in trigger)


@pytest.mark.parametrize(
    "table", ["changes", "gpkg_geometry_columns", "gpkg_metadata", "gpkg_ogr_contents"]
)
def test_views_where_tables_are_written_are_refused_at_once(project, table):
    put(project, 3)
    with closing(sqlite3.connect(project)) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO hidden")
        database.execute(f"CREATE VIEW {table} AS {ENDLESS}")
        database.commit()
    before = project.read_bytes()
    with pytest.raises(InputError, match="view"):
        put(project, 5)
    assert project.read_bytes() == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_off_geopackages_are_refused_and_left_alone(project, share):
    put(project, 3)
    whole = project.read_bytes()
    project.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises((InputError, RunError)):
        put(project, 5)
    assert project.read_bytes() == whole[: int(len(whole) * share)]
