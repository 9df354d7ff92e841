"""The controller of a sample's two dialogs: drawn of a result, and assessed."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geochg_qgis.connection import Connection
from geochg_qgis.link_messages import worker_text
from geochg_qgis.panel.assess_dialog import AssessDialog
from geochg_qgis.panel.message_controller import MessageController
from geochg_qgis.panel.sample_dialog import SampleDialog
from geochg_qgis.panel.sample_list_widget import SampleListWidget


class SampleController(QObject):
    """Opens the dialogs, which belong to the window, and lists what was drawn.

    Args:
        iface: Interface of QGIS.
        connection: Connection to the worker.
        samples: The list of units.
        messages: Shows what the user should know.
        result: Function that gives the result whose changes are listed; None for none.
        parent: Parent object.

    Signals:
        drawn: A sample was drawn, and is listed.
    """

    drawn = pyqtSignal()

    def __init__(
        self,
        iface: QgisInterface,
        connection: Connection,
        samples: SampleListWidget,
        messages: MessageController,
        result: Callable[[], QgsVectorLayer | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._iface, self._connection = iface, connection
        self._samples, self._messages, self._result = samples, messages, result
        self.draw_dialog: SampleDialog | None = None
        self.assess_dialog: AssessDialog | None = None
        samples.draw.clicked.connect(lambda _: self.open_draw())
        samples.assess.clicked.connect(lambda _: self.open_assess())

    def open_draw(self) -> SampleDialog:
        """Opens the dialog that draws a sample of a result."""
        if self.draw_dialog is None:
            self.draw_dialog = SampleDialog(self._connection, self._iface.mainWindow())
            self.draw_dialog.drawn.connect(self._show_sample)
        self.draw_dialog.open_for(self._result())
        return self.draw_dialog

    def open_assess(self) -> AssessDialog:
        """Opens the dialog that assesses a result by the sample that is judged."""
        if self.assess_dialog is None:
            window = self._iface.mainWindow()
            sample = self._samples
            self.assess_dialog = AssessDialog(self._connection, lambda: sample.layer, window)
        self.assess_dialog.open_sample()
        return self.assess_dialog

    def close_down(self) -> None:
        """Closes the dialogs, and abandons what they ask."""
        for dialog in (self.draw_dialog, self.assess_dialog):
            if dialog is not None:
                dialog.close_down()
                dialog.reject()
                dialog.deleteLater()

    def _show_sample(self, layer: QgsVectorLayer, warnings: list[str]) -> None:
        for text in warnings:
            self._messages.show_warning(worker_text(text))
        self._samples.show_layer(layer)
        self.drawn.emit()
