"""What the worker is asked about an area and two times."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scene_catalog import SIDE_PX, box_text
from worker_process import Worker


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    process = Worker(tmp_path_factory.mktemp("worker"))
    yield process
    process.kill()


@pytest.fixture
def changed(catalog):
    ground = np.random.default_rng(3).integers(800, 1200, (SIDE_PX, SIDE_PX))
    later = ground.copy()
    later[20:40, 20:40] += 3000
    catalog.add_scene("before-a", "2020-06-13", ground)
    catalog.add_scene("after-a", "2024-06-12", later)
    catalog.save()
    return catalog


def request(catalog, **others):
    return {
        "area": box_text(),
        "before": "2020-06",
        "after": "2024-06",
        "fetching": {"catalog": catalog.url},
        **others,
    }


def test_both_scenes_are_fetched_and_told(worker, changed, tmp_path):
    scenes = worker.ask("fetch_pair", **request(changed, scenes="kept", folder=str(tmp_path)))
    assert scenes["before"]["items"] == ["before-a"]
    assert scenes["after"]["dates"] == ["2024-06-12"]
    assert scenes["after"]["hidden_share"] == 0
    for scene in scenes.values():
        assert Path(scene["path"]).parent == tmp_path / "kept"
        assert Path(scene["path"]).is_file()


def test_both_steps_at_once(worker, changed, tmp_path):
    outputs = {"features": "changes.geojson"}
    options = {"model": "cva", "align": "off"}
    result = worker.ask(
        "analyze_area",
        **request(changed, options=options, outputs=outputs, folder=str(tmp_path)),
    )
    assert result["features"]["count"] == 1
    assert result["scenes"]["before"]["items"] == ["before-a"]
    assert Path(result["scenes"]["after"]["path"]).parent == tmp_path / "changes_scenes"
    layer = json.loads((tmp_path / "changes.geojson").read_text())
    assert layer["geochg"]["sources"]["after"]["scene"]["scenes"][0]["id"] == "after-a"


@pytest.mark.parametrize(
    ("method", "parameters", "reason"),
    [
        ("fetch_pair", {}, "no folder for the scenes"),
        ("fetch_pair", {"scenes": "kept"}, "relative path"),
        ("fetch_pair", {"scenes": os.devnull + os.sep + "kept"}, "kept in"),
        ("fetch_pair", {"scenes": 3}, "'scenes' does not fit"),
        ("fetch_pair", {"area": None}, "'area' does not fit"),
        ("fetch_pair", {"before": ""}, "'before' does not fit"),
        ("fetch_pair", {"fetching": []}, "'fetching' does not fit"),
        ("fetch_pair", {"fetching": {"colection": "a"}}, "unknown option 'colection'"),
        ("fetch_pair", {"outputs": {}}, "unknown parameter 'outputs'"),
        ("analyze_area", {}, "'outputs' does not fit"),
        ("analyze_area", {"before": "2025"}, "lies after"),
        ("analyze_area", {"options": {"modle": "cva"}}, "unknown option 'modle'"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    worker, changed, tmp_path, method, parameters, reason
):
    if "outputs" not in parameters and method == "analyze_area" and parameters:
        parameters = {**parameters, "outputs": {"features": str(tmp_path / "c.geojson")}}
    error = worker.refused(method, **{**request(changed), **parameters})
    assert reason in error["message"]
    assert not (changed.path / "requests.log").exists()
