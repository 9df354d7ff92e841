"""The field for the classes of a run: the model's own to tick, and free text where it takes any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qgis.PyQt.QtGui import QCursor
from qgis.PyQt.QtWidgets import QLineEdit, QMenu, QStyle, QWidget

from geochg_qgis.formatting import class_title
from geochg_qgis.i18n import tr
from geochg_qgis.layers.class_colors import CLASSES

ANY_WORDS = "free_classes"
"""Capability of a model that takes any words as classes."""


class ClassesWidget(QLineEdit):
    """A line of classes with commas between them, and a menu to tick those of the model.

    Attributes:
        menu: The menu.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: Sequence[str] = CLASSES
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        arrow = self.style().standardIcon(QStyle.StandardPixmap.SP_ArrowDown)
        self.open_action = self.addAction(arrow, QLineEdit.ActionPosition.TrailingPosition)
        self.open_action.setToolTip(tr("Choose among the classes of the model"))
        self.open_action.triggered.connect(lambda: self.menu.popup(QCursor.pos()))
        self.offer({})

    def offer(self, capabilities: Mapping[str, Any]) -> None:
        """Offers the classes of a model.

        Args:
            capabilities: What the worker tells of the model; empty where it tells nothing, so that
                any text may be right.
        """
        self._names = [str(name) for name in capabilities.get("classes") or CLASSES]
        is_free = not capabilities or bool(capabilities.get(ANY_WORDS))
        self.setReadOnly(not is_free)
        hint = tr("all; any words are taken") if is_free and capabilities else tr("all")
        self.setPlaceholderText(hint)

    def ticked(self) -> list[str]:
        """The classes in the line."""
        return [name.strip() for name in self.text().split(",") if name.strip()]

    def _fill_menu(self) -> None:
        self.menu.clear()
        ticked = self.ticked()
        for name in [*self._names, *(name for name in ticked if name not in self._names)]:
            entry = self.menu.addAction(class_title(name).replace("&", "&&"))
            entry.setCheckable(True)
            entry.setChecked(name in ticked)
            entry.toggled.connect(lambda is_on, name=name: self._tick(name, is_on))

    def _tick(self, name: str, is_on: bool) -> None:
        others = [ticked for ticked in self.ticked() if ticked != name]
        self.setText(", ".join([*others, name] if is_on else others))
        self.editingFinished.emit()
