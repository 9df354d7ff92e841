"""All rows are checked before the first is run."""

from pathlib import Path

import pytest

from geochg.batch.pair_list import ListedPair, listed_pairs
from geochg.batch.scene_checks import checked_scenes
from geochg.options import AnalyzeOptions


@pytest.fixture
def folder(tmp_path):
    for name in ("a.tif", "b.tif", "area.geojson"):
        (tmp_path / name).touch()
    return tmp_path


def checked(folder, *rows, **options):
    return checked_scenes(listed_pairs(rows, folder), AnalyzeOptions(**options))


def pair(**more):
    return {"before": "a.tif", "after": "b.tif", **more}


def test_rows_have_absolute_paths_and_numbers_for_ids(folder):
    scenes, refused = checked(folder, pair(), pair(id="x"))
    assert [scene.id for scene in scenes] == ["0001", "x"]
    assert scenes[0].before == str(folder / "a.tif")
    assert not refused


def test_relative_paths_of_a_row_start_from_its_list_and_of_the_command_from_its_folder(
    folder, tmp_path_factory, monkeypatch
):
    here = tmp_path_factory.mktemp("here")
    (here / "area.geojson").touch()
    monkeypatch.chdir(here)
    scenes, _ = checked(
        folder, pair(options={"aoi": "area.geojson"}), pair(), aoi="area.geojson", tile_size_px=64
    )
    assert [Path(scene.options.aoi).parent for scene in scenes] == [folder, here]
    assert [scene.options.tile_size_px for scene in scenes] == [64, 64]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (pair(after="gone.tif"), "after is not there"),
        ({"after": "b.tif"}, "no 'before'"),
        (pair(before="https://example.org/a.tif"), "--allow-remote"),
        (pair(options={"tile_size": 3}), "unknown option 'tile_size'"),
        (pair(options={"tile_size_px": "3"}), "whole number"),
        (pair(options={"resume": True}), "single pair"),
        (pair(options={"model": "nonsense"}), "no model 'nonsense'"),
        (pair(options={"prompts": {"song": "la"}}), "no prompt"),
        (pair(id="a/b"), "holds '/'"),
        (pair(id="a:b"), "holds ':'"),
        (pair(id=".."), "can name no file"),
        (pair(id=" a"), "can name no file"),
        (pair(id="CON"), "Windows"),
        (pair(id="lpt1.x"), "Windows"),
        (pair(id="x" * 250), "250 bytes"),
        (pair(id="a\nb"), "can name no file"),
        (pair(before="a\0b"), "NUL"),
    ],
)
def test_a_row_that_cannot_be_run_is_named_and_the_others_go_on(folder, row, reason):
    scenes, refused = checked(folder, pair(id="good"), row)
    assert [scene.id for scene in scenes] == ["good"]
    assert [(item.place, reason in item.reason) for item in refused] == [("pair 2", True)], refused


@pytest.mark.parametrize("twin", ["A", "\u00e9"])
def test_ids_that_name_one_file_are_all_refused(folder, twin):
    other = {"A": "a", "\u00e9": "e\u0301"}[twin]
    scenes, refused = checked(folder, pair(id=twin), pair(id="b"), pair(id=other))
    assert [scene.id for scene in scenes] == ["b"]
    assert [row.place for row in refused] == ["pair 1", "pair 3"]
    assert all("stands 2 times" in row.reason for row in refused)


def test_remote_rasters_are_taken_when_they_are_allowed(folder):
    scenes, refused = checked(folder, pair(before="https://example.org/a.tif"), allow_remote=True)
    assert scenes[0].before == "https://example.org/a.tif"
    assert not refused


def test_names_that_only_gdal_knows_are_left_to_it(folder):
    (folder / "c.nc").touch()
    scenes, _ = checked(folder, pair(before='NETCDF:"c.nc":band', after="/vsizip/z.zip/b.tif"))
    assert scenes[0].before == f'NETCDF:"{folder / "c.nc"}":band'
    assert scenes[0].after == f"/vsizip/{folder / 'z.zip/b.tif'}"


def test_a_fault_of_the_list_is_the_reason(folder):
    row = ListedPair("line 3", "x", "a.tif", "b.tif", folder, {}, "torn")
    _, (refused,) = checked_scenes([row], AnalyzeOptions())
    assert (refused.place, refused.id, refused.reason) == ("line 3", "x", "torn")
