"""Batches on a Dask cluster whose parts are killed one after the other."""

import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from batch_pairs import (
    SLOW,
    assert_same_features,
    environment,
    geochg,
    rows_of,
)
from dask_cluster import DaskCluster

import geochg as package
from geochg.batch import cluster as cluster_module
from geochg.batch.scene_checks import BatchScene
from geochg.batch.scene_runner import SceneState, SceneTask
from geochg.batch.spread import PART_TILES
from geochg.errors import CancelledRunError, InputError
from geochg.events import Progress

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.usefixtures("marker")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = DaskCluster(tmp_path_factory.mktemp("cluster"), environment())
    running.start()
    yield running
    running.close()


def analyze(
    pairs_folder, out, cluster, *numbers, listener=lambda event: None, cancel=None, **batch
):
    options = package.AnalyzeOptions.from_dict(SLOW)
    settings = package.BatchOptions(cluster=cluster.address, **batch)
    return package.analyze_batch(
        rows_of(pairs_folder, *numbers), out, options, settings, listener=listener, cancel=cancel
    )


def test_spread_tiles_give_the_features_of_one_machine(cluster, tmp_path):
    """Two scenes of two parts each, so that workers take parts of both by turns."""
    names = [str(EXAMPLES / f"ponds_{year}.tif") for year in (2012, 2014)]
    areas = {
        "north": "EPSG:26914;485900,5207400,488700,5209245",
        "south": "EPSG:26914;485900,5205630,488700,5207500",
    }
    settings = {"model": "builtin", "align": "off", "tile_size_px": 64, "overlap_px": 16}
    pairs = [
        {"id": name, "before": names[0], "after": names[1], "options": {"aoi": area}}
        for name, area in areas.items()
    ]
    events, out = [], tmp_path / "out"
    result = package.analyze_batch(
        pairs,
        out,
        package.AnalyzeOptions.from_dict(settings),
        package.BatchOptions(cluster=cluster.address, spread=10),
        listener=events.append,
    )
    assert [scene.status for scene in result.scenes] == ["done"] * 2
    for scene in result.scenes:
        assert scene.record.tiles["total"] > PART_TILES
        assert len(scene.record.files) == 2
        options = package.AnalyzeOptions.from_dict({**settings, "aoi": areas[scene.id]})
        alone = tmp_path / f"{scene.id}.gpkg"
        package.analyze(*names, options, outputs=package.Outputs(alone))
        assert_same_features(out / "scenes" / f"{scene.id}.gpkg", alone)
    assert any(isinstance(event, Progress) and event.stage == "tiles" for event in events)


def test_a_batch_that_is_cancelled_leaves_the_workers_free(cluster, pairs_folder, tmp_path):
    cancel, out = threading.Event(), tmp_path / "out"

    def wait_and_cancel():
        deadline = time.monotonic() + 60
        while not list(out.glob("scenes/*.journal-wal")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        cancel.set()

    threading.Thread(target=wait_and_cancel, daemon=True).start()
    with pytest.raises(CancelledRunError):
        analyze(pairs_folder, out, cluster, 0, 1, 2, cancel=cancel)
    assert not (out / "changes.gpkg").exists()
    # The next one need not wait for scenes that nobody wants.
    start = time.monotonic()
    result = analyze(pairs_folder, tmp_path / "next", cluster, 0)
    assert result.scenes[0].status == "done"
    assert time.monotonic() - start < 30


def start(cluster, pairs_folder, out):
    command = geochg(
        "batch", str(pairs_folder / "pairs.csv"), "-o", str(out), "--cluster", cluster.address,
        "--spread", "30", "--options", str(pairs_folder / "options.toml"), "--json",
    )  # fmt: skip
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(process, condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_client_worker_and_scheduler_are_killed_and_nothing_is_lost_or_doubled(
    whole, pairs_folder, tmp_path
):
    out = tmp_path / "out"
    cluster = DaskCluster(tmp_path, environment())
    cluster.start()
    try:
        process = start(cluster, pairs_folder, out)
        wait_for(process, lambda: list(out.glob("scenes/*.journal-wal")))
        process.kill()
        process.communicate()
        process = start(cluster, pairs_folder, out)
        wait_for(process, lambda: list(out.glob("scenes/*.json")))
        cluster.kill_worker()
        finished = len(list(out.glob("scenes/*.json")))
        if finished < 4:
            wait_for(process, lambda: list(out.glob("scenes/*.journal-wal")))
        cluster.kill_scheduler()
        told, errors = process.communicate(timeout=60)
        if process.returncode:  # else it was faster
            assert process.returncode == 1
            assert "does not answer any more" in errors
            assert "Traceback" not in errors
            assert not told
        cluster.close()
        cluster.start(workers=1)
        process = start(cluster, pairs_folder, out)
        told, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        scenes = json.loads(told)["scenes"]
        assert scenes["kept"] >= finished
        assert scenes["done"] + scenes["kept"] == 4
    finally:
        cluster.close()
    assert_same_features(out / "changes.gpkg", whole / "changes.gpkg")
    assert (out / "areas.csv").read_text() == (whole / "areas.csv").read_text()
    assert not list(out.glob("**/*.journal*"))


def test_a_scene_that_kills_its_workers_has_failed(tmp_path):
    class Gone(Exception):
        pass

    class Killed:
        status = "error"

        def add_done_callback(self, call):
            call(self)

        def exception(self):
            return Gone("4 workers died")

    class Client:
        status = "running"

        def subscribe_topic(self, topic, handler):
            pass

        def submit(self, function, *arguments, **settings):
            return Killed()

    pool = cluster_module.ClusterPool(Client(), "tcp://h:1", 10)
    options = package.AnalyzeOptions()
    pool.submit(SceneTask(tmp_path, BatchScene("a", "b", "c", options)))
    (outcome,) = pool.messages(1.0)
    assert (outcome.state, outcome.is_permanent) == (SceneState.FAILED, False)
    assert outcome.reason == "its workers failed: 4 workers died"
    assert list(pool.messages(0.0)) == []


@pytest.mark.parametrize("answers", [False, True])
def test_an_address_where_no_scheduler_answers_is_told_soon(
    pairs_folder, tmp_path, monkeypatch, answers
):
    monkeypatch.setattr(cluster_module, "CONNECT_S", 1.0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:  # something that takes connections and says nothing
            server.listen()
        stranger = DaskCluster(tmp_path, {})
        stranger.address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        start_s = time.monotonic()
        with pytest.raises(InputError, match="no Dask scheduler answers"):
            analyze(pairs_folder, tmp_path / "out", stranger, 0)
        assert time.monotonic() - start_s < 15


def test_workers_of_another_version_are_refused(cluster, pairs_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "__version__", "9.9")
    with pytest.raises(InputError, match=r"has geochg .*, and this is 9\.9"):
        analyze(pairs_folder, tmp_path / "out", cluster, 0)


def test_workers_that_see_other_files_are_refused(cluster, pairs_folder, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"

    class Blind:
        def run(self, function, mark, token):
            return {"tcp://w:1": function(str(elsewhere / "mark"), token)}

    with pytest.raises(InputError, match="tcp://w:1 does not see"):
        cluster_module._check_folder(Blind(), tmp_path)
    assert not list(tmp_path.glob(".geochg-*"))


def test_a_scheduler_without_workers_is_told(pairs_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "WORKERS_S", 0.5)
    lonely = DaskCluster(tmp_path, environment())
    lonely.start(workers=0)
    try:
        with pytest.raises(InputError, match="has no worker"):
            analyze(pairs_folder, tmp_path / "out", lonely, 0)
    finally:
        lonely.close()
