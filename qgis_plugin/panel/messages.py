"""Errors and notices in QGIS's message bar, with what to do and more to copy."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import Qgis
from qgis.gui import QgisInterface, QgsMessageBar
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPushButton,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import log
from geochg_qgis.link.errors import LinkError, SetupError
from geochg_qgis.panel.markup import as_markup
from geochg_qgis.words import tr


class Messages:
    """Says things in the message bar.

    Args:
        iface: QGIS.
        open_setup: Opens the set-up page.
    """

    def __init__(self, iface: QgisInterface, open_setup: Callable[[], object]) -> None:
        self._iface = iface
        self._open_setup = open_setup

    def error(self, error: LinkError) -> None:
        """Says what is wrong and what to do; stays until it is closed."""
        log(f"{error}\n{error.detail}", Qgis.MessageLevel.Critical)
        bar = self._bar()
        item = bar.createMessage("geochg", as_markup(f"{error.message}. {error.hint}"))
        self._add_button(item, tr("Details"), lambda: self._details(error))
        if isinstance(error, SetupError):
            self._add_button(item, tr("Set up"), self._open_setup)
        bar.pushWidget(item, Qgis.MessageLevel.Critical, 0)

    def warning(self, text: str) -> None:
        """Says something that matters for the result."""
        log(text, Qgis.MessageLevel.Warning)
        self._bar().pushMessage("geochg", as_markup(text), Qgis.MessageLevel.Warning, 15)

    def success(self, text: str) -> None:
        """Says that something is done."""
        self._bar().pushMessage("geochg", as_markup(text), Qgis.MessageLevel.Success, 8)

    def open_log(self) -> None:
        """Opens QGIS's log."""
        self._iface.openMessageLog()

    def _bar(self) -> QgsMessageBar:
        return self._iface.messageBar()

    def _add_button(self, item: QWidget, text: str, do: Callable[[], object]) -> None:
        button = QPushButton(text, item)
        button.clicked.connect(lambda: do())
        item.layout().addWidget(button)

    def _details(self, error: LinkError) -> None:
        show_text(
            self._iface.mainWindow(),
            "geochg",
            "\n\n".join(part for part in (error.message, error.hint, error.detail) if part),
        )


def show_text(parent: QWidget | None, title: str, text: str) -> None:
    """Shows text that can be selected and copied."""
    dialog = QDialog(parent)
    dialog.setWindowTitle(title)
    dialog.resize(720, 420)
    shown = QTextEdit(dialog)
    shown.setReadOnly(True)
    shown.setPlainText(text)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, parent=dialog)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.addWidget(shown)
    layout.addWidget(buttons)
    dialog.open()
