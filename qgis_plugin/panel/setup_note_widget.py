"""The note that geochg is not set up yet, with the button that opens the set-up page."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QGroupBox, QHBoxLayout, QPushButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.panel.layouts import plain_label


class SetupNote(QGroupBox):
    """Hidden until it is known that no Python has geochg."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("SetupNote")
        self.label = plain_label(
            self,
            tr(
                "geochg is not set up yet. It runs in a Python of its own, which is found or made "
                "once."
            ),
        )
        self.button = QPushButton(tr("Set up"), self)
        layout = QHBoxLayout(self)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.button)
        self.setVisible(False)
