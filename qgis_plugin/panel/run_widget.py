"""The widget with the line about the pair, Run, Cancel and the progress of the run."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from geochg_qgis.formatting import progress_summary
from geochg_qgis.i18n import tr
from geochg_qgis.link.progress import RunProgress


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
        self.info = QLabel(self)
        self.info.setWordWrap(True)
        # Plain text: that of files and models must not become markup.
        self.info.setTextFormat(Qt.TextFormat.PlainText)
        self.info.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.run_button = QPushButton(tr("Run"), self)
        self.run_button.setDefault(True)
        self.cancel_button = QPushButton(tr("Cancel"), self)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 1000)
        self.status = QLabel(self)
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 1)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.info)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        self.set_running(False)

    def set_running(self, is_running: bool) -> None:
        """Enables Run between runs, Cancel and the progress bar during one."""
        self.run_button.setEnabled(not is_running)
        self.cancel_button.setEnabled(is_running)
        self.cancel_button.setText(tr("Cancel"))
        self.bar.setVisible(is_running)
        self.status.setVisible(is_running)
        if is_running:
            self.bar.setRange(0, 0)
            self.status.setText(tr("starting geochg"))

    def set_cancelling(self) -> None:
        """Shows that Cancel was pressed."""
        self.cancel_button.setEnabled(False)
        self.cancel_button.setText(tr("Stopping"))
        self.status.setText(tr("stopping at the next tile; what is done is kept"))

    def show_progress(self, progress: RunProgress) -> None:
        """Shows the progress, rate and time left."""
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(10 * progress.percent))
        if self.cancel_button.isEnabled():
            self.status.setText(progress_summary(progress))
