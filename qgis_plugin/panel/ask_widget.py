"""The widget for questions about a place: click it, ask, read the answer as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qgis.core import QgsPointXY, QgsProject
from qgis.gui import QgisInterface, QgsMapToolEmitPoint
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QTextCursor
from qgis.PyQt.QtWidgets import QApplication, QLineEdit, QPlainTextEdit, QPushButton, QWidget

from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.panel.dialogues import (
    DialogueSubject,
    PlaceDialogue,
    is_outline,
    load_dialogues,
    store_dialogues,
)
from geochg_qgis.panel.layouts import choice_box, column_layout, plain_label, row_layout
from geochg_qgis.panel.place_markers import PlaceMarkers
from geochg_qgis.tasks import BackgroundTask, request_task, start_unlisted

ParameterMaker = Callable[[BackgroundTask], dict[str, Any]]


class AskWidget(QWidget):
    """Shows the dialogues of the project and adds questions to them.

    Args:
        iface: Interface of QGIS.
        connection: Connection to the worker.
        subject: Function that gives the pair and model chosen in the panel.
        parameter_maker: Function that reads the pair and options from the panel, on the main
            thread, and gives the function that makes the worker's parameters on another.
        is_covered: Function that tells whether both images reach to a place, given longitude and
            latitude.
        show_error: Function that shows an error to the user.
        parent: Parent widget.
    """

    def __init__(
        self,
        iface: QgisInterface,
        connection: Connection,
        subject: Callable[[], DialogueSubject],
        parameter_maker: Callable[[], ParameterMaker],
        is_covered: Callable[[float, float], bool],
        show_error: Callable[[LinkError], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._connection, self._show_error = connection, show_error
        self._subject, self._parameter_maker = subject, parameter_maker
        self._is_covered = is_covered
        self._dialogues: list[PlaceDialogue] = []
        self._task: BackgroundTask | None = None
        self.markers = PlaceMarkers(iface.mapCanvas(), self)
        self.tool = QgsMapToolEmitPoint(iface.mapCanvas())
        self.tool.canvasClicked.connect(self._click)
        self.pick = QPushButton(tr("Choose a place o&n the map"), self)
        self.pick.setCheckable(True)
        self.tool.setButton(self.pick)
        self.places = choice_box(self)
        self.copy = QPushButton(tr("Cop&y"), self)
        self.copy.setToolTip(tr("Copies this conversation"))
        self.delete = QPushButton(tr("Dele&te"), self)
        self.delete.setToolTip(tr("Deletes this conversation"))
        self.note = plain_label(self)
        self.subject_label = plain_label(self)
        self.transcript = QPlainTextEdit(self)
        self.transcript.setReadOnly(True)
        self.transcript.setMinimumHeight(140)
        self.question = QLineEdit(self)
        self.question.setPlaceholderText(tr("What changed here?"))
        self.send = QPushButton(tr("As&k"), self)
        self.stop = QPushButton(tr("Stop"), self)
        self._lay_out()
        self.pick.clicked.connect(lambda: iface.mapCanvas().setMapTool(self.tool))
        self.places.activated.connect(lambda row: self._show(row, move=True))
        self.copy.clicked.connect(self.copy_dialogue)
        self.delete.clicked.connect(self.delete_dialogue)
        self.send.clicked.connect(self.ask)
        self.question.returnPressed.connect(self.ask)
        self.stop.clicked.connect(self.cancel)
        project = QgsProject.instance()
        # A method, not a lambda, so that Qt disconnects it with the panel.
        project.readProject.connect(self.load)
        project.cleared.connect(self.load)
        self.load()

    def showEvent(self, event: Any) -> None:  # noqa: ANN401 - Qt calls it so
        """Shows the places on the map."""
        super().showEvent(event)
        self.markers.set_shown(True)

    def hideEvent(self, event: Any) -> None:  # noqa: ANN401 - Qt calls it so
        """Removes the places from the map."""
        super().hideEvent(event)
        self.markers.set_shown(False)

    def load(self) -> None:
        """Reads the dialogues of the project."""
        self.cancel()
        self._dialogues = load_dialogues()
        self.places.clear()
        self.places.addItems([dialogue.title for dialogue in self._dialogues])
        self._show(self.places.currentIndex())

    def ask(self) -> None:
        """Sends the question that is typed, or the suggested one where there is none."""
        shown_dialogue = self._current()
        if self._task is not None:
            return
        if shown_dialogue is None:
            self._show_error(
                LinkError(tr("No place is chosen"), tr("press the button above, then the map"))
            )
            return
        question = self.question.text().strip() or self.question.placeholderText()
        try:
            subject, pair_parameters = self._subject(), self._parameter_maker()
        except LinkError as error:
            self._show_error(error)
            return
        dialogue = self._dialogue_about(subject, shown_dialogue)
        exchanges = [list(exchange) for exchange in dialogue.exchanges]
        lon_lat = [dialogue.lon, dialogue.lat]

        def parameters(task: BackgroundTask) -> dict[str, Any]:
            ask_parameters = {"question": question, "at": lon_lat, "exchanges": exchanges}
            return {**pair_parameters(task), **ask_parameters}

        task = request_task(tr("geochg: ask"), self._connection, "ask", parameters)
        dialogue.exchanges.append([question, ""])
        self.question.clear()
        self._show(self._row_of(dialogue))
        task.event_sent.connect(lambda event: self._add_piece(dialogue, event))
        task.answered.connect(lambda result: self._end(dialogue, result))
        task.failed.connect(lambda error: self._fail(dialogue, error))
        self._task = start_unlisted(task)
        self._set_busy(True)

    def cancel(self) -> None:
        """Stops the answer."""
        if self._task is not None:
            self._task.cancel()

    def copy_dialogue(self) -> None:
        """Copies the shown dialogue to the clipboard."""
        dialogue = self._current()
        if dialogue is not None:
            QApplication.clipboard().setText(dialogue.to_text())

    def delete_dialogue(self) -> None:
        """Deletes the shown dialogue; an answer that is still coming is stopped."""
        dialogue = self._current()
        if dialogue is not None:
            self.cancel()
            self._drop(dialogue)

    def close_down(self) -> None:
        """Abandons the answer and removes the places from the map."""
        if self._task is not None:
            self._task.abandon()
            self._task = None
        self.markers.set_shown(False)

    def show_subject(self) -> None:
        """Shows the subject of the dialogue, and that chosen in the panel where it differs."""
        dialogue = self._current()
        label = dialogue.subject.label if dialogue is not None else ""
        lines = [label] if label else []
        try:
            subject = self._subject()
        except LinkError:
            subject = None
        if subject is not None and dialogue is not None and not dialogue.is_about(subject):
            text = tr(
                "Now chosen: {}. The next question begins a new conversation about this place."
            )
            lines.append(text.format(subject.label))
        self.subject_label.setText("\n".join(lines))
        self.subject_label.setVisible(bool(lines))

    def _click(self, point: QgsPointXY, _: object) -> None:
        try:
            lon, lat = self.markers.lonlat(point)
        except LinkError as error:
            self._show_error(error)
            return
        if not self._is_covered(lon, lat):
            self._show_note(tr("This place lies outside the two images."))
            return
        known_dialogues = [self._dialogues[row] for row in self.markers.near(point)]
        self._start(PlaceDialogue(lon, lat), known_dialogues)

    def _start(self, new: PlaceDialogue, known_dialogues: list[PlaceDialogue]) -> None:
        """Shows a known dialogue, preferably about the chosen subject, or else a new one."""
        try:
            subject = self._subject()
        except LinkError:
            subject = None
        fitting = [
            item for item in known_dialogues if subject is not None and item.is_about(subject)
        ]
        if fitting or known_dialogues:
            self._show(self._row_of((fitting or known_dialogues)[0]))
            return
        self._add(new)
        self.question.setFocus()
        self._show(self._row_of(new))

    def _dialogue_about(
        self, subject: DialogueSubject, shown_dialogue: PlaceDialogue
    ) -> PlaceDialogue:
        """The dialogue about a subject at the place of the shown one, which may be new."""
        at_place = self._dialogues_at(shown_dialogue.lon, shown_dialogue.lat)
        candidates = [shown_dialogue, *at_place]
        fitting = [item for item in candidates if item.is_about(subject)]
        if fitting:
            dialogue = fitting[0]
        else:
            dialogue = PlaceDialogue(shown_dialogue.lon, shown_dialogue.lat)
            self._add(dialogue)
        dialogue.subject = subject
        return dialogue

    def _dialogues_at(self, lon: float, lat: float) -> list[PlaceDialogue]:
        return [
            item
            for item in self._dialogues
            if abs(item.lon - lon) < 1e-6 and abs(item.lat - lat) < 1e-6
        ]

    def _drop(self, dialogue: PlaceDialogue) -> None:
        row = self._row_of(dialogue)
        if row < 0:
            return
        del self._dialogues[row]
        self.places.removeItem(row)
        store_dialogues(self._dialogues)
        self._show(self.places.currentIndex())

    def _show_note(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _add(self, dialogue: PlaceDialogue) -> None:
        self._dialogues.append(dialogue)
        self.places.addItem(dialogue.title)

    def _row_of(self, dialogue: PlaceDialogue) -> int:
        """The row of a dialogue, by identity: two may have the same texts."""
        rows = (row for row, item in enumerate(self._dialogues) if item is dialogue)
        return next(rows, -1)

    def _current(self) -> PlaceDialogue | None:
        row = self.places.currentIndex()
        return self._dialogues[row] if 0 <= row < len(self._dialogues) else None

    def _add_piece(self, dialogue: PlaceDialogue, event: Mapping[str, Any]) -> None:
        if event.get("kind") == "place" and is_outline(event.get("outline")):
            dialogue.outline = event["outline"]
            if dialogue is self._current():
                self._mark_places()
        if event.get("kind") != "piece":
            return
        text = str(event.get("text", ""))
        dialogue.exchanges[-1][1] += text
        if dialogue is self._current():
            self.transcript.moveCursor(QTextCursor.MoveOperation.End)
            self.transcript.insertPlainText(text)
            self.transcript.ensureCursorVisible()

    def _end(self, dialogue: PlaceDialogue, result: Mapping[str, Any]) -> None:
        exchange = dialogue.exchanges[-1]
        exchange[1] = str(result.get("answer", "")) or exchange[1]
        self._settle(dialogue)

    def _fail(self, dialogue: PlaceDialogue, error: LinkError) -> None:
        if not dialogue.exchanges[-1][1]:
            # Without an answer, the question goes back to where it was typed.
            self.question.setText(dialogue.exchanges.pop()[0])
        if not isinstance(error, Cancelled):
            self._show_error(error)
        if not dialogue.exchanges and self._row_of(dialogue) >= 0:
            self._drop(dialogue)
        self._settle(dialogue)

    def _settle(self, dialogue: PlaceDialogue) -> None:
        self._task = None
        self._set_busy(False)
        row = self._row_of(dialogue)
        if row >= 0:
            store_dialogues(self._dialogues)
            self.places.setItemText(row, dialogue.title)
            if dialogue is self._current():
                self._show(row)

    def _set_busy(self, is_busy: bool) -> None:
        self.send.setEnabled(not is_busy)
        self.stop.setEnabled(is_busy)

    def _show(self, row: int, *, move: bool = False) -> None:
        row = row if 0 <= row < len(self._dialogues) else -1
        self.places.setCurrentIndex(row)
        exchanges = self._dialogues[row].exchanges if row >= 0 else []
        # Pieces of an answer that is still coming are appended to the end.
        texts = (f"> {question}\n{answer}" for question, answer in exchanges)
        self.transcript.setPlainText("\n\n".join(texts))
        self.transcript.moveCursor(QTextCursor.MoveOperation.End)
        self._mark_places()
        self._show_note("")
        for button in (self.copy, self.delete):
            button.setEnabled(row >= 0)
        self.show_subject()
        if move:
            self.markers.go_to_chosen()

    def _mark_places(self) -> None:
        dialogue = self._current()
        places = [(item.lon, item.lat) for item in self._dialogues]
        outline = dialogue.outline if dialogue is not None else []
        self.markers.set_places(places, self.places.currentIndex(), outline)

    def _lay_out(self) -> None:
        dialogues = row_layout(self.places, self.copy, self.delete)
        buttons = row_layout(self.send, self.stop)
        texts = (self.note, self.subject_label, self.transcript, self.question)
        column_layout(self, self.pick, dialogues, *texts, buttons, tallest=self.transcript)
        self._show_note("")
        self.stop.setEnabled(False)
        self.transcript.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
