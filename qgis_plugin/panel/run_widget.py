"""The widget with the line about the pair, Run, Cancel and the progress of the run."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QProgressBar, QPushButton, QWidget

from geochg_qgis.formatting import as_tip, progress_summary, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.link.progress import RunProgress
from geochg_qgis.panel.layouts import column_layout, plain_label, row_layout


class RunWidget(QWidget):
    """Shows the state of a run, which is controlled elsewhere.

    Signals:
        run: The user pressed Run.
        cancel: The user pressed Cancel.
    """

    run = pyqtSignal()
    cancel = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.info = plain_label(self, is_selectable=True)
        self.run_button = QPushButton(tr("Ru&n"), self)
        self.run_button.setDefault(True)
        self.cancel_button = QPushButton(tr("Cancel"), self)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 1000)
        self.status = plain_label(self)
        buttons = row_layout(self.run_button, self.cancel_button)
        column_layout(self, self.info, buttons, self.bar, self.status)
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        self.set_running(False)

    def set_running(self, is_running: bool) -> None:
        """Lets Run begin a run, or one that waits; shows Cancel and the progress during one."""
        self.run_button.setText(tr("Ru&n next") if is_running else tr("Ru&n"))
        self.run_button.setToolTip(as_tip(_run_tip(is_running)))
        self.cancel_button.setEnabled(is_running)
        self.cancel_button.setText(tr("Cancel"))
        self.bar.setVisible(is_running)
        self.status.setVisible(is_running)
        if is_running:
            self.bar.setRange(0, 0)
            self.status.setText(sentence(tr("starting geochg")))

    def set_cancelling(self) -> None:
        """Shows that Cancel was pressed."""
        self.cancel_button.setEnabled(False)
        self.cancel_button.setText(tr("Stopping"))
        self.status.setText(sentence(tr("stopping at the next tile; what is done is kept")))

    def show_progress(self, progress: RunProgress) -> None:
        """Shows the progress, rate and time left."""
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(10 * progress.percent))
        if self.cancel_button.isEnabled():
            self.status.setText(sentence(progress_summary(progress)))


def _run_tip(is_running: bool) -> str:
    if is_running:
        return tr("Begins when the runs before it are done")
    return tr("Begin the analysis")
