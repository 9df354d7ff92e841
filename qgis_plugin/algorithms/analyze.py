"""`geochg:analyze`: the change layer of a pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorDestination,
    QgsVectorLayer,
)

from geochg_qgis.algorithms.base import RunAlgorithm, helped
from geochg_qgis.algorithms.destinations import Destination
from geochg_qgis.layers.style import apply_style
from geochg_qgis.words import tr

MIN_AREA, MIN_CONFIDENCE, SENSITIVITY = "MIN_AREA", "MIN_CONFIDENCE", "SENSITIVITY"
SENSITIVITIES = ("normal", "low", "high")
OUTPUT, HEATMAP, COUNT, AREA = "OUTPUT", "HEATMAP", "COUNT", "AREA_M2"


CHANGES_LAYER = "changes"
"""The layer's name in a GeoPackage, where the user gives none."""


class AnalyzeAlgorithm(RunAlgorithm):
    """Maps what changed."""

    _place: Destination | None = None

    def _destination(self, given: dict[str, Any], context: QgsProcessingContext) -> Destination:
        return Destination.of(self.parameterAsOutputLayer(given, OUTPUT, context))

    def name(self) -> str:
        """Behind the provider's."""
        return "analyze"

    def words(self) -> tuple[str, str]:
        """What it is called, and what it does."""
        return tr("Map what changed between two images"), tr(
            "Asks a change model about two images of one place and gives a layer of changes: "
            "class, direction (appeared, disappeared, altered), land cover before and after, "
            "confidence, caption, count and area. COUNT is the number of changes, AREA_M2 the "
            "area they cover."
        )

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """What is left out, and where the results go."""
        number = QgsProcessingParameterNumber.Type.Double
        yield helped(
            QgsProcessingParameterNumber(
                MIN_AREA, tr("Least area, m²"), number, None, optional=True, minValue=0
            ),
            tr("Smaller changes are left out; when empty, those too small for the resolution."),
        )
        yield helped(
            QgsProcessingParameterEnum(
                SENSITIVITY,
                tr("Sensitivity"),
                [tr("Normal"), tr("Low"), tr("High")],
                defaultValue=0,
            ),
            tr("How easily ground counts as changed, for models that outline."),
        )
        yield helped(
            QgsProcessingParameterNumber(
                MIN_CONFIDENCE, tr("Least confidence"), number, 0, minValue=0, maxValue=1
            ),
            tr("Changes that the model is less sure of are left out; 0 to 1."),
        )
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        yield helped(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Changes"), polygons),
            tr(
                "The layer to write: .gpkg, .geojson or .fgb. Other layers of a GeoPackage stay as "
                "they are."
            ),
        )
        yield helped(
            QgsProcessingParameterRasterDestination(
                HEATMAP, tr("Heatmap"), optional=True, createByDefault=False
            ),
            tr("A raster to write as well: the probability of change at each pixel."),
        )

    def results_told(self) -> Iterable[QgsProcessingOutputDefinition]:
        """How many changes there are, and how large they are together."""
        return (
            QgsProcessingOutputNumber(COUNT, tr("Number of changes")),
            QgsProcessingOutputNumber(AREA, tr("Changed area, m²")),
        )

    def options(self, given: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """What is left out."""
        return {
            **super().options(given, context),
            "min_area_m2": None
            if given.get(MIN_AREA) is None
            else self.parameterAsDouble(given, MIN_AREA, context),
            "sensitivity": SENSITIVITIES[self.parameterAsEnum(given, SENSITIVITY, context)],
            "min_confidence": self.parameterAsDouble(given, MIN_CONFIDENCE, context),
            **({"layer": layer} if (layer := self._destination(given, context).layer) else {}),
        }

    def outputs(self, given: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """The layer, and the raster where it is wanted."""
        self._place = self._destination(given, context)
        outputs = {"features": self._place.path}
        # A batch gives an output without a name where it is left empty.
        heatmap = self.parameterAsOutputLayer(given, HEATMAP, context)
        return {**outputs, "heatmap": heatmap} if heatmap else outputs

    def results(
        self,
        told: Mapping[str, Any],
        outputs: Mapping[str, str],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """The layer, which is styled when it is loaded, the raster and the numbers."""
        layer = self._place.written(CHANGES_LAYER, context) if self._place else outputs["features"]
        _style_when_loaded(context, layer)
        found = told["features"]
        results = {OUTPUT: layer, COUNT: found["count"], AREA: found["area_m2"]}
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
            details.name = Path(path.partition("|")[0]).stem
