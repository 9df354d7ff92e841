"""A finished scene is known by what it was made of."""

import json
import os
from dataclasses import replace
from threading import Event as Flag

import pytest
import rasterio
from batch_pairs import OPTIONS, features, rows_of

from geochg.batch.pair_list import listed_pairs
from geochg.batch.scene_checks import checked_scenes
from geochg.batch.scene_records import (
    SCENES_FOLDER,
    ScenePaths,
    finished_record,
    option_files,
    read_record,
)
from geochg.batch.scene_runner import SceneOutcome, SceneRunner, SceneState, SceneTask
from geochg.events import ignore
from geochg.options import AnalyzeOptions
from geochg.pipeline.journal_file import journal_path

pytestmark = pytest.mark.usefixtures("marker")


@pytest.fixture
def work(tmp_path, pairs_folder):
    """A folder of a batch, a scene of copied rasters, and a runner."""
    folder = tmp_path / "batch"
    (folder / SCENES_FOLDER).mkdir(parents=True)
    for name in ("before0.tif", "after0.tif"):
        (tmp_path / name).write_bytes((pairs_folder / name).read_bytes())
    options = AnalyzeOptions.from_dict(OPTIONS)
    (scene,), _ = checked_scenes(listed_pairs(rows_of(tmp_path, 0), tmp_path), options)
    return folder, scene, SceneRunner()


def run(work, scene=None, cancel=None, listener=ignore):
    folder, first, runner = work
    return runner.run(SceneTask(folder, scene or first), listener, cancel or Flag())


def changed(scene, **options):
    return replace(scene, options=replace(scene.options, **options))


def test_a_scene_that_ran_is_finished_until_something_behind_it_changes(work, tmp_path):
    folder, scene, _ = work
    assert finished_record(folder, scene) is None
    outcome = run(work)
    assert outcome.state is SceneState.DONE, outcome.reason
    record = finished_record(folder, scene)
    assert record is not None
    assert record.features == len(features(ScenePaths.of(folder, "s0").layer)) == 3
    assert outcome.record == record.to_dict()
    assert finished_record(folder, changed(scene, device="cpu", workers=2)) == record
    assert finished_record(folder, changed(scene, min_area_m2=10.0)) is None
    (tmp_path / "after0.tif.aux.xml").write_text("<PAMDataset/>")  # as QGIS writes
    assert finished_record(folder, scene) == record
    os.utime(tmp_path / "after0.tif", ns=(1, 1))
    assert finished_record(folder, scene) is None


@pytest.mark.parametrize("model", ["vlm:{}", "labels:vlm:{}"])
def test_the_folder_of_a_model_is_one_of_the_files_behind_a_scene(tmp_path, model):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for name in ("model", "clue_model"):
        options = AnalyzeOptions.from_dict({name: model.format(folder)})
        assert folder / "config.json" in option_files(options)


def test_sources_of_a_virtual_raster_and_files_of_options_count(work, tmp_path):
    folder, scene, _ = work
    from rasterio.shutil import copy

    with rasterio.open(scene.after) as dataset:
        copy(dataset, tmp_path / "after.vrt", driver="VRT")
    area = tmp_path / "area.geojson"
    ring = [[14.9, 44.9], [15.1, 44.9], [15.1, 45.3], [14.9, 45.3], [14.9, 44.9]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    virtual = changed(replace(scene, after=str(tmp_path / "after.vrt")), aoi=str(area))
    outcome = run(work, virtual)
    assert outcome.state is SceneState.DONE, outcome.reason
    assert finished_record(folder, virtual)
    for name in ("after0.tif", "area.geojson"):
        status = (tmp_path / name).stat()
        os.utime(tmp_path / name, ns=(1, 1))
        assert finished_record(folder, virtual) is None, name
        os.utime(tmp_path / name, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert finished_record(folder, virtual), name


def test_a_layer_that_lies_there_alone_finishes_nothing(work):
    folder, scene, _ = work
    run(work)
    paths = ScenePaths.of(folder, "s0")
    text = paths.record.read_text()
    for damage in ("", "{}", "[1]", text[:-9], text.replace('"features": 3', '"features": "3"')):
        paths.record.write_text(damage)
        assert finished_record(folder, scene) is None
    paths.record.write_text(text)
    assert finished_record(folder, scene)
    paths.layer.write_bytes(paths.layer.read_bytes()[:5_000])
    assert finished_record(folder, scene) is None
    paths.layer.unlink()
    assert finished_record(folder, scene) is None
    assert read_record(folder / "nothing.json") is None


def test_a_layer_of_other_options_never_passes_for_that_of_its_record(work):
    folder, scene, _ = work
    run(work)
    other = changed(scene, geometry="cells")
    cancel = Flag()
    cancel.set()
    assert run(work, other, cancel).state is SceneState.CANCELLED
    # Its layer is still the first one's, but another may have been begun in its place.
    assert finished_record(folder, scene) is None
    assert run(work, other).state is SceneState.DONE
    assert finished_record(folder, other)
    assert finished_record(folder, scene) is None


def test_a_stopped_scene_goes_on_and_what_other_options_left_is_begun_anew(work):
    folder, scene, _ = work
    slow = changed(scene, batch_size=2)
    cancel = Flag()

    def stop(event):
        if getattr(event, "done", 0) >= 4 and event.stage == "tiles":
            cancel.set()

    assert run(work, slow, cancel, stop).state is SceneState.CANCELLED
    journal = journal_path(ScenePaths.of(folder, "s0").layer)
    assert journal.exists()
    begun = []
    assert run(work, slow, listener=begun.append).state is SceneState.DONE
    assert next(event.done for event in begun if getattr(event, "stage", "") == "tiles") >= 4
    cancel.clear()
    assert run(work, changed(slow, vote=False, min_area_m2=1.0), cancel, stop).state is (
        SceneState.CANCELLED
    )
    outcome = run(work, changed(slow, min_area_m2=2.0))
    assert outcome.state is SceneState.DONE, outcome.reason
    assert not journal.exists()


def test_reasons_say_whether_another_attempt_is_of_use(work, monkeypatch):
    folder, scene, _ = work
    wrong = changed(scene, classes=("forest",))
    outcome = run(work, wrong)
    assert (outcome.state, outcome.is_permanent) == (SceneState.FAILED, True)
    failing = changed(scene, model_options={"fail_tiles": (3,)})
    outcome = run(work, failing)
    assert (outcome.state, outcome.is_permanent) == (SceneState.FAILED, False)
    assert "told to fail" in outcome.reason

    def break_model(options):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("geochg.batch.scene_runner.load_configured_model", break_model)
    outcome = run((folder, scene, SceneRunner()))
    assert outcome.reason == "RuntimeError: out of luck"


def test_tasks_and_outcomes_survive_the_way_to_another_process(work):
    folder, scene, _ = work
    task = SceneTask(folder, changed(scene, classes=("building",), min_confidence=0.5))
    assert SceneTask.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert "overlap_px" in task.to_dict()["options"]
    assert "crs" not in task.to_dict()["options"]
    outcome = SceneOutcome("a", SceneState.FAILED, "no", True)
    assert SceneOutcome.from_dict(json.loads(json.dumps(outcome.to_dict()))) == outcome
