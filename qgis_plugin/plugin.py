"""The plugin, as QGIS starts and stops it."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon

from geochg_qgis.algorithms.provider import GeochgProvider
from geochg_qgis.connection import Connection
from geochg_qgis.i18n import load_translation, tr
from geochg_qgis.layers.raster_export import EXPORTS
from geochg_qgis.panel.dock_widget import GeochgDockWidget
from geochg_qgis.tasks import end_tasks

ICON = Path(__file__).parent / "icons" / "geochg.svg"


class GeochgPlugin:
    """The dock and the Processing provider, which share one worker.

    Args:
        iface: Interface of QGIS; None under `qgis_process`.
    """

    def __init__(self, iface: QgisInterface | None) -> None:
        load_translation()
        self.iface = iface
        self.connection = Connection()
        self.dock: GeochgDockWidget | None = None
        self.provider: GeochgProvider | None = None

    def initProcessing(self) -> None:
        """Adds the algorithms; QGIS calls nothing else without a desktop."""
        self.provider = GeochgProvider(self.connection)
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Adds the dock, closed at first, and the button and menu entry that open it."""
        self.initProcessing()
        if self.iface is None:
            return
        self.dock = GeochgDockWidget(self.iface, self.connection)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.setUserVisible(False)
        self.dock.hide()
        self.action = self.dock.toggleViewAction()
        self.action.setIcon(QIcon(str(ICON)))
        self.action.setText("geochg")
        self.action.setToolTip(tr("Map what changed between two rasters"))
        self.action.setObjectName("GeochgOpen")
        # A shortcut that can be changed under Settings, Keyboard Shortcuts.
        self.iface.registerMainWindowAction(self.action, "Ctrl+Alt+G")
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu("geochg", self.action)

    def unload(self) -> None:
        """Removes everything and ends the worker."""
        if self.dock is not None and self.iface is not None:
            self.dock.close_down()
            self.iface.unregisterMainWindowAction(self.action)
            self.iface.removeToolBarIcon(self.action)
            self.iface.removePluginRasterMenu("geochg", self.action)
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        self.connection.close()
        # After the worker, for which they wait.
        end_tasks()
        # After the worker, which may have the files open.
        EXPORTS.clear()
