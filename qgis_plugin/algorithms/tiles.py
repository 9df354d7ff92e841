"""`geochg:tiles`: what the model said, tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterVectorDestination,
)

from geochg_qgis.algorithms.base import RunAlgorithm, helped
from geochg_qgis.algorithms.destinations import Destination
from geochg_qgis.words import tr

OUTPUT, COUNT, CHANGED = "OUTPUT", "COUNT", "CHANGED"


TILES_LAYER = "tiles"
"""The layer's name in a GeoPackage, where the user gives none."""


class TilesAlgorithm(RunAlgorithm):
    """Gives the tiles with what was said of each."""

    _place: Destination | None = None

    def _destination(self, given: dict[str, Any], context: QgsProcessingContext) -> Destination:
        return Destination.of(self.parameterAsOutputLayer(given, OUTPUT, context))

    def name(self) -> str:
        """Behind the provider's."""
        return "tiles"

    def words(self) -> tuple[str, str]:
        """What it is called, and what it does."""
        return tr("Tell what changed, tile by tile"), tr(
            "Asks a change model about each tile of two images and gives a layer of the tiles: "
            "what was said of each, or why it could not be read. Tiles that fail do not end the "
            "run. COUNT is the number of tiles, CHANGED how many of them have changes."
        )

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The layer."""
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        yield helped(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Tiles"), polygons),
            tr(
                "The layer to write: .gpkg, .geojson or .fgb. Other layers of a GeoPackage stay as "
                "they are."
            ),
        )

    def results_told(self) -> Iterable[QgsProcessingOutputDefinition]:
        """How many tiles there are, and how many changed."""
        return (
            QgsProcessingOutputNumber(COUNT, tr("Number of tiles")),
            QgsProcessingOutputNumber(CHANGED, tr("Tiles with changes")),
        )

    def options(self, given: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """Tiles that fail are told of in the layer."""
        layer = self._destination(given, context).layer
        named = {"tiles_layer": layer} if layer else {}
        return {**super().options(given, context), "allow_failed_tiles": True, **named}

    def outputs(self, given: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """The layer."""
        self._place = self._destination(given, context)
        return {"tiles": self._place.path}

    def results(
        self,
        told: Mapping[str, Any],
        outputs: Mapping[str, str],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """The layer and the numbers."""
        tiles = told["geochg"]["tiles"]
        layer = self._place.written(TILES_LAYER, context) if self._place else outputs["tiles"]
        return {OUTPUT: layer, COUNT: tiles["total"], CHANGED: tiles["changed"]}
