"""Tasks are deleted on the main thread, and none is left behind when QGIS ends."""

import gc
import threading
import weakref
from time import sleep

import pytest
from qgis.core import QgsRasterPipe, QgsVectorLayer
from qgis.PyQt import sip

from geochg_qgis import tasks
from geochg_qgis.link.errors import LinkError
from geochg_qgis.tasks import BackgroundTask, end_tasks, start_unlisted


@pytest.fixture(autouse=True)
def no_garbage_collection(qgis_app):
    """Without it, nothing is deleted but what is dropped: it deletes on whatever thread it runs."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Deletions:
    """The threads on which things were deleted."""

    def __init__(self):
        self.threads = []

    def watch(self, thing):
        weakref.finalize(thing, lambda: self.threads.append(threading.current_thread()))


def fail(_):
    try:
        raise OSError("no such file")
    except OSError as error:
        raise LinkError("it failed") from error


@pytest.mark.parametrize("function", [lambda _: {"number": 1}, fail], ids=["answer", "failure"])
def test_a_task_that_its_slots_hold_is_deleted_on_the_main_thread(qtbot, function):
    deletions, told = Deletions(), []
    for number in range(50):
        pipe = QgsRasterPipe()
        task = BackgroundTask("t", lambda task, pipe=pipe: function(task))
        deletions.watch(task)
        deletions.watch(pipe)
        for signal in (task.answered, task.failed):
            signal.connect(lambda value, task=task: told.append((task.isCanceled(), value)))
        start_unlisted(task)
        del task, signal, pipe
        qtbot.waitUntil(lambda number=number: len(told) > number)
    qtbot.waitUntil(lambda: len(deletions.threads) == 100)
    assert set(deletions.threads) == {threading.main_thread()}


def test_errors_hold_no_frames_of_the_thread(qtbot):
    task, told = BackgroundTask("t", fail), []
    task.failed.connect(told.append)
    start_unlisted(task)
    qtbot.waitUntil(lambda: bool(told))
    error = told[0]
    assert isinstance(error.__cause__, OSError)
    assert error.__traceback__ is error.__cause__.__traceback__ is None


def test_the_end_waits_for_threads_and_drops_what_they_made(qtbot):
    layers, told = [], []

    def open_layer(task):
        while not task.isCanceled():
            sleep(0.01)
        layers.append(QgsVectorLayer("Polygon?crs=EPSG:4326", "x", "memory"))
        return {"layer": layers[0]}

    task = BackgroundTask("t", open_layer)
    task.answered.connect(told.append)
    start_unlisted(task)
    end_tasks()
    assert tasks._running == set()
    assert task.has_ended(0)
    assert task._result == {}
    qtbot.wait(20)
    assert told == []
    assert not sip.isdeleted(layers[0])


def test_the_end_does_not_wait_for_ever(qtbot):
    goes_on = threading.Event()
    task = start_unlisted(BackgroundTask("t", lambda _: {"waited": goes_on.wait(20)}))
    end_tasks(0.05)
    assert not task.has_ended(0)
    goes_on.set()
    qtbot.waitUntil(lambda: not tasks._running)
