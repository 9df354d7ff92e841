"""The button that compares the two dates of a result on the map."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtWidgets import QMenu, QToolButton, QWidget

from geochg_qgis.layers.result import AFTER, BEFORE, source_of
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.swipe import SwipeTool
from geochg_qgis.settings import remember, remembered
from geochg_qgis.words import tr

_SETTING = "swipe"
UPRIGHT, LYING = "upright", "lying"


class SwipeButton(QToolButton):
    """Begins and ends the swipe; its menu says which way the line goes.

    Args:
        iface: QGIS.
        show_error: Tells the user of an error.
        parent: Its parent.
    """

    def __init__(
        self,
        iface: QgisInterface,
        show_error: Callable[[LinkError], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._show_error = show_error
        self._result: QgsVectorLayer | None = None
        self.tool = SwipeTool(iface.mapCanvas())
        self.setText(tr("Swipe"))
        self.setToolTip(tr("Compare the dates: drag the line over the map; Esc ends it"))
        self.setCheckable(True)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        # The map's tool keeps the button down while it is in use.
        self.tool.setButton(self)
        menu = QMenu(self)
        self.ways = {
            UPRIGHT: menu.addAction(tr("Before on the left, after on the right")),
            LYING: menu.addAction(tr("Before above, after below")),
        }
        for way, action in self.ways.items():
            action.setCheckable(True)
            action.triggered.connect(lambda _, way=way: self._choose_way(way))
        self.setMenu(menu)
        self.set_way(remembered(_SETTING, UPRIGHT))
        self.clicked.connect(self._click)
        self.setEnabled(False)

    def set_result(self, layer: QgsVectorLayer | None) -> None:
        """Takes a result, whose dates are compared from now on."""
        if layer is not self._result:
            self.tool.end()
        self._result = layer
        self.setEnabled(layer is not None)

    def set_way(self, way: str) -> None:
        """Sets which way the line goes."""
        way = way if way in self.ways else UPRIGHT
        for name, action in self.ways.items():
            action.setChecked(name == way)
        self.tool.set_upright(way == UPRIGHT)

    def close_down(self) -> None:
        """Ends the swipe."""
        self.tool.end()

    def _choose_way(self, way: str) -> None:
        self.set_way(way)
        remember(_SETTING, way)

    def _click(self, is_down: bool) -> None:
        if not is_down:
            self.tool.end()
            return
        pair = [source_of(self._result, which) for which in (BEFORE, AFTER)] if self._result else []
        if len(pair) != 2 or None in pair:
            self.setChecked(False)
            self._show_error(
                LinkError(
                    tr("The images of this result are not both in the project"),
                    tr("add them and run again, or choose another result"),
                )
            )
            return
        self.tool.begin(*pair)
