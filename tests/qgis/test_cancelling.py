"""Cancel with a worker that does not obey, seen from the panel; by process ids."""

import functools
import time
from pathlib import Path

import pytest
from processes import gone, wait_until_gone
from qgis_worker import WORKER_PYTHON

FAKE = Path(__file__).parent.parent / "support" / "fake_worker.py"


@pytest.fixture
def deaf_worker(monkeypatch):
    """The panel's worker is one that ignores every cancel, and has a child that does, too."""
    from geochg_qgis import connection
    from geochg_qgis.link.client import WorkerClient

    command = (str(FAKE), "deaf_parent")
    monkeypatch.setattr(
        connection, "WorkerClient", functools.partial(WorkerClient, command=command)
    )
    monkeypatch.setattr(connection, "stored_setting", lambda _: str(WORKER_PYTHON))


def test_a_worker_that_does_not_obey_is_gone_soon_and_its_children_with_it(
    deaf_worker, dock, qtbot
):
    dock._describe_later.stop()
    dock.run()
    qtbot.waitUntil(lambda: bool(dock._connection.hello), timeout=10_000)
    worker = dock._connection.current_client
    (child,) = worker.hello["children"]
    qtbot.waitUntil(lambda: not worker.is_idle, timeout=10_000)
    assert not gone(worker.pid)
    assert not gone(child)
    start = time.monotonic()
    dock.run_widget.cancel_button.click()
    assert dock.run_widget.cancel_button.text() == "Stopping"
    assert time.monotonic() - start < 1
    qtbot.waitUntil(lambda: not dock.runs.is_running, timeout=5000)
    for pid in (worker.pid, child):
        wait_until_gone(pid, 5 - (time.monotonic() - start))
    assert "kept" in dock.run_widget.info.text()
    assert dock.run_widget.run_button.isEnabled()
