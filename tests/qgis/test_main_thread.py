"""Steps of the main thread, and that the window is served between them."""

import time

import pytest
from qgis.PyQt.QtCore import QTimer

from geochg_qgis.main_thread import MainThreadQueue


@pytest.fixture
def queue(qgis_app):
    queue = MainThreadQueue()
    yield queue
    queue.stop()


def test_other_events_come_between_the_steps(queue, qtbot):
    told = []
    timer = QTimer()
    timer.setInterval(1)
    timer.timeout.connect(lambda: told.append("beat"))
    timer.start()

    def step(name):
        told.append(name)
        time.sleep(0.02)

    queue.add(lambda name=name: step(name) for name in "abc")
    assert queue.is_busy
    assert told == []
    qtbot.waitUntil(lambda: not queue.is_busy and "c" in told, timeout=2000)
    timer.stop()
    assert [each for each in told if each != "beat"] == ["a", "b", "c"]
    first, second, third = (told.index(name) for name in "abc")
    assert "beat" in told[first:second]
    assert "beat" in told[second:third]


def test_a_step_may_add_steps_and_one_that_fails_stops_no_other(queue, qtbot):
    told = []

    def fail():
        raise ValueError("a step that fails")

    with qtbot.capture_exceptions() as caught:
        queue.add([lambda: queue.add([lambda: told.append("added")]), fail])
        queue.add([lambda: told.append("last")])
        qtbot.waitUntil(lambda: "added" in told, timeout=2000)
    assert told == ["last", "added"]
    assert [str(value) for _, value, _ in caught] == ["a step that fails"]


def test_stopped_it_takes_no_more(queue, qtbot):
    told = []
    queue.add([lambda: told.append(1), queue.stop, lambda: told.append(2)])
    qtbot.waitUntil(lambda: not queue.is_busy, timeout=2000)
    qtbot.wait(50)
    assert told == [1]
