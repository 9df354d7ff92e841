"""`geochg:tiles`: what the model said, tile by tile."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterVectorDestination,
)

from geochg_qgis.algorithms.base import PairAlgorithm
from geochg_qgis.words import tr

OUTPUT, COUNT, CHANGED = "OUTPUT", "COUNT", "CHANGED"


class TilesAlgorithm(PairAlgorithm):
    """Gives the tiles with what was said of each."""

    def name(self) -> str:
        """Behind the provider's."""
        return "tiles"

    def displayName(self) -> str:
        """For lists."""
        return tr("Tell what changed, tile by tile")

    def shortHelpString(self) -> str:
        """Beside the dialog."""
        return tr(
            "Asks a change model about each tile of two images and gives a layer of the tiles: "
            "what was said of each, or why it could not be read. Tiles that fail do not end the "
            "run."
        )

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:
        """Adds the parameters."""
        self.add_pair_parameters()
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        self.addParameter(QgsProcessingParameterVectorDestination(OUTPUT, tr("Tiles"), polygons))
        self.addOutput(QgsProcessingOutputNumber(COUNT, tr("Number of tiles")))
        self.addOutput(QgsProcessingOutputNumber(CHANGED, tr("Tiles with changes")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Runs it, on a thread."""
        path = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        lenient = {"allow_failed_tiles": True}
        told = self.ask("analyze", parameters, context, feedback, lenient, outputs={"tiles": path})
        tiles = told["geochg"]["tiles"]
        return {OUTPUT: path, COUNT: tiles["total"], CHANGED: tiles["changed"]}
