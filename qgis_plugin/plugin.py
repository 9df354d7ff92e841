"""The plugin as QGIS starts and stops it."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon

from geochg_qgis.algorithms.provider import GeochgProvider
from geochg_qgis.connection import Connection
from geochg_qgis.layers.pictures import PICTURES
from geochg_qgis.panel.dock import GeochgDock
from geochg_qgis.words import load_words, tr

ICON = Path(__file__).parent / "icons" / "geochg.svg"


class GeochgPlugin:
    """The dock and the Processing provider, which share one worker.

    Args:
        iface: QGIS; None under `qgis_process`.
    """

    def __init__(self, iface: QgisInterface | None) -> None:
        load_words()
        self.iface = iface
        self.connection = Connection()
        self.dock: GeochgDock | None = None
        self.provider: GeochgProvider | None = None

    def initProcessing(self) -> None:
        """Adds the algorithms; all there is without a desktop."""
        self.provider = GeochgProvider(self.connection)
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Adds the dock, closed until it is wanted, and what opens it."""
        self.initProcessing()
        if self.iface is None:
            return
        self.dock = GeochgDock(self.iface, self.connection)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.setUserVisible(False)
        self.dock.hide()
        self.action = self.dock.toggleViewAction()
        self.action.setIcon(QIcon(str(ICON)))
        self.action.setText("geochg")
        self.action.setToolTip(tr("Map what changed between two rasters"))
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu("geochg", self.action)

    def unload(self) -> None:
        """Takes everything away again and ends the worker."""
        if self.dock is not None and self.iface is not None:
            self.dock.close_down()
            self.iface.removeToolBarIcon(self.action)
            self.iface.removePluginRasterMenu("geochg", self.action)
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        self.connection.close()
        # After the worker, which may have them open.
        PICTURES.clear()
