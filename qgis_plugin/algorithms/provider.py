"""The Processing provider `geochg`."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from geochg_qgis.algorithms.analyze import AnalyzeAlgorithm
from geochg_qgis.algorithms.analyze_area import AnalyzeAreaAlgorithm
from geochg_qgis.algorithms.assess import AssessAlgorithm
from geochg_qgis.algorithms.check import CheckAlgorithm
from geochg_qgis.algorithms.info import InfoAlgorithm
from geochg_qgis.algorithms.sample import SampleAlgorithm
from geochg_qgis.algorithms.table import TableAlgorithm
from geochg_qgis.algorithms.tiles import TilesAlgorithm
from geochg_qgis.connection import Connection

_ICON = Path(__file__).parent.parent / "icons" / "geochg.svg"


class GeochgProvider(QgsProcessingProvider):
    """The provider of the algorithms.

    Args:
        connection: The connection to the worker.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def id(self) -> str:
        """The prefix of the algorithms' names."""
        return "geochg"

    def name(self) -> str:
        """Name of the provider in lists."""
        return "geochg"

    def icon(self) -> QIcon:
        """Icon of the provider in lists."""
        return QIcon(str(_ICON))

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """Suffixes that the worker writes and QGIS 3.22 reads; the first is the default."""
        return ["gpkg", "geojson", "fgb"]

    def loadAlgorithms(self) -> None:
        """Adds the algorithms."""
        for algorithm in (
            AnalyzeAlgorithm,
            AnalyzeAreaAlgorithm,
            InfoAlgorithm,
            TilesAlgorithm,
            TableAlgorithm,
            SampleAlgorithm,
            AssessAlgorithm,
            CheckAlgorithm,
        ):
            self.addAlgorithm(algorithm(self._connection))
