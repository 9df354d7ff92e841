"""The widget that lists unfinished runs, to go on with them or to discard them.

Among them are those that waited for others when QGIS was closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QMessageBox, QPushButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.interrupted_runs import (
    RECORDS,
    InterruptedRun,
    discard_run,
    interrupted_runs,
    store_waiting,
    waiting_before,
)
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.row_group_widget import RowGroupWidget

LOCAL_MODELS = frozenset(("", "builtin", "cva", "irmad"))
"""Models that need nothing but geochg."""


class InterruptedRunsWidget(RowGroupWidget):
    """Shows a row for each unfinished run; hidden where there is none.

    Args:
        show_error: Function that shows an error to the user.
        parent: Parent widget.

    Signals:
        chosen: The user wants to go on with a run; carries the `InterruptedRun`.

    Attributes:
        runs: The runs that are listed, in the order of their rows.
        go_on_buttons: Buttons of the rows, in their order.
        discard_buttons: Likewise.
    """

    chosen = pyqtSignal(object)

    def __init__(
        self, show_error: Callable[[LinkError], object], parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Unfinished runs"), "InterruptedRuns", parent)
        self._show_error = show_error
        self._waiting: list[InterruptedRun] = []
        self._left_runs = waiting_before()
        self._stored = self._left_runs
        self.runs: list[InterruptedRun] = []
        self.go_on_buttons: list[QPushButton] = []
        self.discard_buttons: list[QPushButton] = []
        # Those of Processing are recorded on its threads.
        self._refresh_timer = single_shot_timer(self, 0, self.refresh)
        RECORDS.changed.connect(self._refresh_timer.start)

    def refresh(self) -> None:
        """Lists the unfinished runs anew, without those that run or wait."""
        waiting_outputs = [run.output for run in self._waiting]
        runs = [run for run in interrupted_runs() if run.output not in waiting_outputs]
        signatures = [run.signature for run in runs]
        # One that began in the meantime is listed as such.
        self.runs = [*runs, *(run for run in self._left_runs if run.signature not in signatures)]
        self.go_on_buttons = [self._go_on_button(run) for run in self.runs]
        self.discard_buttons = [self._discard_button(run) for run in self.runs]
        rows = zip(self.runs, self.go_on_buttons, self.discard_buttons)
        self.show_rows(self.row(run.title, run.output, *buttons) for run, *buttons in rows)

    def leave_out(self, waiting_runs: Sequence[InterruptedRun]) -> None:
        """Leaves out runs that wait, and keeps them for when QGIS is closed."""
        self._waiting = list(waiting_runs)
        self._store()

    def take_out(self, run: InterruptedRun) -> None:
        """Lists a run of which nothing is done no more: it began, waits, or is not wanted."""
        self._left_runs = [other for other in self._left_runs if other is not run]
        self._store()

    def _store(self) -> None:
        former, self._stored = self._stored, [*self._left_runs, *self._waiting]
        store_waiting(self._stored, former)
        self.refresh()

    def close_down(self) -> None:
        """Stops to follow the records."""
        with suppress(TypeError):  # stopped before
            RECORDS.changed.disconnect(self._refresh_timer.start)
        self._refresh_timer.stop()

    def _go_on_button(self, run: InterruptedRun) -> QPushButton:
        tip = tr("Finishes this run with its own images and options")
        if run.is_exported:
            tip = tr("An image was exported for this run; begin it anew from its layers")
        button = self.button(tr("Go on"), tip, run.output.name)
        button.setEnabled(not run.is_exported)
        button.clicked.connect(lambda: self._go_on(run))
        return button

    def _discard_button(self, run: InterruptedRun) -> QPushButton:
        if not run.is_begun:
            tip = tr("Takes this run out; nothing of it is done yet")
            button = self.button(tr("Remove"), tip, run.output.name)
            button.clicked.connect(lambda: self.take_out(run))
            return button
        tip = tr("Removes what this run has done so far")
        button = self.button(tr("Discard"), tip, run.output.name)
        button.clicked.connect(lambda: self._discard(run))
        return button

    def _go_on(self, run: InterruptedRun) -> None:
        """Goes on; the model of a file that others may have written is asked about before."""
        model = str(run.options.get("model", ""))
        text = tr(
            "This run was begun with the model {}, which may come from a server or send images to"
            " one. Go on with it?"
        )
        if model in LOCAL_MODELS or self._confirms(text.format(model)):
            self.chosen.emit(run)

    def _discard(self, run: InterruptedRun) -> None:
        if not self._confirms(tr("Remove what {} has done so far?").format(run.title)):
            return
        try:
            discard_run(run.output)
        except LinkError as error:
            self._show_error(error)
        self.refresh()

    def _confirms(self, text: str) -> bool:
        """Whether the user says yes to a question; it names what stands in files."""
        buttons = QMessageBox.StandardButton
        box = QMessageBox(QMessageBox.Icon.Question, "geochg", text, buttons.Yes | buttons.No, self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        return bool(box.exec() == buttons.Yes)
