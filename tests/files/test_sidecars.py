"""Files that belong to another one, and whether a run goes on after one of them changed."""

import os
import sqlite3
import zipfile

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasters import texture
from shapely.geometry import box

from geochg.files.sidecars import container, file_states, files_behind, sidecar_files
from geochg.models.loading import load_configured_model
from geochg.options import AnalyzeOptions
from geochg.pipeline.provenance import fingerprint
from geochg.tiling.pair import open_pair


def write_areas(path, **how):
    frame = gpd.GeoDataFrame({"id": [1]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:32633")
    frame.to_file(path, **how)
    return path


@pytest.mark.parametrize("name", ["a.shp", "A.SHP", "ä b.shp"])
def test_a_shapefile_is_all_of_its_files(tmp_path, name):
    made = write_areas(tmp_path / "made.shp")
    path = tmp_path / name
    for each in tmp_path.glob("made.*"):
        suffix = each.suffix.upper() if path.suffix.isupper() else each.suffix
        each.rename(path.with_suffix(suffix))
    assert not made.exists()
    suffixes = {file.suffix.lower() for file in files_behind(str(path))}
    assert suffixes >= {".shp", ".shx", ".dbf", ".prj"}


def test_what_reading_alone_changes_does_not_count(tmp_path):
    path = write_areas(tmp_path / "a.gpkg")
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE notes (text TEXT)")
    writer.commit()
    assert {file.name for file in sidecar_files(path)} == {"a.gpkg-wal", "a.gpkg-shm"}
    assert [file.name for file in files_behind(str(path))] == ["a.gpkg", "a.gpkg-wal"]
    writer.close()


def test_folders_and_archives(tmp_path):
    (tmp_path / "all").mkdir()
    write_areas(tmp_path / "all" / "a.shp")
    whole = files_behind(str(tmp_path / "all"))
    assert {file.suffix for file in whole} >= {".shp", ".shx", ".dbf", ".prj"}
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for each in whole:
            file.write(each, f"in/{each.name}")
    name = f"/vsizip/{archive}/in/a.shp"
    assert container(name) == str(archive)
    assert files_behind(name) == [archive]


@pytest.mark.parametrize(
    "name",
    ["0,0,1,1", "POLYGON ((0 0, 0 1, 1 1, 0 0))" * 200, "/vsicurl/http://a/b.shp", "a\0.shp"],
)
def test_what_is_no_file_has_none(name):
    assert files_behind(name) == []


# --- going on ------------------------------------------------------------------------------------


def older(path):
    """Changes when a file was written, and nothing else."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - 10**9))


def put_log_beside(path):
    """As a program leaves it that was killed: what was written last stands in the log only."""
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE notes (text TEXT)")
    writer.commit()
    kept = {file: file.read_bytes() for file in sidecar_files(path)}
    writer.close()
    for file, content in kept.items():
        file.write_bytes(content)


CHANGES = {
    "the place (.prj)": ("a.shp", lambda path: older(path.with_suffix(".prj"))),
    "the index (.shx)": ("a.shp", lambda path: older(path.with_suffix(".shx"))),
    "the table (.dbf)": ("a.shp", lambda path: path.with_suffix(".dbf").unlink()),
    "a log (-wal)": ("a.gpkg", put_log_beside),
    "the file": ("a.geojson", older),
}


@pytest.fixture
def facts_of(make_raster, marker_plugin, tmp_path):
    """What a journal must have in common with a run about an area."""
    before = texture(64, 64)
    make_raster("before.tif", before)
    make_raster("after.tif", before + np.uint8(1))

    def facts(aoi):
        options = AnalyzeOptions(model="marker", aoi=str(aoi))
        model = load_configured_model(options)
        pair = open_pair(tmp_path / "before.tif", tmp_path / "after.tif", options, "all")
        return fingerprint(pair, options, model, heatmap=False)

    return facts


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_goes_on_only_with_the_same_sidecars(facts_of, tmp_path, what):
    name, change = CHANGES[what]
    with rasterio.open(tmp_path / "before.tif") as raster:
        frame = gpd.GeoDataFrame({"id": [1]}, geometry=[box(*raster.bounds)], crs=raster.crs)
    path = tmp_path / name
    frame.to_file(path)
    first = facts_of(path)
    assert facts_of(path) == first
    change(path)
    second = facts_of(path)
    assert [key for key in first if first[key] != second[key]] == ["the area of interest"]


def test_states_tell_files_alone_and_no_statistics_of_viewers(tmp_path):
    raster, sidecar = tmp_path / "a.tif", tmp_path / "a.tif.aux.xml"
    raster.write_bytes(b"12345")
    sidecar.write_text("<PAMDataset/>")
    names = [raster, str(raster), sidecar, tmp_path, tmp_path / "gone.tif", "<VRTDataset>" * 999]
    (state,) = file_states(names)
    assert state["path"] == str(raster)
    assert state["size_bytes"] == 5
    assert state["modified_ns"] == raster.stat().st_mtime_ns
