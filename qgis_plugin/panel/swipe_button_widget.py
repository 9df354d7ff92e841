"""The button that compares the two dates of a result on the map."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtWidgets import QMenu, QToolButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.image_identity import source_pair
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.layouts import name_widget
from geochg_qgis.panel.swipe_tool import SwipeTool
from geochg_qgis.settings import store_setting, stored_setting

_SETTING = "swipe"
VERTICAL, HORIZONTAL = "upright", "lying"
"""Directions of the line, as they are stored."""


class SwipeButton(QToolButton):
    """Begins and ends the swipe; its menu has the direction of the line.

    Args:
        iface: Interface of QGIS.
        show_error: Function that shows an error to the user.
        parent: Parent widget.
        name: Object name.
    """

    def __init__(
        self,
        iface: QgisInterface,
        show_error: Callable[[LinkError], object],
        parent: QWidget | None = None,
        name: str = "GeochgSwipe",
    ) -> None:
        super().__init__(parent)
        self._show_error = show_error
        self._result: QgsVectorLayer | None = None
        self.tool = SwipeTool(iface.mapCanvas())
        self.setText(tr("Sw&ipe"))
        tip = tr("Compare the dates: drag the line over the map; Esc ends it")
        name_widget(self, name, tr("Swipe"), tip)
        self.setCheckable(True)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        # The map tool keeps the button down while it is active.
        self.tool.setButton(self)
        menu = QMenu(self)
        self.directions = {
            VERTICAL: menu.addAction(tr("Before on the left, after on the right")),
            HORIZONTAL: menu.addAction(tr("Before above, after below")),
        }
        for direction, action in self.directions.items():
            action.setCheckable(True)
            action.triggered.connect(lambda _, direction=direction: self._choose(direction))
        self.setMenu(menu)
        self.set_direction(stored_setting(_SETTING, VERTICAL))
        self.clicked.connect(self._click)
        self.setEnabled(False)

    def set_result(self, layer: QgsVectorLayer | None) -> None:
        """Sets the result whose dates are compared."""
        if layer is not self._result:
            self.tool.end()
        self._result = layer
        self.setEnabled(layer is not None)

    def set_direction(self, direction: str) -> None:
        """Sets the direction of the line."""
        direction = direction if direction in self.directions else VERTICAL
        for name, action in self.directions.items():
            action.setChecked(name == direction)
        self.tool.set_vertical(direction == VERTICAL)

    def close_down(self) -> None:
        """Ends the swipe."""
        self.tool.end()

    def _choose(self, direction: str) -> None:
        self.set_direction(direction)
        store_setting(_SETTING, direction)

    def _click(self, is_down: bool) -> None:
        if not is_down:
            self.tool.end()
            return
        if self._result is None:
            return
        try:
            self.tool.begin(*source_pair(self._result))
        except LinkError as error:
            self.setChecked(False)
            self._show_error(error)
