"""`geochg:table`: numbers and areas of a change layer, by zone where zones are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
)

from geochg_qgis.algorithms.layer_algorithm import (
    OVERWRITE,
    LayerAlgorithm,
    changes_parameter,
    overwrite_parameter,
)
from geochg_qgis.algorithms.table_parameters import (
    chosen_zones,
    outputs_of_tables,
    table_files,
    table_parameters,
)
from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.zone_source import ZoneSource

COUNT = "COUNT"


class TableAlgorithm(LayerAlgorithm):
    """Sums a change layer up."""

    algorithm_name, method = "table", "tables"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._zones: ZoneSource | None = None
        self._tables: dict[str, str] = {}

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm."""
        return tr("Sum up a change layer"), tr(
            "Numbers and areas of changes as they were reviewed, from what to what and by zone: "
            "rejected changes are left out, and relabelled ones count under their new class. "
            "COUNT is the number of changes that count."
        )

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The layer, the zones, and the files."""
        yield changes_parameter(tr("The change layer, as it was reviewed and is filtered."))
        yield from table_parameters(is_advanced=False)
        yield overwrite_parameter()

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """Number of the changes."""
        yield QgsProcessingOutputNumber(COUNT, tr("Number of changes"))

    def inputs(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The layer; that of the zones is read, too."""
        self._zones = chosen_zones(self, parameters, context)
        return super().inputs(parameters, context)

    def request(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The zones and the files."""
        self._tables = table_files(self, parameters, context)
        outputs = outputs_of_tables(self._tables)
        return {
            **({} if self._zones is None else self._zones.parameters(bool)),
            **({"outputs": outputs} if outputs else {}),
            "overwrite": self.parameterAsBool(parameters, OVERWRITE, context),
        }

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The files, and how many changes count."""
        return {**self._tables, COUNT: answer["features"]}
