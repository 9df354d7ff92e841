"""Talking about a place: click it, ask, read the answer as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsPointXY, QgsProject
from qgis.gui import QgisInterface, QgsMapToolEmitPoint, QgsVertexMarker
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QTextCursor
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection
from geochg_qgis.layers.grounds import lonlat
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.panel.talks import Talk, keep_talks, kept_talks
from geochg_qgis.tasks import BackgroundTask, request_task, start_quietly
from geochg_qgis.words import tr

Parameters = Callable[[], Callable[[BackgroundTask], dict[str, Any]]]


class AskPanel(QWidget):
    """The talks of the project.

    Args:
        iface: QGIS.
        connection: Where the worker is.
        parameters: Reads the pair and options from the panel, on the main thread, and gives what
            makes the worker's parameters of them on another.
        show_error: Tells the user of an error.
        parent: Its parent.
    """

    def __init__(
        self,
        iface: QgisInterface,
        connection: Connection,
        parameters: Parameters,
        show_error: Callable[[LinkError], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._iface, self._connection = iface, connection
        self._parameters, self._show_error = parameters, show_error
        self._talks: list[Talk] = []
        self._task: BackgroundTask | None = None
        self._marker: QgsVertexMarker | None = None
        self.tool = QgsMapToolEmitPoint(iface.mapCanvas())
        self.tool.canvasClicked.connect(self._click)
        self.pick = QPushButton(tr("Choose a place on the map"), self)
        self.pick.setCheckable(True)
        self.tool.setButton(self.pick)
        self.places = QComboBox(self)
        self.places.setMinimumWidth(80)
        # Plain text: neither a question nor an answer may become markup.
        self.said = QPlainTextEdit(self)
        self.said.setReadOnly(True)
        self.said.setMinimumHeight(140)
        self.question = QLineEdit(self)
        self.question.setPlaceholderText(tr("What changed here?"))
        self.send = QPushButton(tr("Ask"), self)
        self.stop = QPushButton(tr("Stop"), self)
        self._lay_out()
        self.pick.clicked.connect(lambda: iface.mapCanvas().setMapTool(self.tool))
        self.places.activated.connect(lambda row: self._show(row, move=True))
        self.send.clicked.connect(self.ask)
        self.question.returnPressed.connect(self.ask)
        self.stop.clicked.connect(self.cancel)
        project = QgsProject.instance()
        # A method, not a lambda, so that Qt lets go of it with the panel.
        project.readProject.connect(self.load)
        project.cleared.connect(self.load)
        self.load()

    def load(self) -> None:
        """Reads the talks of the project."""
        self.cancel()
        self._talks = kept_talks()
        self._list()
        self._show(self.places.currentIndex())

    def start_at(self, lon: float, lat: float) -> None:
        """Begins a talk about a place, or goes on with the one there."""
        for row, talk in enumerate(self._talks):
            if abs(talk.lon - lon) < 1e-6 and abs(talk.lat - lat) < 1e-6:
                self._show(row)
                return
        self._talks.append(Talk(lon, lat))
        self._list()
        self._show(len(self._talks) - 1)
        self.question.setFocus()

    def ask(self) -> None:
        """Asks what is written, or what the field suggests when nothing is."""
        talk = self._talk()
        if self._task is not None:
            return
        if talk is None:
            self._show_error(
                LinkError(tr("No place is chosen"), tr("press the button above, then the map"))
            )
            return
        question = self.question.text().strip() or self.question.placeholderText()
        try:
            make = self._parameters()
        except LinkError as error:
            self._show_error(error)
            return

        def parameters(task: BackgroundTask) -> dict[str, Any]:
            place = {"question": question, "at": [talk.lon, talk.lat]}
            return {**make(task), **place, "exchanges": exchanges}

        exchanges = [list(each) for each in talk.exchanges]
        task = request_task(tr("geochg: ask"), self._connection, "ask", parameters)
        talk.exchanges.append([question, ""])
        self.question.clear()
        self._show(self._talks.index(talk))
        task.told.connect(lambda event: self._hear(talk, event))
        task.answered.connect(lambda result: self._end(talk, result))
        task.failed.connect(lambda error: self._fail(talk, error))
        self._task = start_quietly(task)
        self._set_busy(True)

    def cancel(self) -> None:
        """Stops the answer."""
        if self._task is not None:
            self._task.cancel()

    def close_down(self) -> None:
        """Stops the answer for good and takes the marker off the map."""
        if self._task is not None:
            self._task.abandon()
            self._task = None
        self.clear_map()

    def clear_map(self) -> None:
        """Takes the marker off the map."""
        if self._marker is not None:
            self._iface.mapCanvas().scene().removeItem(self._marker)
            self._marker = None

    def _click(self, point: QgsPointXY, _: object) -> None:
        crs = self._iface.mapCanvas().mapSettings().destinationCrs()
        try:
            self.start_at(*lonlat(point, crs))
        except LinkError as error:
            self._show_error(error)

    def _talk(self) -> Talk | None:
        row = self.places.currentIndex()
        return self._talks[row] if 0 <= row < len(self._talks) else None

    def _hear(self, talk: Talk, event: Mapping[str, Any]) -> None:
        if event.get("kind") != "piece":
            return
        talk.exchanges[-1][1] += str(event.get("text", ""))
        if talk is self._talk():
            self._write(str(event.get("text", "")))

    def _end(self, talk: Talk, result: Mapping[str, Any]) -> None:
        talk.exchanges[-1][1] = str(result.get("answer", "")) or talk.exchanges[-1][1]
        self._settle(talk)

    def _fail(self, talk: Talk, error: LinkError) -> None:
        if not talk.exchanges[-1][1]:
            # Nothing was answered: the question goes back to where it was written.
            self.question.setText(talk.exchanges.pop()[0])
        if not isinstance(error, Cancelled):
            self._show_error(error)
        self._settle(talk)

    def _settle(self, talk: Talk) -> None:
        self._task = None
        self._set_busy(False)
        if any(each is talk for each in self._talks):
            keep_talks(self._talks)
            row = next(i for i, each in enumerate(self._talks) if each is talk)
            self.places.setItemText(row, talk.title)
            if talk is self._talk():
                self._show(row)

    def _set_busy(self, is_busy: bool) -> None:
        self.send.setEnabled(not is_busy)
        self.stop.setEnabled(is_busy)

    def _list(self) -> None:
        self.places.clear()
        for talk in self._talks:
            self.places.addItem(talk.title)

    def _show(self, row: int, *, move: bool = False) -> None:
        self.said.clear()
        self.clear_map()
        if not 0 <= row < len(self._talks):
            return
        self.places.setCurrentIndex(row)
        talk = self._talks[row]
        lines = [f"> {question}\n{answer}\n" for question, answer in talk.exchanges]
        self._write("\n".join(lines))
        self._mark(talk, move=move)

    def _write(self, text: str) -> None:
        self.said.moveCursor(QTextCursor.MoveOperation.End)
        self.said.insertPlainText(text)
        self.said.ensureCursorVisible()

    def _mark(self, talk: Talk, *, move: bool) -> None:
        canvas = self._iface.mapCanvas()
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        there = QgsCoordinateTransform(
            degrees, canvas.mapSettings().destinationCrs(), QgsProject.instance()
        ).transform(QgsPointXY(talk.lon, talk.lat))
        self._marker = QgsVertexMarker(canvas)
        self._marker.setIconType(QgsVertexMarker.IconType.ICON_CIRCLE)
        self._marker.setColor(QColor("#d7482f"))
        self._marker.setPenWidth(3)
        self._marker.setIconSize(18)
        self._marker.setCenter(there)
        if move:
            canvas.setCenter(there)
            canvas.refresh()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.send, 1)
        row.addWidget(self.stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pick)
        layout.addWidget(self.places)
        layout.addWidget(self.said, 1)
        layout.addWidget(self.question)
        layout.addLayout(row)
        self.stop.setEnabled(False)
        self.said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
