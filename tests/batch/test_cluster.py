"""Batches on a Dask cluster whose parts are killed one after the other."""

import json
import socket
import subprocess
import threading
import time

import psutil
import pytest
from batch_pairs import (
    OPTIONS,
    assert_same_features,
    environment,
    geochg,
    rows_of,
    write_list,
)
from dask_cluster import DaskCluster

import geochg as package
from geochg.batch import cluster as cluster_module
from geochg.errors import CancelledRunError, InputError
from geochg.events import Progress

pytestmark = pytest.mark.usefixtures("marker")

SLOW = {**OPTIONS, "model_options": {"delay_s": 0.05}, "batch_size": 4}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = DaskCluster(tmp_path_factory.mktemp("cluster"), environment())
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pairs_folder):
    """The same pairs by a process of this machine."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    listed = write_list(pairs_folder / "cluster.csv", pairs_folder, 0, 1, 2)
    words = (
        "batch",
        str(listed),
        "-o",
        str(folder),
        "--jobs",
        "1",
        "--options",
        options_file(folder),
    )
    done = subprocess.run(geochg(*words), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def options_file(folder):
    path = folder.parent / "options.toml"
    package.AnalyzeOptions.from_dict(SLOW).to_toml(path)
    return str(path)


def analyze(
    pairs_folder, out, cluster, *numbers, listener=lambda event: None, cancel=None, **batch
):
    options = package.AnalyzeOptions.from_dict(SLOW)
    settings = package.BatchOptions(cluster=cluster.address, **batch)
    return package.analyze_batch(
        rows_of(pairs_folder, *numbers), out, options, settings, listener=listener, cancel=cancel
    )


def test_spread_tiles_give_the_features_of_one_machine(cluster, whole, pairs_folder, tmp_path):
    events = []
    result = analyze(
        pairs_folder, tmp_path / "out", cluster, 0, 1, 2, spread=10, listener=events.append
    )
    assert [scene.status for scene in result.scenes] == ["done"] * 3
    assert_same_features(tmp_path / "out" / "changes.gpkg", whole / "changes.gpkg")
    tiles = [event for event in events if isinstance(event, Progress) and event.stage == "tiles"]
    assert tiles
    assert len(result.scenes[0].record.files) == 2


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


def start(cluster, pairs_folder, out, options):
    command = geochg(
        "batch", str(pairs_folder / "cluster.csv"), "-o", str(out), "--cluster", cluster.address,
        "--spread", "30", "--options", options, "--json",
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
    out, options = tmp_path / "out", options_file(whole)
    cluster = DaskCluster(tmp_path, environment())
    cluster.start()
    try:
        process = start(cluster, pairs_folder, out, options)
        wait_for(process, lambda: list(out.glob("scenes/*.journal-wal")))
        process.kill()
        process.communicate()
        process = start(cluster, pairs_folder, out, options)
        wait_for(process, lambda: list(out.glob("scenes/*.json")))
        cluster.kill_worker()
        finished = len(list(out.glob("scenes/*.json")))
        if finished < 3:
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
        process = start(cluster, pairs_folder, out, options)
        told, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        scenes = json.loads(told)["scenes"]
        assert scenes["kept"] >= finished
        assert scenes["done"] + scenes["kept"] == 3
    finally:
        cluster.close()
    assert_same_features(out / "changes.gpkg", whole / "changes.gpkg")
    assert (out / "areas.csv").read_text() == (whole / "areas.csv").read_text()
    assert not list(out.glob("**/*.journal*"))


def test_a_scene_that_kills_its_workers_fails_and_is_named(cluster, pairs_folder, tmp_path):
    out = tmp_path / "out"
    result_box = []

    def run():
        result_box.append(analyze(pairs_folder, out, cluster, 0, retry=0))

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < deadline:
        for worker in list(cluster.workers):
            if any(out.glob("scenes/*.journal-wal")) and _holds(worker, out):
                cluster.kill_worker(cluster.workers.index(worker))
                cluster.add_worker()
        time.sleep(0.02)
    thread.join(60)
    (scene,) = result_box[0].scenes
    if scene.status == "failed":
        assert "its workers failed" in scene.reason
    else:
        assert scene.status == "done"


def _holds(worker, out):
    try:
        return any(str(out) in file.path for file in psutil.Process(worker.pid).open_files())
    except psutil.Error:
        return False


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
