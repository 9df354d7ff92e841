"""The bases of dialogs that ask the worker for one thing, such as about a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QProgressBar, QPushButton, QWidget

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import progress_summary, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.layers.result_layers import results_in_project
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link.progress import ProgressMeter
from geochg_qgis.panel.layouts import choice_box, name_dialog_buttons, name_widget, plain_label
from geochg_qgis.tasks import BackgroundTask, start_unlisted


class RequestDialog(QDialog):
    """Asks on a background task; *Close* stops what is under way, and else closes.

    Args:
        connection: Connection to the worker.
        name: Object name, with which those of its widgets begin.
        title: Title of the window.
        go_text: Text of the button that asks.
        parent: Parent widget.

    Attributes:
        status: What is under way, came out, or is wrong.
        go: The button that asks.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        title: str,
        go_text: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._connection = connection
        self._task: BackgroundTask | None = None
        self.setObjectName(name)
        self.setWindowTitle(title)
        self.status, self.bar = plain_label(self, is_selectable=True), QProgressBar(self)
        self.bar.setVisible(False)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, parent=self)
        self.go = QPushButton(go_text, self)
        self.buttons.addButton(self.go, QDialogButtonBox.ButtonRole.ActionRole)
        self.go.setDefault(True)
        self.go.clicked.connect(lambda _: self.ask())
        self.buttons.rejected.connect(self.reject)
        name_dialog_buttons(
            self.buttons, name, {"Close": tr("Closes the dialog, or stops what is under way")}
        )

    def ask(self) -> None:
        """Begins what the dialog is for."""
        raise NotImplementedError

    def start(
        self,
        method: str,
        parameters: Mapping[str, Any] | Callable[[BackgroundTask], Mapping[str, Any]],
        show: Callable[[Mapping[str, Any]], object],
        transform_result: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        """Asks the worker.

        Args:
            method: The worker's method.
            parameters: Its parameters, or a function that makes them on the task's thread.
            show: Function that is given the answer, on the main thread.
            transform_result: Function that adds to the answer on the task's thread.
        """
        if self._task is not None:
            return
        meter = ProgressMeter()

        def ask_worker(task: BackgroundTask) -> Mapping[str, Any]:
            values = parameters(task) if callable(parameters) else parameters
            client = self._connection.client(task.isCanceled)
            answer = client.ask(method, values, task.send_event, task.isCanceled)
            return {**answer, **transform_result(answer)}

        task = BackgroundTask(f"geochg: {self.windowTitle()}", ask_worker)
        task.event_sent.connect(lambda event: self._show_event(event, meter))
        task.answered.connect(lambda answer: self._end(lambda: show(answer)))
        task.failed.connect(lambda error: self._end(lambda: self.show_error(error)))
        self._task = start_unlisted(task)
        self.status.setText(tr("Under way"))
        self._show_running(True)

    def reject(self) -> None:
        """Stops what is under way; closes the dialog where nothing is."""
        if self._task is None:
            super().reject()
        else:
            self._task.cancel()

    def close_down(self) -> None:
        """Abandons what is under way."""
        task, self._task = self._task, None
        if task is not None:
            task.abandon()

    def show_error(self, error: LinkError) -> None:
        """Shows what is wrong, and what to do, in a line."""
        if isinstance(error, Cancelled):
            self.status.setText(tr("Stopped"))
            return
        parts = (str(part).rstrip(".") for part in (error.message, error.hint))
        self.status.setText(" ".join(f"{sentence(part)}." for part in parts if part))

    def _end(self, show: Callable[[], object]) -> None:
        self._task = None
        self._show_running(False)
        show()

    def _show_event(self, event: Mapping[str, Any], meter: ProgressMeter) -> None:
        if event.get("kind") == "progress" and self._task is not None:
            progress = meter.measure(event)
            self.bar.setRange(0, max(progress.total, 1))
            self.bar.setValue(progress.done)
            self.status.setText(sentence(progress_summary(progress)))

    def _show_running(self, is_running: bool) -> None:
        self.bar.setRange(0, 0)
        self.bar.setVisible(is_running)
        self.go.setEnabled(not is_running)


class ResultDialog(RequestDialog):
    """Asks about a result of the project.

    Args:
        connection: Connection to the worker.
        name: Object name, with which those of its widgets begin.
        title: Title of the window.
        go_text: Text of the button that asks.
        parent: Parent widget.

    Attributes:
        changes: The results of the project.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        title: str,
        go_text: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(connection, name, title, go_text, parent)
        self.changes = choice_box(self)
        tip = tr("The result that this is about, as it is filtered and reviewed")
        name_widget(self.changes, f"{name}Changes", tr("Result"), tip)

    def offer_results(self, result: QgsVectorLayer | None) -> None:
        """Offers the results of the project; without one there is nothing to ask."""
        self.changes.clear()
        for layer in results_in_project():
            self.changes.addItem(layer.name(), layer.id())
        place = self.changes.findData(result.id()) if result is not None else 0
        self.changes.setCurrentIndex(max(0, place))
        self.go.setEnabled(self.changes.count() > 0)
        self.status.setText("" if self.changes.count() else tr("There is no result"))

    def result_layer(self) -> QgsVectorLayer:
        """The chosen result.

        Raises:
            LinkError: If there is none.
        """
        layer = QgsProject.instance().mapLayer(str(self.changes.currentData() or ""))
        if not isinstance(layer, QgsVectorLayer):
            raise LinkError(tr("There is no result"), tr("add its file to the project"))
        return layer
