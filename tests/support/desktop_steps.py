"""What scripts share that QGIS's desktop runs: steps in its event loop, pictures, a report."""

import json
import os
import shutil
import time
import traceback
from pathlib import Path

import numpy as np
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QElapsedTimer, QPoint, Qt, QTimer
from qgis.PyQt.QtGui import QImage, QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QToolButton
from qgis.utils import iface

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


class Driver:
    """Takes the steps one by one, each when what it waits for has come."""

    def __init__(self, steps):
        self._steps = steps
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
