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

import numpy as np
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QElapsedTimer, QPoint, Qt, QTimer
from qgis.PyQt.QtGui import QImage, QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QToolButton
from qgis.utils import iface, plugins

from geochg_qgis.layers.result_layers import results_in_project

OUT = Path(os.environ["GEOCHG_DESKTOP_OUT"])
DATA = Path(os.environ["GEOCHG_DESKTOP_DATA"])
RENDER_S = 2.5
REPORT = {"pictures": [], "clicks": 0, "done": False, "blocked": {}, "open_s": []}


class Heartbeat:
    """How long the event loop was blocked at most, by parts of the drive."""

    def __init__(self):
        self._part = None
        self._clock = QElapsedTimer()
        self._computed_s = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._beat)

    def begin(self, part):
        """Measures a part from now on, what is blocking now among it."""
        if self._part is None:
            self.forgive()
            self._timer.start()
        self._part = REPORT["blocked"][part] = {
            "worst_ms": 0,
            "computed_ms": 0,
            "beats": 0,
            "long_ms": [],
        }

    def stop(self):
        self._timer.stop()
        self._part = None

    def forgive(self):
        """Starts the measure anew, behind what the test itself did."""
        self._clock.start()
        self._computed_s = time.thread_time()

    def _beat(self):
        waited_ms = max(0, self._clock.restart() - 5)
        before_s, self._computed_s = self._computed_s, time.thread_time()
        part = self._part
        part["worst_ms"] = max(part["worst_ms"], waited_ms)
        computed_ms = round(1000 * (self._computed_s - before_s))
        part["computed_ms"] = max(part["computed_ms"], computed_ms)
        if waited_ms > 30:
            part["long_ms"].append((part["beats"], waited_ms, computed_ms))
        part["beats"] += 1


HEART = Heartbeat()


def picture(name, widget=None):
    """Takes a picture; the time that takes is not the panel's."""
    (widget or iface.mainWindow()).grab().save(str(OUT / f"{name}.png"))
    REPORT["pictures"].append(name)
    HEART.forgive()


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
    REPORT["clicks"] += 1


def drag(canvas, start, end):
    """Drags over the map, from and to shares of its width and height."""
    view, button = canvas.viewport(), Qt.MouseButton.LeftButton
    first, last = (
        QPoint(round(x * view.width()), round(y * view.height())) for x, y in (start, end)
    )
    QTest.mousePress(view, button, pos=first)
    # QTest moves without a button.
    nothing = Qt.KeyboardModifier.NoModifier
    move = QMouseEvent(
        QMouseEvent.Type.MouseMove, last, view.mapToGlobal(last), button, button, nothing
    )
    QgsApplication.sendEvent(view, move)
    QTest.mouseRelease(view, button, pos=last)


def map_pixels():
    """What the map shows, as an array of rows, columns and blue, green, red, alpha."""
    image = iface.mapCanvas().viewport().grab().toImage()
    HEART.forgive()
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    values = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return values.reshape(image.height(), image.width(), 4).astype(int)


def difference(one, other, columns):
    """Share of the pixels that are clearly of another colour, in some columns."""
    apart = np.abs(one[:, columns] - other[:, columns]).max(axis=2)
    return float((apart > 24).mean())


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
    button = tool_button(plugin.action)
    for _ in range(5):
        if dock.isVisible():
            click(button)
            yield pause(0.2)
        start = time.perf_counter()
        click(button)
        QgsApplication.processEvents()
        REPORT["open_s"].append(time.perf_counter() - start)
    # Opened once by whoever has not come to measure.
    REPORT["clicks"] = 1
    REPORT["dock_is_visible"] = dock.isVisible()
    dock.raise_()
    REPORT["guessed"] = [layer.name() for layer in dock.pair.layers()]
    yield until(lambda: "tiles" in dock.run_widget.info.text())
    REPORT["info"] = dock.run_widget.info.text()
    yield pause(1)
    picture("panel")

    dock.options.fields["min_area_m2"].widget.setValue(2000)
    # Small tiles, for a run long enough to be looked at; into a file of its own.
    dock.options.fields["tile_size_px"].widget.setValue(64)
    dock.options.output.setFilePath(str(OUT / "data" / "small_tiles.gpkg"))
    yield until(lambda: " 456 tiles" in dock.run_widget.info.text())
    heart.begin("cancelled")
    click(dock.run_widget.run_button)
    REPORT["clicks_to_layer"] = REPORT["clicks"]
    yield until(
        lambda: "left" in dock.run_widget.status.text() and dock.run_widget.bar.value() > 300
    )
    REPORT["progress"] = dock.run_widget.status.text()
    picture("running")
    start = time.perf_counter()
    click(dock.run_widget.cancel_button)
    REPORT["cancel_shown_s"] = time.perf_counter() - start
    yield until(lambda: not dock.runs.is_running, 30)
    REPORT["cancel_s"] = time.perf_counter() - start
    REPORT["after_cancel"] = dock.run_widget.info.text()
    REPORT["layers_after_cancel"] = len(QgsProject.instance().mapLayers())

    dock.options.fields["tile_size_px"].widget.setValue(256)
    dock.options.output.setFilePath("")
    heart.begin("run")

    def add(_):
        QgsProject.instance().layersAdded.disconnect(add)
        heart.begin("adding")

    QgsProject.instance().layersAdded.connect(add)
    click(dock.run_widget.run_button)
    yield until(lambda: not dock.runs.is_running)
    # What the new layer makes QGIS do afterwards is its doing, too.
    yield pause(1)
    heart.stop()
    yield pause()
    REPORT["changes"] = dock.changes.model.rowCount()
    REPORT["groups"] = [g.name() for g in QgsProject.instance().layerTreeRoot().findGroups()]
    iface.messageBar().clearWidgets()
    yield pause(0.5)
    picture("result")

    canvas = iface.mapCanvas()
    plain = map_pixels()
    heart.begin("swipe")
    click(dock.changes.swipe)
    yield pause()
    drag(canvas, (0.5, 0.3), (0.6, 0.3))
    yield pause(0.3)
    swiped, line = map_pixels(), round(0.6 * canvas.viewport().width())
    REPORT["swipe"] = {
        "is_begun": dock.changes.swipe.isChecked(),
        "before_differs": difference(plain, swiped, slice(0, line - 20)),
        "after_differs": difference(plain[:-60], swiped[:-60], slice(line + 20, None)),
    }
    heart.forgive()
    # To where a road was built.
    south = QgsRectangle(dock.pair.layers()[0].extent())
    south.setYMaximum(south.yMinimum() + 0.62 * south.height())
    canvas.setExtent(south)
    canvas.refresh()
    yield pause()
    drag(canvas, (0.6, 0.3), (0.5, 0.3))
    yield pause(0.3)
    picture("swipe")
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    REPORT["swipe"]["is_over"] = not dock.changes.swipe.isChecked()
    heart.stop()

    table = dock.changes.table
    # The second column is in sight however narrow the dock is.
    where = table.visualRect(dock.changes.model.index(0, 1)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    yield pause()
    REPORT["selected"] = dock.changes.layer.selectedFeatureCount()
    click(dock.changes.accept)
    yield pause()
    picture("change")
    dock.changes.slider.setValue(60)
    yield pause(1)
    REPORT["changes_sure"] = dock.changes.model.rowCount()
    dock.changes.slider.setValue(0)
    dock.changes.layer.removeSelection()
    iface.mapCanvas().setExtent(dock.pair.layers()[0].extent())
    iface.mapCanvas().refresh()

    dock.tabs.setCurrentIndex(2)
    yield pause(1)
    click(dock.ask.pick)
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    yield until(lambda: dock.ask.places.count() == 1, 10)
    for question in ("What changed here?", "How many buildings have been built?"):
        dock.ask.question.setText(question)
        click(dock.ask.send)
        yield until(lambda: dock.ask._task is None, 120)
    REPORT["talk"] = dock.ask._dialogues[0].exchanges
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
    dock.options.fields["min_area_m2"].widget.setValue(1000)
    click(dock.run_widget.run_button)
    yield until(lambda: "tiles" in dock.run_widget.status.text())
    os.kill(plugin.connection.current_client.pid, signal.SIGKILL)
    yield until(lambda: not dock.runs.is_running, 20)
    REPORT["killed"] = "; ".join(item.text() for item in iface.messageBar().items())
    yield pause(1)
    picture("killed")
    REPORT["shown_on_top"] = iface.messageBar().currentItem().text()
    REPORT["worker_pid"] = plugin.connection.current_client.pid
    REPORT["unfinished"] = [run.output.name for run in dock.interrupted.runs]
    # Whatever the panel shows by now.
    dock.options.model.setEditText("cva")
    former = {layer.name() for layer in results_in_project()}
    click(dock.interrupted.go_on_buttons[0])
    yield until(lambda: not dock.runs.is_running, 90)
    REPORT["went_on"] = sorted({layer.name() for layer in results_in_project()} - former)
    REPORT["unfinished_then"] = [run.output.name for run in dock.interrupted.runs]
    dock.options.model.setEditText("builtin")
    dock.tabs.setCurrentIndex(0)

    dock.options.fields["min_area_m2"].widget.setValue(1500)
    click(dock.run_widget.run_button)
    yield until(lambda: "tiles" in dock.run_widget.status.text())
    REPORT["worker_pid"] = plugin.connection.current_client.pid
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
