"""The parameters, the worker's options and the request that the algorithms share."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from qgis.core import (
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterString,
)

from geochg_qgis.algorithms.layer_destination import LayerDestination
from geochg_qgis.algorithms.model_choice import MODEL
from geochg_qgis.algorithms.option_parameters import chosen_options, option_parameter
from geochg_qgis.algorithms.pair_parameters import (
    AFTER,
    BEFORE,
    EXTENT,
    OUTPUT,
    advanced_parameter,
    documented_parameter,
    pair_parameters,
)
from geochg_qgis.algorithms.worker_algorithm import WorkerAlgorithm
from geochg_qgis.algorithms.worker_request import WorkerRequest, processing_error
from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.extents import aoi_parameter, area_of_interest, shared_extent
from geochg_qgis.layers.image_identity import ImageIdentity, image_source
from geochg_qgis.layers.layer_source import LayerSource, RasterAccess, layer_source
from geochg_qgis.link.errors import LinkError
from geochg_qgis.run_options import run_options

DEVICE, RESUME, OPTIONS = "DEVICE", "RESUME", "OPTIONS"
OVERWRITE = "OVERWRITE"

MAIN_OPTIONS = ("min_area_m2", "sensitivity", "min_confidence")
"""Options whose parameters are not among the advanced ones."""


class PairAlgorithm(WorkerAlgorithm):
    """An algorithm that sends the worker one request about a pair.

    A subclass overrides the hooks, from `files` to `summary`.

    Args:
        connection: The connection to the worker.

    Attributes:
        command: The command of geochg whose options are parameters.
    """

    command = "info"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._sources: tuple[LayerSource, LayerSource] | None = None
        self._images: tuple[ImageIdentity, ImageIdentity] | None = None
        self._aoi: str | None = None
        self._json_options: dict[str, Any] = {}
        self._sent_options: dict[str, Any] = {}
        self._run_options = run_options(connection.hello, self.command)

    def files(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """Paths of the files to write, by the worker's names; called before `options`."""
        return {}

    def options(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The worker's options that the parameters of the algorithm stand for."""
        return {
            "model": self.parameterAsString(parameters, MODEL, context),
            "device": self.parameterAsString(parameters, DEVICE, context),
            "aoi": self._aoi,
            **chosen_options(self, self._run_options, parameters, context),
        }

    def summary(self, answer: Mapping[str, Any]) -> str:
        """A line about the worker's answer for the log; may be empty."""
        return ""

    def input_parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """Parameters of what is analysed, which stand first."""
        return pair_parameters()

    def input_help(self) -> str:
        """A paragraph of the help about what is analysed."""
        return tr(
            "The two images may differ in CRS, resolution and extent; the area that they "
            "share is analysed. Layers that geochg cannot open, such as web services, are "
            "exported as a picture of the area."
        )

    def recording(self, request: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Keeps what is needed to go on with the request, should it end before it is done."""
        return nullcontext()

    def all_parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The pair, the main options, what the algorithm has besides, and the advanced ones."""
        yield from self.input_parameters()
        for option in self._run_options:
            if option.name in MAIN_OPTIONS:
                yield documented_parameter(option_parameter(option), option.help)
        yield from self.parameters()
        yield from self._advanced_parameters()

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuses a pair of one image before the run begins."""
        is_valid, message = super().checkParameterValues(parameters, context)
        if is_valid and self.is_one_image(parameters, context):
            return False, str(_same_image())
        return is_valid, message

    def is_one_image(self, parameters: dict[str, Any], context: QgsProcessingContext) -> bool:
        """Whether both images are the same one."""
        pair = [self.parameterAsRasterLayer(parameters, name, context) for name in (BEFORE, AFTER)]
        return None not in pair and image_source(pair[0]) == image_source(pair[1])

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Reads the layers, which belong to the main thread."""
        self._json_options = _json_object(self.parameterAsString(parameters, OPTIONS, context))
        try:
            self.read_inputs(parameters, context)
        except LinkError as error:
            raise processing_error(error) from error
        return True

    def read_inputs(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Reads what is analysed; called on the main thread.

        Raises:
            LinkError: If it cannot be analysed.
        """
        before = self.parameterAsRasterLayer(parameters, BEFORE, context)
        after = self.parameterAsRasterLayer(parameters, AFTER, context)
        if before is None or after is None:
            missing = BEFORE if before is None else AFTER
            raise QgsProcessingException(self.invalidRasterError(parameters, missing))
        if self.is_one_image(parameters, context):
            raise _same_image()
        self._images = ImageIdentity.of(before), ImageIdentity.of(after)
        shared, crs = shared_extent(before, after), before.crs()
        bounds = shared
        if parameters.get(EXTENT):
            # In its own CRS: one as wide as the world cannot be brought into the images'.
            extent = self.parameterAsExtent(parameters, EXTENT, context)
            extent_crs = self.parameterAsExtentCrs(parameters, EXTENT, context)
            area = area_of_interest(QgsGeometry.fromRect(extent), extent_crs, shared, crs)
            self._aoi = aoi_parameter(area, crs)
            bounds = area.boundingBox().intersect(shared)
        self._sources = (layer_source(before, bounds, crs), layer_source(after, bounds, crs))

    def inputs(self, access: RasterAccess) -> dict[str, Any]:
        """The worker's parameters of what is analysed; called on the algorithm's thread.

        Args:
            access: Exports layers that the worker cannot open.
        """
        if self._sources is None:
            raise LinkError(tr("The images have not been read yet"))
        before, after = (source.worker_parameter(access) for source in self._sources)
        return {"before": before, "after": after}

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Sends the request and waits for the answer, on a thread."""
        files = self.files(parameters, context)
        options = {**self.options(parameters, context), **self._json_options}
        # Files in the options start from the same folder as QGIS's own parameters.
        self._sent_options = options
        request = {"options": options, "folder": os.getcwd()}
        if files:
            request["outputs"] = files
        try:
            with self.recording(request):
                answer = self._ask_worker(request, feedback)
        except LinkError as error:
            raise processing_error(error) from error
        if summary := self.summary(answer):
            feedback.pushInfo(summary)
        return self.results(answer, context)

    def _ask_worker(
        self, request: dict[str, Any], feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        worker = WorkerRequest(self._connection, feedback)
        allow_remote = request["options"].get("allow_remote") is True
        access = RasterAccess(
            self._connection, self, worker.is_cancelled, feedback.pushWarning, allow_remote
        )
        return worker.answer(self.method, {**self.inputs(access), **request})

    def _advanced_parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        yield advanced_parameter(
            QgsProcessingParameterString(DEVICE, tr("Device"), "auto"),
            tr("Where the model runs: auto, cpu, cuda, mps."),
        )
        for option in self._run_options:
            if option.name not in MAIN_OPTIONS:
                yield advanced_parameter(option_parameter(option), option.help)
        yield advanced_parameter(
            QgsProcessingParameterString(
                OPTIONS, tr('Other options as JSON, such as {"align": "off"}'), "", optional=True
            ),
            tr(
                "Whatever geochg analyze takes, by the names of AnalyzeOptions: align, bands, "
                "classes, overlap_px, refine, ... They win over the parameters above."
            ),
        )


class RunAlgorithm(PairAlgorithm):
    """An algorithm that writes a layer by a run, which may be resumed.

    Attributes:
        file_key: The worker's name of the layer's file.
        layer_option: The worker's option for the layer's name in a GeoPackage.
        default_layer: The layer's name in a GeoPackage where the user gives none.
    """

    method = "analyze"
    file_key = layer_option = default_layer = ""
    _destination: LayerDestination

    def files(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """The file of the layer."""
        text = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        self._destination = LayerDestination.from_text(text)
        return {self.file_key: self._destination.path}

    def options(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """Whether the run is resumed and what it may replace, and the layer's name."""
        layer = self._destination.layer
        return {
            **super().options(parameters, context),
            "resume": self.parameterAsBool(parameters, RESUME, context),
            "overwrite": self.parameterAsBool(parameters, OVERWRITE, context),
            **({self.layer_option: layer} if layer else {}),
        }

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The source of the layer."""
        return {OUTPUT: self._destination.register_source(self.default_layer, context)}

    def _advanced_parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        yield from super()._advanced_parameters()
        yield advanced_parameter(
            QgsProcessingParameterBoolean(RESUME, tr("Resume an unfinished run"), False),
            tr(
                "A run that was stopped keeps what is done beside its output, in NAME.journal. "
                "With this, the same run with the same output goes on there."
            ),
        )
        yield advanced_parameter(
            QgsProcessingParameterBoolean(
                OVERWRITE, tr("Replace what geochg did not write"), False
            ),
            tr(
                "Results of earlier runs are replaced in any case. With this, so are other files, "
                "and other layers of the same name in a GeoPackage."
            ),
        )


def _same_image() -> LinkError:
    return LinkError(
        tr("BEFORE and AFTER are the same image"), tr("choose two images of one place")
    )


def _json_object(text: str) -> dict[str, Any]:
    """The options that a user writes as JSON."""
    try:
        options = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise QgsProcessingException(
            tr("The other options are no JSON: {}").format(error)
        ) from error
    if not isinstance(options, dict):
        raise QgsProcessingException(tr('The other options must be like {"align": "off"}'))
    return options
