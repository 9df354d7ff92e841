"""The line about the pair, Run and Cancel, and how far the run is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from geochg_qgis.link.progress import Standing
from geochg_qgis.words import area_in_words, tr


class RunBox(QWidget):
    """Shows; what happens is decided elsewhere."""

    run = pyqtSignal()
    cancel = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.info = QLabel(self)
        self.info.setWordWrap(True)
        # Text of files and models is shown as it is, never as markup.
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
        """Between runs there is Run, during one Cancel and the bar."""
        self.run_button.setEnabled(not is_running)
        self.cancel_button.setEnabled(is_running)
        self.cancel_button.setText(tr("Cancel"))
        self.bar.setVisible(is_running)
        self.status.setVisible(is_running)
        if is_running:
            self.bar.setRange(0, 0)
            self.status.setText(tr("starting geochg"))

    def set_cancelling(self) -> None:
        """Acknowledges Cancel at once."""
        self.cancel_button.setEnabled(False)
        self.cancel_button.setText(tr("Stopping"))
        self.status.setText(tr("stopping at the next tile; what is done is kept"))

    def show_standing(self, standing: Standing) -> None:
        """Moves the bar and says rate and time left."""
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(10 * standing.percent))
        if self.cancel_button.isEnabled():
            self.status.setText(standing_in_words(standing))


def standing_in_words(standing: Standing) -> str:
    """How far a run is, as a line."""
    text = {
        "shift": tr("measuring the shift"),
        "survey": tr("looking at the pair"),
        "tiles": tr("asking about tiles"),
        "write": tr("writing"),
    }.get(standing.stage, standing.stage)
    text += f", {standing.done} / {standing.total}"
    if standing.rate is not None:
        text += ", " + tr("{:.1f} a second").format(standing.rate)
    if standing.left_s is not None and standing.stage == "tiles":
        text += ", " + tr("{} left").format(time_in_words(standing.left_s))
    return text


def time_in_words(seconds: float) -> str:
    """A duration to the precision anyone needs."""
    if seconds < 90:
        return tr("{:.0f} s").format(seconds)
    if seconds < 5400:
        return tr("{:.0f} min").format(seconds / 60)
    return tr("{:.1f} h").format(seconds / 3600)


def _overlap(area_km2: float) -> str:
    return f"{area_km2:g} km²" if area_km2 >= 0.01 else area_in_words(area_km2 * 1e6)


def pair_in_words(facts: Mapping[str, Any]) -> str:
    """What a pair is, as a line or two."""
    grid, shift = facts["grid"], facts.get("alignment")
    parts = [
        f"{grid['width_px']} x {grid['height_px']} px, {grid['pixel_m']:g} m",
        _overlap(grid["overlap_km2"]),
        tr("{} tiles").format(facts["tiles"]),
    ]
    if shift and shift.get("clear"):
        done = tr("corrected") if shift.get("corrected") else tr("not corrected")
        parts.append(tr("shift {0:.1f} px ({1})").format(shift["magnitude_px"], done))
    if facts.get("seconds") is not None:
        parts.append(tr("about {}").format(time_in_words(facts["seconds"])))
    if facts.get("note"):
        parts.append(str(facts["note"]))
    return " · ".join(parts)
