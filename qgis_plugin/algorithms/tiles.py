"""`geochg:tiles`: the model's answers, tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
)

from geochg_qgis.algorithms.base import RunAlgorithm
from geochg_qgis.algorithms.pair_parameters import layer_parameter
from geochg_qgis.i18n import tr

COUNT, CHANGED = "COUNT", "CHANGED"


class TilesAlgorithm(RunAlgorithm):
    """Writes the tiles of a pair with the model's answer for each."""

    algorithm_name = "tiles"
    file_key, layer_option, default_layer = "tiles", "tiles_layer", "tiles"

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm."""
        return tr("Map the answer for each tile"), tr(
            "Asks a change model about each tile of two images and gives a layer of the tiles: "
            "the answer for each, or why there is none. Tiles that fail do not end the run. "
            "COUNT is the number of tiles, CHANGED how many of them have changes."
        )

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The layer to write."""
        yield layer_parameter(tr("Tiles"))

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """Number of tiles and of those with changes."""
        yield QgsProcessingOutputNumber(COUNT, tr("Number of tiles"))
        yield QgsProcessingOutputNumber(CHANGED, tr("Tiles with changes"))

    def options(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """Lets tiles fail, because the layer has the reason."""
        return {**super().options(parameters, context), "allow_failed_tiles": True}

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The layer and the numbers."""
        tiles = answer["geochg"]["tiles"]
        layer = super().results(answer, context)
        return {**layer, COUNT: tiles["total"], CHANGED: tiles["changed"]}
