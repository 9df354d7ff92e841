import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from pairs import planted_pair
from processes import gone, wait_until_gone

import geochg
from geochg.events import PROTOCOL_VERSION as OURS
from geochg_qgis.link import client as client_module
from geochg_qgis.link.client import WorkerClient
from geochg_qgis.link.errors import Cancelled, LinkError, Refused, SetupError
from geochg_qgis.link.protocol import PROTOCOL_VERSION, error_of

PYTHON = Path(sys.executable)
FAKE = str(Path(__file__).parent.parent / "support" / "fake_worker.py")
SMALL = {"model": "cva", "tile_size_px": 64, "overlap_px": 16, "align": "off"}


@pytest.fixture
def fake():
    """Starts a fake worker; ended after the test."""
    clients = []

    def make(behaviour):
        clients.append(WorkerClient(PYTHON, command=(FAKE, behaviour)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def pair(make_raster):
    before, after = planted_pair()
    return {
        "before": str(make_raster("before.tif", before)),
        "after": str(make_raster("after.tif", after)),
    }


def test_the_plugin_speaks_the_version_of_the_worker():
    assert PROTOCOL_VERSION == OURS


def test_the_real_worker_is_greeted_asked_and_ended(pair, tmp_path):
    log = []
    client = WorkerClient(PYTHON, on_log=log.append)
    hello = client.start()
    assert hello["geochg"] == geochg.__version__
    events = []
    output = tmp_path / "c.gpkg"
    given = {**pair, "options": SMALL, "outputs": {"features": str(output)}}
    result = client.ask("analyze", given, events.append)
    assert output.exists()
    assert result["features"]["count"] > 0
    assert events[-1]["kind"] == "progress"
    with pytest.raises(LinkError, match="worker-error") as caught:
        client.ask("describe", {**pair, "before": str(tmp_path / "nowhere.tif")})
    assert caught.value.values["message"] == f"{tmp_path / 'nowhere.tif'} does not exist"
    assert caught.value.values["hint"]
    pid = client.pid
    client.close()
    assert gone(pid)
    assert not client.is_alive


@pytest.mark.parametrize(
    ("behaviour", "kind", "names"),
    [
        ("garbage", LinkError, "Welcome to the Other Program"),
        ("other_version", LinkError, "plugin-too-old.*spoken=7"),
        ("dies", SetupError, "geochg-incomplete"),
    ],
)
def test_programs_that_are_no_worker_of_ours(fake, behaviour, kind, names):
    client = fake(behaviour)
    with pytest.raises(kind, match=names):
        client.start()
    assert gone(client.pid)


def test_a_program_that_says_nothing_is_given_up_and_ended(fake):
    client = fake("silent")
    start = time.monotonic()
    with pytest.raises(SetupError, match=r"worker-silent.*seconds=1"):
        client.start(seconds=1.0)
    assert time.monotonic() - start < 12
    assert gone(client.pid)


def test_the_user_may_stop_waiting(fake):
    client = fake("silent")
    with pytest.raises(Cancelled):
        client.start(is_cancelled=lambda: True)
    assert gone(client.pid)


def test_a_worker_that_dies_is_reported_with_code_and_log(fake):
    client = fake("dies_later")
    client.start()
    with pytest.raises(LinkError, match=r"worker-stopped.*exit_code=9") as caught:
        client.ask("analyze", {})
    assert "out of memory" in caught.value.detail
    with pytest.raises(LinkError):
        client.ask("analyze", {})


def test_a_killed_worker_ends_what_was_asked(fake):
    client = fake("slow")
    client.start()
    reply = client.request("analyze", {})
    client._process.kill()
    assert reply.wait(5)
    with pytest.raises(LinkError, match=r"worker-killed|worker-stopped"):
        reply.result()


def test_a_request_that_will_not_stop_ends_with_its_worker(fake):
    client = fake("stubborn")
    client.start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        client.ask("analyze", {}, is_cancelled=lambda: True)
    assert time.monotonic() - start < 4
    wait_until_gone(client.pid, 12)


@pytest.mark.parametrize("method", ["describe", "ask", "analyze"])
def test_a_request_cancelled_beside_a_run_leaves_the_run_alone(fake, method):
    client = fake("deaf")
    client.start()
    run = client.request("analyze", {})
    with pytest.raises(Cancelled):
        client.ask(method, {}, is_cancelled=lambda: True)
    assert set(client._replies) == {run.number}
    time.sleep(0.3)
    assert not gone(client.pid)
    # A worker that would not let go of a run is asked no more, and leaves when it is done.
    assert client.is_alive == (method != "analyze")
    client.request("finish", {})
    assert run.result() == {"finished": run.number}
    if method == "analyze":
        wait_until_gone(client.pid, 5)


@pytest.mark.parametrize("method", ["describe", "ask"])
def test_what_is_cancelled_alone_leaves_the_worker_alone_unless_it_is_a_run(fake, method):
    client = fake("deaf")
    client.start()
    with pytest.raises(Cancelled):
        client.ask(method, {}, is_cancelled=lambda: True)
    time.sleep(0.3)
    assert client.is_alive
    assert client._replies == {}
    assert client.ask("finish", {})


@pytest.mark.parametrize("behaviour", ["deaf", "deaf_parent"])
def test_a_worker_that_will_not_stop_a_run_is_gone_within_five_seconds(fake, behaviour):
    client = fake(behaviour)
    children = client.start()["children"]
    start = time.monotonic()
    with pytest.raises(Cancelled):
        client.ask("analyze", {}, is_cancelled=lambda: True)
    for pid in (client.pid, *children):
        wait_until_gone(pid, 5 - (time.monotonic() - start))
    assert len(children) == (behaviour == "deaf_parent")
    assert not client.is_alive


def test_looking_at_a_pair_does_not_keep_a_worker_that_will_not_stop_a_run(fake):
    client = fake("deaf")
    client.start()
    look = client.request("describe", {})
    start = time.monotonic()
    with pytest.raises(Cancelled):
        client.ask("analyze", {}, is_cancelled=lambda: True)
    wait_until_gone(client.pid, 5 - (time.monotonic() - start))
    with pytest.raises(Cancelled, match="worker-ended"):
        look.result()


@pytest.mark.parametrize("end", ["close", "kill"])
def test_what_a_worker_started_ends_with_it(fake, end):
    client = fake("deaf_parent")
    (child,) = client.start()["children"]
    reply = client.request("analyze", {})
    assert not gone(child)
    client.close() if end == "close" else client._process.kill()
    wait_until_gone(client.pid, 5)
    wait_until_gone(child, 5)
    # Its child held the pipe that the answer would have come from.
    assert reply.wait(5)
    with pytest.raises(LinkError, match="worker-"):
        reply.result()


def test_a_retired_worker_ends_what_it_began_and_leaves(fake):
    client = fake("slow")
    client.start()
    reply = client.request("analyze", {"number": 7})
    client.retire()
    assert not client.is_alive
    assert reply.wait(10)
    assert reply.result() == {"echo": {"number": 7}}
    wait_until_gone(client.pid, 10)


def test_events_of_others_and_nonsense_are_passed_over(fake):
    client = fake("odd")
    assert client.start()["protocol"] == 1


def test_several_threads_may_ask(fake):
    client = fake("slow")
    client.start()
    results = {}

    def ask(number):
        results[number] = client.ask("analyze", {"number": number})["echo"]["number"]

    threads = [Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == {0: 0, 1: 1}


def test_a_listener_that_raises_keeps_no_one_from_the_answer(fake):
    client = fake("slow")
    client.start()

    def listen(event):
        raise ValueError("a listener's defect")

    reply = client.request("analyze", {"number": 7}, listen)
    assert reply.wait(10)
    assert reply.result()["echo"] == {"number": 7}
    assert "a listener's defect" in client.log()


def test_a_defect_in_reading_ends_what_was_asked_and_the_worker(fake, monkeypatch):
    client = fake("slow")
    client.start()

    def fail(message):
        raise ValueError("a defect")

    monkeypatch.setattr(client, "_handle", fail)
    reply = client.request("analyze", {})
    assert reply.wait(5)
    with pytest.raises(LinkError, match="a defect"):
        reply.result()
    wait_until_gone(client.pid, 15)


def test_a_refusal_is_told_from_a_failure():
    assert isinstance(error_of({"code": -32002, "message": "no"}), Refused)
    assert not isinstance(error_of({"code": -32001, "message": "no"}), Refused)


@pytest.mark.parametrize(
    ("python", "names"),
    [
        ("missing", "python-missing"),
        (".", "python-is-folder"),
        ("qgis-bin.exe", "python-is-qgis"),
    ],
)
def test_interpreters_that_are_none(tmp_path, python, names):
    with pytest.raises(SetupError, match=names):
        WorkerClient(tmp_path / python).start()


@pytest.mark.parametrize("is_slow", [False, True])
def test_a_python_without_geochg(tmp_path, monkeypatch, is_slow):
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True
    )

    class SlowThread(Thread):
        """Gives a thread that follows the process time to end before the next is started."""

        def start(self):
            super().start()
            if is_slow:
                self.join(5)

    monkeypatch.setattr(client_module, "Thread", SlowThread)
    from geochg_qgis.link.interpreters import python_of

    with pytest.raises(SetupError, match="geochg-missing") as caught:
        WorkerClient(python_of(tmp_path / "bare")).start()
    assert "No module named" in caught.value.detail
