"""The parameters for tables of a run: the zones, and the files of CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterField,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterVectorLayer,
)

from geochg_qgis.algorithms.pair_parameters import advanced_parameter, documented_parameter
from geochg_qgis.i18n import tr
from geochg_qgis.layers.zone_source import ZoneSource, zone_source
from geochg_qgis.link.absolute_paths import absolute_path

ZONES, ZONE_NAME, TABLE, ZONES_TABLE = "ZONES", "ZONE_NAME", "TABLE", "ZONES_TABLE"

_KEYS = {TABLE: "table", ZONES_TABLE: "zones_table"}
"""The worker's names of the files."""


def table_parameters(*, is_advanced: bool = True) -> Iterator[QgsProcessingParameterDefinition]:
    """The zones, the column of their names, and the tables to write.

    Args:
        is_advanced: Whether they are among the advanced parameters.
    """
    place = advanced_parameter if is_advanced else documented_parameter
    polygons = QgsProcessing.SourceType.TypeVectorPolygon
    yield place(
        QgsProcessingParameterVectorLayer(ZONES, tr("Zones"), [polygons], optional=True),
        tr("Polygons in which changes are summed up, such as parcels or districts."),
    )
    yield place(
        QgsProcessingParameterField(
            ZONE_NAME, tr("Column that names the zones"), None, ZONES, optional=True
        ),
        tr("The column that names the zones; empty for name, zone or id, else their number."),
    )
    for name, title, text in (
        (
            TABLE,
            tr("Table from what to what"),
            tr("Numbers and areas by class, direction and land cover before and after, as CSV."),
        ),
        (
            ZONES_TABLE,
            tr("Table by zone"),
            tr("Numbers and areas by zone, class and direction, as CSV; needs zones."),
        ),
    ):
        yield place(
            QgsProcessingParameterFileDestination(
                name, title, "CSV (*.csv)", optional=True, createByDefault=False
            ),
            text,
        )


def chosen_zones(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> ZoneSource | None:
    """The layer of zones, read on the main thread; None where none is chosen.

    Raises:
        LinkError: If it is broken or has no CRS.
    """
    layer = algorithm.parameterAsVectorLayer(parameters, ZONES, context)
    if layer is None:
        return None
    return zone_source(layer, algorithm.parameterAsString(parameters, ZONE_NAME, context))


def table_files(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> dict[str, str]:
    """Absolute paths of the tables that are wanted, by their parameters."""
    files = {
        name: absolute_path(algorithm.parameterAsFileOutput(parameters, name, context))
        for name in _KEYS
        if parameters.get(name)
    }
    return {name: path for name, path in files.items() if path}


def outputs_of_tables(files: dict[str, str]) -> dict[str, str]:
    """The tables by the worker's names."""
    return {_KEYS[name]: path for name, path in files.items()}
