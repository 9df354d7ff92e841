"""Drives the real desktop: run by QGIS with `--code`, started by test_desktop.py.

Pictures and report.json go to the folder that GEOCHG_DESKTOP_OUT names. A step that fails is
reported and ends QGIS.
"""

import json
import os
import shutil
import signal
import time
import traceback
from pathlib import Path

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QElapsedTimer, QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QToolButton
from qgis.utils import iface, plugins

OUT = Path(os.environ["GEOCHG_DESKTOP_OUT"])
DATA = Path(os.environ["GEOCHG_DESKTOP_DATA"])
RENDER_S = 2.5
REPORT = {"pictures": [], "clicks": 0, "done": False}


class Heartbeat:
    """How long the event loop was blocked at most, while it beats."""

    def __init__(self):
        self.worst_ms = 0
        self.beats = 0
        self._clock = QElapsedTimer()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._beat)

    def start(self):
        self.worst_ms, self.beats, self.long = 0, 0, []
        self._clock.start()
        self._timer.start()

    def stop(self):
        self._timer.stop()
        return max(0, self.worst_ms - 5)

    def forgive(self):
        """Starts the measure anew, behind what the test itself did."""
        self._clock.restart()

    def _beat(self):
        waited_ms = self._clock.restart()
        self.worst_ms = max(self.worst_ms, waited_ms)
        if waited_ms > 50:
            self.long.append((self.beats, waited_ms))
        self.beats += 1


HEART = Heartbeat()


def picture(name, widget=None):
    """Takes a picture; the time that takes is not the panel's."""
    (widget or iface.mainWindow()).grab().save(str(OUT / f"{name}.png"))
    REPORT["pictures"].append(name)
    HEART.forgive()


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
    REPORT["clicks"] += 1


def tool_button(action):
    return next(
        widget
        for widget in iface.mainWindow().findChildren(QToolButton)
        if widget.defaultAction() is action and widget.isVisible()
    )


def until(condition, seconds=120):
    """A wait of a step: for a condition."""
    return condition, time.monotonic() + seconds


def pause(seconds=RENDER_S):
    """A wait of a step: for a time."""
    end = time.monotonic() + seconds
    return (lambda: time.monotonic() >= end), end + 10


def add_pair():
    layers = []
    for year in (2015, 2018):
        path = shutil.copy(DATA / f"dubai_{year}.tif", OUT / "data")
        layers.append(QgsRasterLayer(str(path), Path(path).stem))
    QgsProject.instance().addMapLayers(layers)
    iface.mapCanvas().setExtent(layers[0].extent())
    QgsProject.instance().setCrs(layers[0].crs())


def steps():
    """The whole way; yields what to wait for."""
    (OUT / "data").mkdir(exist_ok=True)
    iface.mainWindow().resize(1640, 1000)
    add_pair()
    yield pause()
    plugin = plugins["geochg_qgis"]
    dock, heart = plugin.dock, HEART

    REPORT["clicks"] = 0
    start = time.perf_counter()
    click(tool_button(plugin.action))
    QgsApplication.processEvents()
    REPORT["open_s"] = time.perf_counter() - start
    REPORT["dock_is_visible"] = dock.isVisible()
    dock.raise_()
    REPORT["guessed"] = [layer.name() for layer in dock.pair.layers()]
    yield until(lambda: "tiles" in dock.run_box.info.text())
    REPORT["info"] = dock.run_box.info.text()
    yield pause(1)
    picture("panel")

    dock.options.min_area.setValue(2000)
    heart.start()
    click(dock.run_box.run_button)
    REPORT["clicks_to_layer"] = REPORT["clicks"]
    yield until(lambda: "tiles" in dock.run_box.status.text())
    picture("running")
    start = time.perf_counter()
    click(dock.run_box.cancel_button)
    REPORT["cancel_shown_s"] = time.perf_counter() - start
    yield until(lambda: not dock.runs.is_running, 30)
    REPORT["cancel_s"] = time.perf_counter() - start
    REPORT["after_cancel"] = dock.run_box.info.text()
    REPORT["layers_after_cancel"] = len(QgsProject.instance().mapLayers())

    click(dock.run_box.run_button)
    yield until(lambda: not dock.runs.is_running)
    REPORT["long_ms"] = heart.long
    REPORT["blocked_ms"], REPORT["beats"] = heart.stop(), heart.beats
    yield pause()
    REPORT["changes"] = dock.changes.model.rowCount()
    REPORT["groups"] = [g.name() for g in QgsProject.instance().layerTreeRoot().findGroups()]
    iface.messageBar().clearWidgets()
    yield pause(0.5)
    picture("result")

    table = dock.changes.table
    where = table.visualRect(dock.changes.shown.index(0, 4)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    yield pause()
    REPORT["selected"] = dock.changes._layer.selectedFeatureCount()
    click(dock.changes.accept)
    yield pause()
    picture("change")
    dock.changes.slider.setValue(60)
    yield pause(1)
    REPORT["changes_sure"] = dock.changes.model.rowCount()
    dock.changes.slider.setValue(0)
    dock.changes._layer.removeSelection()
    iface.mapCanvas().setExtent(dock.pair.layers()[0].extent())
    iface.mapCanvas().refresh()

    dock.tabs.setCurrentIndex(2)
    yield pause(1)
    click(dock.ask.pick)
    canvas = iface.mapCanvas()
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    yield until(lambda: dock.ask.places.count() == 1, 10)
    for question in ("What changed here?", "How many buildings have been built?"):
        dock.ask.question.setText(question)
        click(dock.ask.send)
        yield until(lambda: dock.ask._task is None, 120)
    REPORT["talk"] = dock.ask._talks[0].exchanges
    yield pause()
    picture("ask")

    setup = dock.open_setup()
    click(setup.check_button)
    yield until(lambda: "works" in setup.status.text(), 60)
    REPORT["checked"] = setup.status.text()
    yield pause(0.5)
    # No one's folders in the picture.
    setup.python.setFilePath("")
    setup.folder.setFilePath("")
    picture("setup", setup)
    setup.reject()

    dock.tabs.setCurrentIndex(0)
    dock.options.min_area.setValue(1000)
    click(dock.run_box.run_button)
    yield until(lambda: "tiles" in dock.run_box.status.text())
    os.kill(plugin.connection.running.pid, signal.SIGKILL)
    yield until(lambda: not dock.runs.is_running, 20)
    REPORT["killed"] = "; ".join(item.text() for item in iface.messageBar().items())
    yield pause(1)
    picture("killed")
    REPORT["shown_on_top"] = iface.messageBar().currentItem().text()
    REPORT["worker_pid"] = plugin.connection.running.pid

    click(dock.run_box.run_button)
    yield until(lambda: "tiles" in dock.run_box.status.text())
    REPORT["worker_pid"] = plugin.connection.running.pid
    REPORT["done"] = True


class Driver:
    """Takes the steps one by one, each when what it waits for has come."""

    def __init__(self):
        self._steps = steps()
        self._wait = None
        self._timer = QTimer()
        self._timer.setInterval(40)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self):
        try:
            if self._wait is not None:
                condition, deadline = self._wait
                if not condition():
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"waited in vain at {self._steps.gi_frame.f_lineno}")
                    return
            self._wait = next(self._steps)
        except StopIteration:
            self._end()
        except BaseException:
            REPORT["error"] = traceback.format_exc()
            picture("error")
            self._end()

    def _end(self):
        self._timer.stop()
        (OUT / "report.json").write_text(json.dumps(REPORT, indent=1), encoding="utf-8")
        # In the midst of a run: closing QGIS must end the worker.
        # A project with changes would be asked about.
        QgsProject.instance().clear()
        QTimer.singleShot(0, QgsApplication.closeAllWindows)
        QTimer.singleShot(100, iface.actionExit().trigger)


driver = Driver()
