"""The parameters that the algorithms share, each with its help."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from geochg_qgis.algorithms.default_pair import default_pair
from geochg_qgis.algorithms.model_choice import model_parameter
from geochg_qgis.i18n import tr

BEFORE, AFTER, EXTENT, OUTPUT = "BEFORE", "AFTER", "EXTENT", "OUTPUT"


def documented_parameter(
    parameter: QgsProcessingParameterDefinition, text: str
) -> QgsProcessingParameterDefinition:
    """A parameter with its help."""
    parameter.setHelp(text)
    return parameter


def advanced_parameter(
    parameter: QgsProcessingParameterDefinition, text: str
) -> QgsProcessingParameterDefinition:
    """A parameter with its help, among the advanced ones."""
    flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    parameter.setFlags(parameter.flags() | flag)
    return documented_parameter(parameter, text)


def layer_parameter(title: str) -> QgsProcessingParameterDefinition:
    """The parameter for the layer that a run writes."""
    polygons = QgsProcessing.SourceType.TypeVectorPolygon
    return documented_parameter(
        QgsProcessingParameterVectorDestination(OUTPUT, title, polygons),
        tr(
            "The layer to write: .gpkg, .geojson or .fgb. Other layers of a GeoPackage stay as "
            "they are."
        ),
    )


def pair_parameters() -> Iterable[QgsProcessingParameterDefinition]:
    """The parameters of every algorithm: both images, the area and the model."""
    # Without defaults of their own, both would show the first raster of the project.
    before, after = default_pair()
    yield documented_parameter(
        QgsProcessingParameterRasterLayer(BEFORE, tr("Image before"), before),
        tr("The earlier image: any raster layer."),
    )
    yield documented_parameter(
        QgsProcessingParameterRasterLayer(AFTER, tr("Image after"), after),
        tr("The later image of the same place."),
    )
    yield documented_parameter(
        QgsProcessingParameterExtent(EXTENT, tr("Area"), optional=True),
        tr("The area to analyse; when empty, all that the images share."),
    )
    yield documented_parameter(
        model_parameter(),
        tr(
            "builtin (wants red, green and blue), irmad or cva (any bands), or NAME:SOURCE, "
            "such as deltavlm:FOLDER or openai:URL#NAME."
        ),
    )
