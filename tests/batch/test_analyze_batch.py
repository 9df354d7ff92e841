"""Whole batches by processes of this machine: stopped, killed, and gone on with."""

import csv
import json
import os
import signal
import subprocess
import time

import psutil
import pytest
from batch_pairs import (
    OPTIONS,
    assert_same_features,
    environment,
    features,
    geochg,
    rows_of,
)

import geochg as package
from geochg.batch.folder_lock import hold_folder
from geochg.errors import InputError, OptionError
from geochg.events import ignore

pytestmark = pytest.mark.usefixtures("marker")

FAILING = {"fail_tiles": [1]}


def analyze(folder, *numbers, rows=(), **batch):
    options = package.AnalyzeOptions.from_dict(OPTIONS)
    pairs = [*rows_of(folder[0], *numbers), *rows]
    return package.analyze_batch(pairs, folder[1], options, package.BatchOptions(**batch))


def test_scenes_are_those_of_a_run_of_each_alone(whole, pairs_folder, tmp_path):
    for number in (0, 3):
        names = [str(pairs_folder / f"{date}{number}.tif") for date in ("before", "after")]
        options = package.AnalyzeOptions.from_dict(OPTIONS)
        output = tmp_path / f"{number}.gpkg"
        package.analyze(*names, options, outputs=package.Outputs(output))
        assert_same_features(output, whole / "scenes" / f"s{number}.gpkg")
    merged = features(whole / "changes.gpkg")
    assert merged.groupby("scene").size().to_dict() == {f"s{n}": 3 for n in range(4)}


def start(listed, output, *extra):
    options = str(listed.with_name("options.toml"))
    command = geochg("batch", str(listed), "-o", str(output), "--options", options, *extra)
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_journal(output, process):
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in output.glob("scenes/*.journal-wal")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_what_is_killed_is_gone_on_with_and_gives_the_same(whole, pairs_folder, tmp_path):
    listed, output = pairs_folder / "pairs.csv", tmp_path / "out"
    process = start(listed, output, "--jobs", "2")
    wait_for_journal(output, process)
    children = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    # Those that are left see that nobody listens, and end.
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    process = start(listed, output, "--jobs", "2", "--json")
    told, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert json.loads(told)["scenes"]["failed"] == 0
    assert_same_features(output / "changes.gpkg", whole / "changes.gpkg")
    assert (output / "areas.csv").read_text() == (whole / "areas.csv").read_text()
    assert not list(output.glob("**/*.journal*"))


def test_a_process_that_is_killed_costs_one_attempt_at_its_scene(whole, pairs_folder, tmp_path):
    output = tmp_path / "out"
    process = start(pairs_folder / "pairs.csv", output, "--jobs", "1", "--retry", "1")
    wait_for_journal(output, process)
    (child,) = psutil.Process(process.pid).children()
    child.kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    with (output / "scenes.csv").open() as file:
        attempts = {row["scene"]: row["attempts"] for row in csv.DictReader(file)}
    assert sorted(attempts.values()) == ["1", "1", "1", "2"]
    assert_same_features(output / "changes.gpkg", whole / "changes.gpkg")


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
def test_ctrl_c_stops_all_scenes_at_their_next_tile(pairs_folder, tmp_path):
    output = tmp_path / "out"
    process = start(pairs_folder / "pairs.csv", output, "--jobs", "2")
    wait_for_journal(output, process)
    time.sleep(0.5)
    # As a terminal does, to all of them.
    for child in psutil.Process(process.pid).children():
        child.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "same command" in errors
    assert "Traceback" not in errors
    assert not told
    assert not (output / "changes.gpkg").exists()
    assert list(output.glob("scenes/*"))


def test_rows_that_cannot_be_run_are_named_and_the_others_go_on(pairs_folder, tmp_path, capfd):
    bad_raster = tmp_path / "bad.tif"
    bad_raster.write_bytes(b"no raster")
    rows = [
        {"id": "gone", "before": "gone.tif", "after": "b.tif"},
        {**rows_of(pairs_folder, 1)[0], "id": "torn", "before": str(bad_raster)},
        {
            **rows_of(pairs_folder, 1)[0],
            "id": "told",
            "options": {"model_options": {"fail_tiles": [1]}},
        },
    ]
    out = tmp_path / "out"
    result = analyze((pairs_folder, out), 0, 4, rows=rows, jobs=1, retry=1)
    statuses = {scene.id: (scene.status, scene.attempts) for scene in result.scenes}
    assert statuses == {
        "s0": ("done", 1), "s4": ("done", 1), "gone": ("refused", 0), "torn": ("failed", 2),
        "told": ("failed", 2),
    }  # fmt: skip
    assert {scene.name for scene in result.failed} == {"gone", "torn", "told"}
    assert features(out / "changes.gpkg").crs == "EPSG:4326"
    # What was mended is run, what is finished is not.
    rows[1] = {**rows_of(pairs_folder, 2)[0], "id": "torn"}
    again = analyze((pairs_folder, out), 0, rows=rows[1:2], jobs=1)
    assert [(scene.id, scene.status) for scene in again.scenes] == [
        ("s0", "kept"),
        ("torn", "done"),
    ]
    assert again.features == 6


def test_each_device_has_a_process_of_its_own(pairs_folder, tmp_path):
    """Of two processes one cannot load the model, as no machine has that many GPUs."""
    options = package.AnalyzeOptions.from_dict({**OPTIONS, "model": "builtin", "bands": ["1"]})
    batch = package.BatchOptions(devices=("cpu", "cuda:99"))
    result = package.analyze_batch(rows_of(pairs_folder, 0, 1), tmp_path / "out", options, batch)
    assert sorted(scene.status for scene in result.scenes) == ["done", "failed"]
    (failed,) = result.failed
    assert "cuda:99" in failed.reason


def test_areas_are_summed_up_by_zone_where_there_are_zones(pairs_folder, tmp_path):
    import geopandas
    import shapely

    # Of the two scenes, pair 1 lies 5 km to the east of the zones.
    west, mid, east = 499_000, 501_000, 504_000
    boxes = [shapely.box(west, 4_990_000, mid, 5_000_500), shapely.box(mid, 4.99e6, east, 5.0005e6)]
    zones = tmp_path / "zones.gpkg"
    frame = geopandas.GeoDataFrame({"name": ["left", "=right"]}, geometry=boxes, crs="EPSG:32633")
    frame.to_file(zones)
    options = package.AnalyzeOptions.from_dict({**OPTIONS, "zones": str(zones)})
    pairs, out = rows_of(pairs_folder, 0, 1), tmp_path / "out"
    result = package.analyze_batch(pairs, out, options, package.BatchOptions(jobs=1))
    assert "none of the zones" in " ".join(result.scenes[1].record.warnings)
    with (out / "areas.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = [row for row in rows if row["scene"] == "s0"]
    assert {row["zone"] for row in first} == {"left", "'=right"}
    assert {row["zone"] for row in rows if row["scene"] == "s1"} == {""}
    own = features(out / "scenes" / "s0.gpkg")
    assert sum(float(row["area_m2"]) for row in first) == pytest.approx(own["area_m2"].sum(), abs=1)
    again = package.analyze_batch(pairs, out, options, package.BatchOptions(jobs=1))
    assert [scene.status for scene in again.scenes] == ["kept", "kept"]
    (out / "scenes" / "s0.csv").unlink()
    again = package.analyze_batch(pairs, out, options, package.BatchOptions(jobs=1))
    assert [scene.status for scene in again.scenes] == ["done", "kept"]


@pytest.mark.parametrize(
    ("batch", "part"),
    [
        ({"jobs": 0}, "between"),
        ({"jobs": 2, "cluster": "tcp://h:1"}, "leave out --jobs"),
        ({"devices": ("cpu",), "cluster": "tcp://h:1"}, "leave out --devices"),
        ({"devices": ("cpu",), "jobs": 2}, "leave out --jobs"),
        ({"cluster": "localhost"}, "tcp://HOST:PORT"),
        ({"retry": -1}, "between"),
    ],
)
def test_options_that_contradict_each_other_are_refused(batch, part):
    with pytest.raises(OptionError) as refusal:
        package.BatchOptions(**batch)
    assert part in str(refusal.value)


def test_a_list_of_which_no_row_can_be_run_is_wrong(tmp_path):
    rows = [{"before": "gone.tif", "after": "gone.tif"}, {"after": "b.tif"}]
    with pytest.raises(InputError, match="pair 1: before is not there") as refusal:
        package.analyze_batch(rows, tmp_path / "out")
    assert "pair 2" in refusal.value.message
    assert not (tmp_path / "out").exists()


def test_two_batches_do_not_write_into_one_folder(pairs_folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with hold_folder(out, ignore), pytest.raises(InputError, match="another batch"):
        analyze((pairs_folder, out), 0)
    assert {path.name for path in out.iterdir()} == {"scenes"}


def test_places_that_take_no_outputs_are_refused(pairs_folder, tmp_path):
    (tmp_path / "file").touch()
    for place, part in ((tmp_path / "file", "is a file"), (tmp_path / "a" / "b", "not exist")):
        with pytest.raises(InputError, match=part):
            analyze((pairs_folder, place), 0)
    out = tmp_path / "out"
    out.mkdir()
    (out / "scenes.csv").write_text("mine\n")
    with pytest.raises(InputError, match="did not write"):
        analyze((pairs_folder, out), 0)
