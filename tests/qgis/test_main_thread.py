"""Steps of the main thread, and events that are handled between them."""

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
    events = []
    timer = QTimer()
    timer.setInterval(1)
    timer.timeout.connect(lambda: events.append("beat"))
    timer.start()

    def step(name):
        events.append(name)
        time.sleep(0.02)

    queue.add(lambda name=name: step(name) for name in "abc")
    assert queue.is_busy
    assert events == []
    qtbot.waitUntil(lambda: not queue.is_busy and "c" in events, timeout=2000)
    timer.stop()
    assert [each for each in events if each != "beat"] == ["a", "b", "c"]
    first, second, third = (events.index(name) for name in "abc")
    assert "beat" in events[first:second]
    assert "beat" in events[second:third]


def test_a_step_may_add_steps_and_one_that_fails_stops_no_other(queue, qtbot):
    events = []

    def fail():
        raise ValueError("a step that fails")

    with qtbot.capture_exceptions() as caught:
        queue.add([lambda: queue.add([lambda: events.append("added")]), fail])
        queue.add([lambda: events.append("last")])
        qtbot.waitUntil(lambda: "added" in events, timeout=2000)
    assert events == ["last", "added"]
    assert [str(value) for _, value, _ in caught] == ["a step that fails"]


def test_a_stopped_queue_takes_no_more_steps(queue, qtbot):
    events = []
    queue.add([lambda: events.append(1), queue.stop, lambda: events.append(2)])
    qtbot.waitUntil(lambda: not queue.is_busy, timeout=2000)
    qtbot.wait(50)
    assert events == [1]
