"""The provider `geochg`."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from geochg_qgis.algorithms.analyze import AnalyzeAlgorithm
from geochg_qgis.algorithms.info import InfoAlgorithm
from geochg_qgis.algorithms.tiles import TilesAlgorithm
from geochg_qgis.connection import Connection

_ICON = Path(__file__).parent.parent / "icons" / "geochg.svg"


class GeochgProvider(QgsProcessingProvider):
    """The algorithms.

    Args:
        connection: Where the worker is.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def id(self) -> str:
        """What stands before an algorithm's name."""
        return "geochg"

    def name(self) -> str:
        """For lists."""
        return "geochg"

    def icon(self) -> QIcon:
        """For lists."""
        return QIcon(str(_ICON))

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """What the worker writes and QGIS 3.22 reads; the first is the default."""
        return ["gpkg", "geojson", "fgb"]

    def loadAlgorithms(self) -> None:
        """Adds them."""
        for kind in (AnalyzeAlgorithm, InfoAlgorithm, TilesAlgorithm):
            self.addAlgorithm(kind(self._connection))
