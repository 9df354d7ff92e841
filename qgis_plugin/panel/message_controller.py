"""The controller of QGIS's message bar, with errors, notices and details to copy."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable
from functools import partial

from qgis.core import Qgis
from qgis.gui import QgisInterface, QgsMessageBar
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPushButton,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import log
from geochg_qgis.formatting import as_markup, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.layers.editable_results import NotEditable
from geochg_qgis.layers.image_identity import ImageMissing
from geochg_qgis.link.errors import LinkError, SetupError, drop_frames
from geochg_qgis.panel.layouts import name_dialog_buttons, name_widget
from geochg_qgis.panel.missing_image import find_image

_HEIGHTS = re.compile(r"(m(?:ax|in)-height): [\d.]+em")
_MOST_LINES = 4
_MOST_SLOTS = 200
"""Slots of buttons that are kept: more than there are messages at a time."""


class MessageController:
    """Shows errors and notices in the message bar.

    Args:
        iface: Interface of QGIS.
        open_setup: Function that opens the set-up page.
        copy_result: Function that copies a result, of which it is given the layer's id.
    """

    def __init__(
        self,
        iface: QgisInterface,
        open_setup: Callable[[], object],
        copy_result: Callable[[str], object],
    ) -> None:
        self._iface = iface
        self._open_setup, self._copy_result = open_setup, copy_result
        self._slots: deque[Callable[..., None]] = deque(maxlen=_MOST_SLOTS)

    def show_error(self, error: LinkError) -> None:
        """Shows an error and its hint until the user closes it."""
        log(f"{error}\n{error.detail}", Qgis.MessageLevel.Critical)
        # Its buttons keep the error, and would keep a layer of its frames until after QGIS ended.
        drop_frames(error)
        bar = self._bar()
        item = bar.createMessage("geochg", as_markup(_as_sentences(error)))
        self._add_button(
            item, tr("Details"), tr("Shows all of it, to copy"), lambda: self._show_details(error)
        )
        if isinstance(error, SetupError):
            tip = tr("Choose or install the Python of geochg")
            self._add_button(item, tr("Set up"), tip, self._open_setup)
        if isinstance(error, ImageMissing):
            tip = tr("Opens the file of the image")
            self._add_button(item, tr("Find it…"), tip, lambda: self._find_image(item, error))
        if isinstance(error, NotEditable):
            tip = tr("Copies the result into a GeoPackage, which can be reviewed")
            self._add_button(item, tr("Review a copy"), tip, lambda: self._review_copy(item, error))
        bar.pushWidget(item, Qgis.MessageLevel.Critical, 0)
        # When the bar has given the text its width.
        QTimer.singleShot(0, partial(_fit_text, item))

    def show_warning(self, text: str) -> None:
        """Shows a notice that matters for the result."""
        log(text, Qgis.MessageLevel.Warning)
        self._bar().pushMessage("geochg", as_markup(text), Qgis.MessageLevel.Warning, 15)

    def show_success(self, text: str) -> None:
        """Shows that a run is done."""
        self._bar().pushMessage("geochg", as_markup(text), Qgis.MessageLevel.Success, 8)

    def open_log(self) -> None:
        """Opens QGIS's log."""
        self._iface.openMessageLog()

    def _bar(self) -> QgsMessageBar:
        return self._iface.messageBar()

    def _add_button(self, item: QWidget, text: str, tip: str, action: Callable[[], object]) -> None:
        button = QPushButton(text, item)
        name_widget(button, "GeochgMessageButton", text.rstrip("…"), tip)
        # Behind the click: an action that closes the message deletes the button with its slot.
        slot = partial(self._act_soon, action)
        # Python's garbage collector takes the message and its slots for garbage, and clears them.
        self._slots.append(slot)
        button.clicked.connect(slot)
        item.layout().addWidget(button)

    def _act_soon(self, action: Callable[[], object], *_: object) -> None:
        QTimer.singleShot(0, action)

    def _find_image(self, item: QWidget, error: ImageMissing) -> None:
        try:
            notice = find_image(self._iface.mainWindow(), error)
        except LinkError as failure:
            self.show_error(failure)
            return
        if notice is not None:
            self._bar().popWidget(item)
        if notice:
            self.show_warning(notice)

    def _review_copy(self, item: QWidget, error: NotEditable) -> None:
        self._bar().popWidget(item)
        self._copy_result(error.result_id)

    def _show_details(self, error: LinkError) -> None:
        show_text(
            self._iface.mainWindow(),
            "geochg",
            "\n\n".join(part for part in (_as_sentences(error), error.detail) if part),
        )


def _fit_text(item: QWidget) -> None:
    """Makes a message as high as its text, of which QGIS shows one line beside a scroll bar."""
    if sip.isdeleted(item):
        return
    for view in item.findChildren(QTextEdit):
        most_px = (_MOST_LINES + 0.5) * view.fontMetrics().lineSpacing()
        height_px = math.ceil(min(view.document().size().height(), most_px))
        if height_px > view.viewport().height():
            view.setStyleSheet(_HEIGHTS.sub(rf"\1: {height_px}px", view.styleSheet()))


def _as_sentences(error: LinkError) -> str:
    """What is wrong, and what to do."""
    texts = (str(error.message).rstrip("."), str(error.hint).rstrip("."))
    return " ".join(f"{sentence(text)}." for text in texts if text)


def show_text(parent: QWidget | None, title: str, text: str) -> None:
    """Shows text that can be selected and copied."""
    dialog = QDialog(parent)
    dialog.setWindowTitle(title)
    dialog.resize(720, 420)
    text_view = QTextEdit(dialog)
    text_view.setReadOnly(True)
    text_view.setPlainText(text)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, parent=dialog)
    dialog.setObjectName("GeochgText")
    name_widget(text_view, "GeochgTextView", title, tr("Text to select and copy"))
    name_dialog_buttons(buttons, "GeochgText", {"Close": tr("Closes the window")})
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.addWidget(text_view)
    layout.addWidget(buttons)
    dialog.open()
