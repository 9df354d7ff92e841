"""`geochg:analyze`: the change layer of a pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputNumber,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorDestination,
    QgsVectorLayer,
)

from geochg_qgis.algorithms.base import PairAlgorithm
from geochg_qgis.layers.style import apply_style
from geochg_qgis.words import tr

MIN_AREA, MIN_CONFIDENCE = "MIN_AREA", "MIN_CONFIDENCE"
OUTPUT, HEATMAP, COUNT, AREA = "OUTPUT", "HEATMAP", "COUNT", "AREA_M2"


class AnalyzeAlgorithm(PairAlgorithm):
    """Maps what changed."""

    def name(self) -> str:
        """Behind the provider's."""
        return "analyze"

    def displayName(self) -> str:
        """For lists."""
        return tr("Map what changed between two images")

    def shortHelpString(self) -> str:
        """Beside the dialog."""
        return tr(
            "Asks a change model about two images of one place and gives a layer of changes: "
            "class, direction (appeared, disappeared, altered), confidence, caption, count and "
            "area.\n\n"
            "The images may differ in CRS, resolution and extent. Area: only this part is "
            "analysed. Model: builtin (wants red, green and blue), irmad or cva (any bands), or "
            "NAME:SOURCE as geochg models tells. Least area and confidence leave out what is "
            "smaller or less sure. Heatmap: the probability of change at each pixel.\n\n"
            "Outputs: .gpkg, .geojson or .fgb. geochg runs in a Python of its own; the geochg "
            "panel sets it up."
        )

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:
        """Adds the parameters."""
        self.add_pair_parameters()
        number = QgsProcessingParameterNumber.Type.Double
        self.addParameter(
            QgsProcessingParameterNumber(MIN_AREA, tr("Least area, m²"), number, 0, minValue=0)
        )
        self.addParameter(
            QgsProcessingParameterNumber(
                MIN_CONFIDENCE, tr("Least confidence"), number, 0, minValue=0, maxValue=1
            )
        )
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        self.addParameter(QgsProcessingParameterVectorDestination(OUTPUT, tr("Changes"), polygons))
        self.addParameter(
            QgsProcessingParameterRasterDestination(
                HEATMAP, tr("Heatmap"), optional=True, createByDefault=False
            )
        )
        self.addOutput(QgsProcessingOutputNumber(COUNT, tr("Number of changes")))
        self.addOutput(QgsProcessingOutputNumber(AREA, tr("Changed area, m²")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Runs it, on a thread."""
        outputs = {"features": self.parameterAsOutputLayer(parameters, OUTPUT, context)}
        if parameters.get(HEATMAP):
            outputs["heatmap"] = self.parameterAsOutputLayer(parameters, HEATMAP, context)
        least = {
            "min_area_m2": self.parameterAsDouble(parameters, MIN_AREA, context),
            "min_confidence": self.parameterAsDouble(parameters, MIN_CONFIDENCE, context),
        }
        told = self.ask("analyze", parameters, context, feedback, least, outputs=outputs)
        _style_when_loaded(context, outputs["features"])
        found = told["features"]
        results = {OUTPUT: outputs["features"], COUNT: found["count"], AREA: found["area_m2"]}
        return {**results, HEATMAP: outputs["heatmap"]} if "heatmap" in outputs else results


class _Styler(QgsProcessingLayerPostProcessorInterface):
    """Styles the layer once it is loaded."""

    def postProcessLayer(
        self,
        layer: QgsMapLayer,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        """Gives it the looks, without those that ask for a review."""
        if isinstance(layer, QgsVectorLayer):
            apply_style(layer)


_styler = _Styler()
"""Kept: QGIS does not keep it."""


def _style_when_loaded(context: QgsProcessingContext, path: str) -> None:
    if context.willLoadLayerOnCompletion(path):
        details = context.layerToLoadOnCompletionDetails(path)
        details.setPostProcessor(_styler)
        if not details.name:
            details.name = Path(path).stem
