"""The widget that lists unfinished runs, to go on with them or to discard them."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QGroupBox, QMessageBox, QPushButton, QVBoxLayout, QWidget

from geochg_qgis.formatting import as_tip
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.interrupted_runs import InterruptedRun, discard_run, interrupted_runs
from geochg_qgis.panel.layouts import plain_label, row_layout

LOCAL_MODELS = frozenset(("", "builtin", "cva", "irmad"))
"""Models that need nothing but geochg."""


class InterruptedRunsWidget(QGroupBox):
    """Shows a row for each unfinished run; hidden where there is none.

    Args:
        show_error: Function that shows an error to the user.
        parent: Parent widget.

    Signals:
        chosen: The user wants to go on with a run; carries the `InterruptedRun`.

    Attributes:
        runs: The runs that are listed, in the order of their rows.
    """

    chosen = pyqtSignal(object)

    def __init__(
        self, show_error: Callable[[LinkError], object], parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Unfinished runs"), parent)
        self.setObjectName("InterruptedRuns")
        self._show_error = show_error
        self._rows: list[QWidget] = []
        self._layout = QVBoxLayout(self)
        self._is_running = False
        self.runs: list[InterruptedRun] = []
        self.go_on_buttons: list[QPushButton] = []
        self.discard_buttons: list[QPushButton] = []
        self.setVisible(False)

    def refresh(self) -> None:
        """Lists the unfinished runs anew."""
        for row in self._rows:
            self._layout.removeWidget(row)
            row.deleteLater()
        self.runs = interrupted_runs()
        self.go_on_buttons, self.discard_buttons, self._rows = [], [], []
        for run in self.runs:
            self._rows.append(self._row(run))
            self._layout.addWidget(self._rows[-1])
        self.set_running(self._is_running)

    def set_running(self, is_running: bool) -> None:
        """Hides the list during a run, which is itself unfinished."""
        self._is_running = is_running
        self.setVisible(bool(self.runs) and not is_running)

    def _row(self, run: InterruptedRun) -> QWidget:
        row = QWidget(self)
        label = plain_label(row, run.title)
        label.setToolTip(as_tip(run.output))
        go_on = QPushButton(tr("Go on"), row)
        tip = tr("Finishes this run with its own images and options")
        if run.is_exported:
            tip = tr("An image was exported for this run; begin it anew from its layers")
            go_on.setEnabled(False)
        go_on.setToolTip(as_tip(tip))
        go_on.clicked.connect(lambda: self._go_on(run))
        discard = QPushButton(tr("Discard"), row)
        discard.setToolTip(as_tip(tr("Removes what this run has done so far")))
        discard.clicked.connect(lambda: self._discard(run))
        for button in (go_on, discard):
            button.setAccessibleName(f"{button.text()}: {run.output.name}")
        self.go_on_buttons.append(go_on)
        self.discard_buttons.append(discard)
        row_layout(label, go_on, discard, parent=row)
        return row

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
