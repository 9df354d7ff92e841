"""`geochg:check`: a layer of polygons against an image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from geochg_qgis.algorithms.layer_algorithm import (
    OVERWRITE,
    LayerAlgorithm,
    overwrite_parameter,
)
from geochg_qgis.algorithms.layer_destination import LayerDestination
from geochg_qgis.algorithms.model_choice import MODEL, model_parameter
from geochg_qgis.algorithms.option_parameters import chosen_options, option_parameter
from geochg_qgis.algorithms.pair_parameters import (
    BEFORE,
    OUTPUT,
    advanced_parameter,
    documented_parameter,
)
from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.layer_source import LayerSource, RasterAccess, layer_source
from geochg_qgis.layers.polygon_source import PolygonSource, polygon_source, refuse_same_image
from geochg_qgis.layers.verdict_layers import VERDICT, open_verdict, verdict_summary
from geochg_qgis.run_options import check_options

LAYER, IMAGE, CLASS, DEVICE = "LAYER", "IMAGE", "CLASS", "DEVICE"
_COUNTS = {
    "PRESENT": "present",
    "GONE": "gone",
    "UNTOLD": "cannot tell",
    "MISSING_COUNT": "missing",
}
_MAIN = ("missing", "regularize")


class CheckAlgorithm(LayerAlgorithm):
    """Holds a layer against an image."""

    algorithm_name, method = "check", "check"
    _destination: LayerDestination
    _polygons: PolygonSource
    _rasters: Mapping[str, LayerSource]
    _feedback: QgsProcessingFeedback

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._options = check_options(connection.hello)

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm."""
        return tr("Check a layer against an image"), tr(
            "Says of each polygon whether its object is in the image: present, gone, or cannot "
            "tell. Ground of the class that no polygon maps follows as missing. Columns and order "
            "of the layer stay. PRESENT, GONE, UNTOLD and MISSING_COUNT are how many there are "
            "of each, SHIFT is how far the layer lies off the image, in metres, where that "
            "was measured."
        )

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The layer, the images, the class, how it is judged, and the file."""
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        yield documented_parameter(
            QgsProcessingParameterVectorLayer(LAYER, tr("Layer of polygons"), [polygons]),
            tr("The layer to check, with unsaved edits and as it is filtered."),
        )
        yield documented_parameter(
            QgsProcessingParameterRasterLayer(IMAGE, tr("Image")),
            tr("The image that it is held against."),
        )
        yield documented_parameter(
            QgsProcessingParameterString(CLASS, tr("Class"), "building"),
            tr("What the polygons are: a class of the model, or any words where it takes them."),
        )
        yield documented_parameter(
            QgsProcessingParameterRasterLayer(BEFORE, tr("Image before"), optional=True),
            tr("An earlier image: what was not seen there either is not called gone."),
        )
        yield documented_parameter(model_parameter(), tr("The model that judges."))
        for option in sorted(self._options, key=lambda option: option.name not in _MAIN):
            place = documented_parameter if option.name in _MAIN else advanced_parameter
            yield place(option_parameter(option), option.help)
        yield advanced_parameter(
            QgsProcessingParameterString(DEVICE, tr("Device"), "auto"),
            tr("Where the model runs: auto, cpu, cuda, mps."),
        )
        yield overwrite_parameter()
        yield documented_parameter(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Verdicts"), polygons),
            tr("The layer to write: .gpkg, .geojson or .fgb."),
        )

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """How many polygons of each verdict, and the shift."""
        yield QgsProcessingOutputNumber("PRESENT", tr("Present"))
        yield QgsProcessingOutputNumber("GONE", tr("Gone"))
        yield QgsProcessingOutputNumber("UNTOLD", tr("Cannot tell"))
        yield QgsProcessingOutputNumber("MISSING_COUNT", tr("Missing"))
        yield QgsProcessingOutputNumber("SHIFT", tr("Shift in metres"))

    def inputs(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The options; the layers are read, to be exported later where they must."""
        layer = self.parameterAsVectorLayer(parameters, LAYER, context)
        if layer is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, LAYER))
        self._polygons = polygon_source(layer)
        image, before = (
            self.parameterAsRasterLayer(parameters, name, context) for name in (IMAGE, BEFORE)
        )
        if image is None:
            raise QgsProcessingException(self.invalidRasterError(parameters, IMAGE))
        refuse_same_image(image, before)
        rasters = {"image": image, **({} if before is None else {"before": before})}
        self._rasters = {
            name: layer_source(raster, layer.extent(), layer.crs())
            for name, raster in rasters.items()
        }
        options = chosen_options(self, self._options, parameters, context)
        options["class_name"] = self.parameterAsString(parameters, CLASS, context)
        options["model"] = self.parameterAsString(parameters, MODEL, context)
        options["device"] = self.parameterAsString(parameters, DEVICE, context)
        options["overwrite"] = self.parameterAsBool(parameters, OVERWRITE, context)
        return {"options": options, "folder": os.getcwd()}

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Sends the request and waits for the answer, on a thread."""
        self._feedback = feedback
        return super().processAlgorithm(parameters, context, feedback)

    def request(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The layers, exported where the worker cannot open them, and the file to write."""
        text = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        self._destination = LayerDestination.from_text(text)
        options, feedback = self._inputs["options"], self._feedback
        if self._destination.layer:
            options["output_layer"] = self._destination.layer
        if self._polygons.notice:
            feedback.pushInfo(self._polygons.notice)
        allow_remote = options.get("allow_remote") is True
        access = RasterAccess(
            self._connection, self, feedback.isCanceled, feedback.pushWarning, allow_remote
        )
        rasters = {name: raster.worker_parameter(access) for name, raster in self._rasters.items()}
        layer = self._polygons.worker_parameter(feedback.isCanceled)
        return {"layer": layer, "output": self._destination.path, **rasters}

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The source of the layer, which is styled, and the numbers."""
        source = self._destination.register_source(VERDICT, context)
        open_verdict(source, Path(self._destination.path).stem)
        self._feedback.pushInfo(verdict_summary(answer))
        facts = answer["geochg"]
        counts = {name: facts["check"]["counts"][key] for name, key in _COUNTS.items()}
        return {OUTPUT: source, **counts, "SHIFT": facts.get("shift_m")}
