"""`geochg:sample`: a random sample of the ground behind a change layer, for people to judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from geochg_qgis.algorithms.layer_algorithm import (
    OVERWRITE,
    LayerAlgorithm,
    changes_parameter,
    overwrite_parameter,
)
from geochg_qgis.algorithms.layer_destination import LayerDestination
from geochg_qgis.algorithms.option_parameters import chosen_options, option_parameter
from geochg_qgis.algorithms.pair_parameters import (
    AFTER,
    BEFORE,
    OUTPUT,
    advanced_parameter,
    documented_parameter,
)
from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.layer_source import gdal_name
from geochg_qgis.layers.sample_layers import SAMPLE_LAYER
from geochg_qgis.run_options import sample_options

HEATMAP, COUNT = "HEATMAP", "COUNT"


class SampleAlgorithm(LayerAlgorithm):
    """Draws a sample."""

    algorithm_name, method = "sample", "draw_sample"
    _destination: LayerDestination

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._options = sample_options(connection.hello)

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm."""
        return tr("Draw a sample of a change layer"), tr(
            "Draws places at random over all ground that was analysed: by class and direction of "
            "change, on unchanged ground near changes, and on the rest. Judge them in the panel, "
            "blind: what the map says is not in the layer. COUNT is the number of places."
        )

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The layer, how its sample is drawn, and the file."""
        yield changes_parameter(tr("The change layer, as it was reviewed and is filtered."))
        yield documented_parameter(
            QgsProcessingParameterRasterLayer(HEATMAP, tr("Heatmap"), optional=True),
            tr("The heatmap of the run, which tells what clouds and failed tiles hid."),
        )
        main = ("units", "allocation", "seed")
        for option in sorted(self._options, key=lambda option: option.name not in main):
            place = documented_parameter if option.name in main else advanced_parameter
            yield place(option_parameter(option), option.help)
        for name, label in ((BEFORE, tr("Image before")), (AFTER, tr("Image after"))):
            yield advanced_parameter(
                QgsProcessingParameterRasterLayer(name, label, optional=True),
                tr("The image of the run, where it was moved since."),
            )
        yield overwrite_parameter()
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        yield documented_parameter(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Sample"), polygons),
            tr("The layer to write: .gpkg, .geojson or .fgb. A GeoPackage can be judged."),
        )

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """Number of the places."""
        yield QgsProcessingOutputNumber(COUNT, tr("Number of places"))

    def inputs(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The layer, and the rasters that are named."""
        options = chosen_options(self, self._options, parameters, context)
        for name in (HEATMAP, BEFORE, AFTER):
            raster = self.parameterAsRasterLayer(parameters, name, context)
            if raster is not None:
                options[name.lower()] = gdal_name(raster)
        options["overwrite"] = self.parameterAsBool(parameters, OVERWRITE, context)
        return {**super().inputs(parameters, context), "sampling": options}

    def request(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The file of the sample."""
        text = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        self._destination = LayerDestination.from_text(text)
        return {"output": self._destination.path}

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The source of the sample, and how many places it has."""
        units = sum(int(stratum["units"]) for stratum in answer["geochg"]["strata"])
        return {OUTPUT: self._destination.register_source(SAMPLE_LAYER, context), COUNT: units}
