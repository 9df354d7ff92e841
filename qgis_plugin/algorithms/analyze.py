"""`geochg:analyze`: the change layer of a pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterRasterDestination,
    QgsVectorLayer,
)

from geochg_qgis.algorithms.base import RunAlgorithm
from geochg_qgis.algorithms.layer_destination import load_from
from geochg_qgis.algorithms.pair_parameters import OUTPUT, documented_parameter, layer_parameter
from geochg_qgis.algorithms.table_parameters import (
    chosen_zones,
    outputs_of_tables,
    table_files,
    table_parameters,
)
from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.interrupted_runs import InterruptedRun, active_run, forget_run, time_now
from geochg_qgis.layers.class_colors import colors_of_result
from geochg_qgis.layers.raster_export import EXPORTS
from geochg_qgis.layers.result_layers import ResultOrigin, open_result
from geochg_qgis.layers.temporal import pair_times
from geochg_qgis.layers.zone_source import ZoneSource
from geochg_qgis.link.absolute_paths import absolute_path
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import has_journal

HEATMAP, COUNT, AREA = "HEATMAP", "COUNT", "AREA_M2"


class AnalyzeAlgorithm(RunAlgorithm):
    """Maps what changed between the images of a pair."""

    algorithm_name = command = "analyze"
    file_key, layer_option, default_layer = "features", "layer", "changes"
    _heatmap = ""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._zones: ZoneSource | None = None
        self._tables: dict[str, str] = {}

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm."""
        return tr("Map what changed between two images"), tr(
            "Asks a change model about two images of one place and gives a layer of changes: "
            "class, direction (appeared, disappeared, altered), land cover before and after, "
            "confidence, caption, count and area. COUNT is the number of changes, AREA_M2 the "
            "area they cover."
        )

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The files to write."""
        yield layer_parameter(tr("Changes"))
        yield documented_parameter(
            QgsProcessingParameterRasterDestination(
                HEATMAP, tr("Heatmap"), optional=True, createByDefault=False
            ),
            tr("A raster to write as well: the probability of change at each pixel."),
        )
        yield from table_parameters()

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """Number of changes and the area that they cover together."""
        yield QgsProcessingOutputNumber(COUNT, tr("Number of changes"))
        yield QgsProcessingOutputNumber(AREA, tr("Changed area, m²"))

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Reads the layers of the pair and of the zones, which belong to the main thread."""
        is_ready = super().prepareAlgorithm(parameters, context, feedback)
        try:
            self._zones = chosen_zones(self, parameters, context)
        except LinkError as error:
            raise QgsProcessingException(str(error)) from error
        return is_ready

    def options(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The worker's options, with the zones."""
        zones = {} if self._zones is None else self._zones.parameters(bool)
        return {**super().options(parameters, context), **zones}

    def files(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """The layer's file, and that of the heatmap where it is wanted."""
        # A batch gives an output without a name where it is left empty.
        destination = self.parameterAsOutputLayer(parameters, HEATMAP, context)
        self._heatmap = absolute_path(destination)
        load_from(self._heatmap, destination, context)
        heatmap = {"heatmap": self._heatmap} if self._heatmap else {}
        self._tables = table_files(self, parameters, context)
        tables = outputs_of_tables(self._tables)
        return {**super().files(parameters, context), **heatmap, **tables}

    @contextmanager
    def recording(self, request: Mapping[str, Any]) -> Iterator[None]:
        """Records the run beside its journal, so that the panel lists it until it is done."""
        output = Path(self._destination.path)
        with active_run(output):
            run = self._run_to_record(request, output)
            if run is not None:
                # A folder that cannot be written to is told of by the worker.
                with suppress(LinkError):
                    run.record(in_project=False)
            try:
                yield
            finally:
                if not has_journal(output):
                    forget_run(output, in_project=False)

    def _run_to_record(self, request: Mapping[str, Any], output: Path) -> InterruptedRun | None:
        """The run of a request; None where the journal is another one's, or is recorded."""
        # What goes on with it in the panel writes no tables.
        omitted_keys = ("resume", "zones", "zone_name")
        options = {k: value for k, value in request["options"].items() if k not in omitted_keys}
        is_resumed = request["options"].get("resume") is True
        is_foreign = has_journal(output) and not is_resumed
        if self._images is None or self._sources is None or is_foreign:
            return None
        if InterruptedRun.read(output) is not None:
            return None
        before, after = (source.identity(self._connection) for source in self._sources)
        return InterruptedRun(
            output,
            Path(self._heatmap) if self._heatmap else None,
            output.exists(),
            EXPORTS.session in (before[1], after[1]),
            self._images,
            (before, after),
            options,
            str(request["folder"]),
            time_now(),
        )

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The layer, styled when it is loaded, the numbers, and the raster."""
        layer = super().results(answer, context)
        self._make_reviewable(layer[OUTPUT], answer, context)
        features = answer["features"]
        heatmap = {HEATMAP: self._heatmap} if self._heatmap else {}
        return {
            **layer,
            COUNT: features["count"],
            AREA: features["area_m2"],
            **heatmap,
            **self._tables,
        }

    def _make_reviewable(
        self, source: str, answer: Mapping[str, Any], context: QgsProcessingContext
    ) -> None:
        """Makes the layer a result that the panel reviews, also where it is opened later."""
        if self._images is None:
            return
        before, after = self._images
        times = pair_times(before.name, after.name, answer)
        origin = ResultOrigin(before, after, self._sent_options, times, colors_of_result(answer))
        name = Path(source.partition("|")[0]).stem
        open_result(source, name, origin)
        if context.willLoadLayerOnCompletion(source):
            details = context.layerToLoadOnCompletionDetails(source)
            details.setPostProcessor(_Marker.of(origin))
            if not details.name:
                details.name = name


class _Marker(QgsProcessingLayerPostProcessorInterface):
    """Styles and marks a result once it is loaded."""

    _waiting: ClassVar[list[_Marker]] = []  # QGIS does not keep them alive

    @classmethod
    def of(cls, origin: ResultOrigin) -> _Marker:
        """A marker that lives until it is used."""
        marker = cls()
        marker._origin = origin
        cls._waiting.append(marker)
        return marker

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Marks the layer; called by QGIS on the main thread."""
        if isinstance(layer, QgsVectorLayer):
            self._origin.mark(layer)
        # QGIS still holds the last one.
        del self._waiting[: self._waiting.index(self)]
