"""Talking about a place: click it, ask, read the answer as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qgis.core import QgsPointXY, QgsProject
from qgis.gui import QgisInterface, QgsMapToolEmitPoint
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QTextCursor
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.panel.place_marks import PlaceMarks
from geochg_qgis.panel.talks import Subject, Talk, keep_talks, kept_talks
from geochg_qgis.tasks import BackgroundTask, request_task, start_quietly
from geochg_qgis.words import tr

Parameters = Callable[[], Callable[[BackgroundTask], dict[str, Any]]]


class AskPanel(QWidget):
    """The talks of the project.

    Args:
        iface: QGIS.
        connection: Where the worker is.
        subject: Tells what the panel would ask about now, and whom.
        parameters: Reads the pair and options from the panel, on the main thread, and gives what
            makes the worker's parameters of them on another.
        show_error: Tells the user of an error.
        parent: Its parent.
    """

    def __init__(
        self,
        iface: QgisInterface,
        connection: Connection,
        subject: Callable[[], Subject],
        parameters: Parameters,
        show_error: Callable[[LinkError], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._connection = connection
        self._subject, self._parameters, self._show_error = subject, parameters, show_error
        self._talks: list[Talk] = []
        self._task: BackgroundTask | None = None
        self.marks = PlaceMarks(iface.mapCanvas(), self)
        self.tool = QgsMapToolEmitPoint(iface.mapCanvas())
        self.tool.canvasClicked.connect(self._click)
        self.pick = QPushButton(tr("Choose a place on the map"), self)
        self.pick.setCheckable(True)
        self.tool.setButton(self.pick)
        self.places = QComboBox(self)
        self.places.setMinimumWidth(80)
        self.about = QLabel(self)
        self.about.setWordWrap(True)
        # Plain text: neither names, nor a question, nor an answer may become markup.
        self.about.setTextFormat(Qt.TextFormat.PlainText)
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

    def showEvent(self, event: Any) -> None:  # noqa: ANN401 - Qt calls it so
        """The places are on the map while they can be asked about."""
        super().showEvent(event)
        self.marks.set_shown(True)

    def hideEvent(self, event: Any) -> None:  # noqa: ANN401 - Qt calls it so
        """And only then."""
        super().hideEvent(event)
        self.marks.set_shown(False)

    def load(self) -> None:
        """Reads the talks of the project."""
        self.cancel()
        self._talks = kept_talks()
        self._list()
        self._show(self.places.currentIndex())

    def start_at(self, lon: float, lat: float) -> None:
        """Begins a talk about a place, or goes on with the one there."""
        self._start(Talk(lon, lat), self._at(lon, lat))

    def ask(self) -> None:
        """Asks what is written, or what the field suggests when nothing is."""
        place = self._talk()
        if self._task is not None:
            return
        if place is None:
            self._show_error(
                LinkError(tr("No place is chosen"), tr("press the button above, then the map"))
            )
            return
        question = self.question.text().strip() or self.question.placeholderText()
        try:
            subject, make = self._subject(), self._parameters()
        except LinkError as error:
            self._show_error(error)
            return
        talk = self._talk_about(subject, place)

        def parameters(task: BackgroundTask) -> dict[str, Any]:
            asked = {"question": question, "at": [talk.lon, talk.lat]}
            return {**make(task), **asked, "exchanges": exchanges}

        exchanges = [list(each) for each in talk.exchanges]
        task = request_task(tr("geochg: ask"), self._connection, "ask", parameters)
        talk.exchanges.append([question, ""])
        self.question.clear()
        self._show(self._row_of(talk))
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
        """Stops the answer for good and takes the places off the map."""
        if self._task is not None:
            self._task.abandon()
            self._task = None
        self.marks.set_shown(False)

    def say_subject(self) -> None:
        """Says what the talk is about, and when the next question would be of something else."""
        talk = self._talk()
        lines = [talk.words] if talk is not None and talk.words else []
        try:
            subject = self._subject()
        except LinkError:
            subject = None
        if subject is not None and talk is not None and not talk.is_about(subject):
            now = tr("Now chosen: {}. The next question begins a new talk about this place.")
            lines.append(now.format(subject.words))
        self.about.setText("\n".join(lines))
        self.about.setVisible(bool(lines))

    def _click(self, point: QgsPointXY, _: object) -> None:
        try:
            place = self.marks.lonlat(point)
        except LinkError as error:
            self._show_error(error)
            return
        self._start(Talk(*place), [self._talks[row] for row in self.marks.near(point)])

    def _start(self, new: Talk, there: list[Talk]) -> None:
        """Shows a talk that is at the place, best one about what is chosen; else a new one."""
        try:
            subject = self._subject()
        except LinkError:
            subject = None
        fitting = [talk for talk in there if subject is not None and talk.is_about(subject)]
        found = (fitting or there or [None])[0]
        if found is None:
            self._add(new)
            found = new
            self.question.setFocus()
        self._show(self._row_of(found))

    def _talk_about(self, subject: Subject, talk: Talk) -> Talk:
        """The talk at a place about a subject; a new one where there is none."""
        if not talk.is_about(subject):
            fitting = [each for each in self._at(talk.lon, talk.lat) if each.is_about(subject)]
            if fitting:
                talk = fitting[0]
            else:
                talk = Talk(talk.lon, talk.lat)
                self._add(talk)
        talk.take(subject)
        return talk

    def _at(self, lon: float, lat: float) -> list[Talk]:
        return [
            talk
            for talk in self._talks
            if abs(talk.lon - lon) < 1e-6 and abs(talk.lat - lat) < 1e-6
        ]

    def _add(self, talk: Talk) -> None:
        self._talks.append(talk)
        self.places.addItem(talk.title)

    def _row_of(self, talk: Talk) -> int:
        """By identity: two talks may say the same."""
        return next((row for row, each in enumerate(self._talks) if each is talk), -1)

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
        row = self._row_of(talk)
        if row >= 0:
            keep_talks(self._talks)
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
        is_there = 0 <= row < len(self._talks)
        row = row if is_there else -1
        self.places.setCurrentIndex(row)
        exchanges = self._talks[row].exchanges if is_there else []
        # An answer that is still coming is written on to the end.
        self.said.setPlainText("\n\n".join(f"> {asked}\n{said}" for asked, said in exchanges))
        self.said.moveCursor(QTextCursor.MoveOperation.End)
        self.marks.set_places([(each.lon, each.lat) for each in self._talks], row)
        self.say_subject()
        if move:
            self.marks.go_to_chosen()

    def _write(self, text: str) -> None:
        self.said.moveCursor(QTextCursor.MoveOperation.End)
        self.said.insertPlainText(text)
        self.said.ensureCursorVisible()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.send, 1)
        row.addWidget(self.stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pick)
        layout.addWidget(self.places)
        layout.addWidget(self.about)
        layout.addWidget(self.said, 1)
        layout.addWidget(self.question)
        layout.addLayout(row)
        self.stop.setEnabled(False)
        self.said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
