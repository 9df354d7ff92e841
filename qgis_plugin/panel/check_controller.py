"""The controller of the check of a layer: opens its dialog, and tells what came out."""

from __future__ import annotations

from qgis.core import QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject

from geochg_qgis.connection import Connection
from geochg_qgis.panel.check_dialog import CheckDialog
from geochg_qgis.panel.message_controller import MessageController
from geochg_qgis.panel.options_widget import OptionsWidget
from geochg_qgis.panel.pair_widget import PairWidget


class CheckController(QObject):
    """Opens the dialog when a layer is chosen in place of the earlier image.

    Args:
        iface: Interface of QGIS.
        connection: Connection to the worker.
        pair: The panel's two images.
        options: The panel's options.
        messages: Shows what the user should know.
        parent: Parent object.
    """

    def __init__(
        self,
        iface: QgisInterface,
        connection: Connection,
        pair: PairWidget,
        options: OptionsWidget,
        messages: MessageController,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._iface, self._connection = iface, connection
        self._pair, self._options, self._messages = pair, options, messages
        self.dialog: CheckDialog | None = None
        pair.check_wanted.connect(self.open)

    def open(self) -> CheckDialog:
        """Opens the dialog for the panel's later image."""
        if self.dialog is None:
            window = self._iface.mainWindow()
            self.dialog = CheckDialog(self._connection, self._options, window)
            self.dialog.checked.connect(self._show)
        self.dialog.open_for(self._pair.layers()[1])
        return self.dialog

    def close_down(self) -> None:
        """Closes the dialog, and abandons what it asks."""
        if self.dialog is not None:
            self.dialog.close_down()
            self.dialog.reject()
            self.dialog.deleteLater()

    def _show(self, layer: QgsVectorLayer, text: str, notices: list[str]) -> None:
        for notice in notices:
            self._messages.show_warning(notice)
        self._messages.show_success(text)
        self._iface.setActiveLayer(layer)
