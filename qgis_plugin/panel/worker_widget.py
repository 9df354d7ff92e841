"""The line at the foot of the panel that says which geochg runs, and asks it what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QSizePolicy, QWidget

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import as_tip
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError, SetupError
from geochg_qgis.panel.layouts import row_layout
from geochg_qgis.panel.setup_note_widget import SetupNote
from geochg_qgis.tasks import BackgroundTask, request_task, start_unlisted


class WorkerWidget(QWidget):
    """Shows versions of the worker, or that there is none.

    Args:
        connection: Connection to the worker.
        note: Note that is shown as long as nothing is set up.
        parent: Parent widget.

    Signals:
        greeted: A worker answered; carries its description of itself.
        devices_known: It told where models can run; carries the list.
        setup_wanted: The user wants the set-up page.
    """

    greeted = pyqtSignal(object)
    devices_known = pyqtSignal(object)
    setup_wanted = pyqtSignal()

    def __init__(
        self, connection: Connection, note: SetupNote, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._connection, self._note = connection, note
        self._has_devices = False
        self._tasks: list[BackgroundTask] = []
        self.label = QLabel(tr("geochg is starting"), self)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = QPushButton(tr("Se&t up"), self)
        for button in (self.button, note.button):
            button.clicked.connect(self.setup_wanted)
        row_layout(self.label, self.button, parent=self)

    def meet(self) -> None:
        """Starts the worker, so that its models are known, or what is missing is told at once."""
        task = request_task(tr("geochg: start"), self._connection, "models", lambda _: {})
        task.event_sent.connect(self.handle_event)
        task.failed.connect(self.note_missing)
        self._tasks.append(start_unlisted(task))

    def handle_event(self, event: Mapping[str, Any]) -> None:
        """Shows the worker that an event of a request is from."""
        if event.get("kind") == "hello":
            self.show_worker(event)

    def show_worker(self, hello: Mapping[str, Any], *, is_new: bool = False) -> None:
        """Shows a worker, and asks a new one for its devices.

        Args:
            hello: Its description of itself.
            is_new: Whether it runs in another interpreter than the former one.
        """
        self.label.setText(f"geochg {hello.get('geochg')}, Python {hello.get('python')}")
        self.label.setToolTip(as_tip(hello.get("executable", "")))
        self._note.setVisible(False)
        self.greeted.emit(hello)
        if is_new or not self._has_devices:
            self._has_devices = True
            task = request_task(tr("geochg: devices"), self._connection, "devices", lambda _: {})
            task.answered.connect(lambda answer: self.devices_known.emit(answer.get("devices", ())))
            task.failed.connect(self._ask_again)
            self._tasks.append(start_unlisted(task))

    def note_missing(self, error: LinkError) -> None:
        """Shows that nothing is set up, if that is the error."""
        if isinstance(error, SetupError):
            self.label.setText(tr("geochg is not set up yet"))
            self._note.setVisible(True)

    def close_down(self) -> None:
        """Abandons what was asked."""
        for task in self._tasks:
            task.abandon()
        self._tasks.clear()

    def _ask_again(self, _: LinkError) -> None:
        """Lets the next worker be asked for its devices."""
        self._has_devices = False
