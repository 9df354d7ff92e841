"""What the algorithms share: the pair, the options, and the talk with the worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from queue import SimpleQueue
from typing import Any

from qgis.core import (
    QgsGeometry,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from geochg_qgis.connection import Connection
from geochg_qgis.layers.grounds import area_of, area_text, overlap_of
from geochg_qgis.layers.rasters import Raster, Reader, raster_of
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.progress import Pace
from geochg_qgis.link_words import said_by_worker, worded
from geochg_qgis.words import tr

BEFORE, AFTER, EXTENT = "BEFORE", "AFTER", "EXTENT"
MODEL, DEVICE, TILE_SIZE, RESUME, OPTIONS = "MODEL", "DEVICE", "TILE_SIZE", "RESUME", "OPTIONS"
OVERWRITE = "OVERWRITE"


class PairAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that asks the worker one thing about a pair.

    A kind of it says what it asks (`method`, `options`, `outputs`), what comes of the answer
    (`results`), and what it is called and does (`words`).

    Args:
        connection: Where the worker is.
    """

    method = ""
    """As docs/worker.md names it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._rasters: tuple[Raster, Raster] | None = None
        self._aoi: str | None = None
        self._own: dict[str, Any] = {}

    def words(self) -> tuple[str, str]:
        """What it is called, and what it does, in the user's language."""
        raise NotImplementedError

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """What it asks for besides the pair, each with help."""
        return ()

    def results_told(self) -> Iterable[QgsProcessingOutputDefinition]:
        """What it gives besides layers."""
        return ()

    def options(self, given: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """Options of the worker that its own parameters stand for."""
        return {}

    def outputs(self, given: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """Files that the worker is to write, by what it calls them."""
        return {}

    def results(
        self,
        told: Mapping[str, Any],
        outputs: Mapping[str, str],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """What comes of the worker's answer."""
        raise NotImplementedError

    def createInstance(self) -> QgsProcessingAlgorithm:
        """A fresh one for a run."""
        return type(self)(self._connection)

    def displayName(self) -> str:
        """For lists."""
        return self.words()[0]

    def shortHelpString(self) -> str:
        """Beside the dialog; that of each parameter is with the parameter."""
        return "\n\n".join(
            (
                self.words()[1],
                tr(
                    "The two images may differ in CRS, resolution and extent; what they share is "
                    "looked at. Layers that geochg cannot open, such as web services, are taken "
                    "as a picture of the area."
                ),
                tr(
                    "geochg runs in a Python of its own; the geochg panel sets it up. Under "
                    "qgis_process, the environment variable GEOCHG_PYTHON may name it."
                ),
            )
        )

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:
        """Adds parameters and results."""
        for parameter in (*self._pair_parameters(), *self.parameters(), *self._advanced()):
            self.addParameter(parameter)
        for result in self.results_told():
            self.addOutput(result)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Reads the layers, which belong to the main thread."""
        self._own = self._other_options(parameters, context)
        before = self.parameterAsRasterLayer(parameters, BEFORE, context)
        after = self.parameterAsRasterLayer(parameters, AFTER, context)
        if before is None or after is None:
            missing = BEFORE if before is None else AFTER
            raise QgsProcessingException(self.invalidRasterError(parameters, missing))
        try:
            shared, crs = overlap_of(before, after), before.crs()
            bounds = shared
            if parameters.get(EXTENT):
                # In its own CRS: one as wide as the world has no place in that of the images.
                wanted = self.parameterAsExtent(parameters, EXTENT, context)
                wanted_crs = self.parameterAsExtentCrs(parameters, EXTENT, context)
                area = area_of(QgsGeometry.fromRect(wanted), wanted_crs, shared, crs)
                self._aoi = area_text(area, crs)
                bounds = area.boundingBox().intersect(shared)
            self._rasters = (raster_of(before, bounds, crs), raster_of(after, bounds, crs))
        except LinkError as error:
            raise _exception(error) from error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Runs it, on a thread."""
        outputs = self.outputs(parameters, context)
        given = {"options": self._options(parameters, context)}
        if outputs:
            given["outputs"] = outputs
        try:
            told = self._told(given, feedback)
        except LinkError as error:
            raise _exception(error) from error
        return self.results(told, outputs, context, feedback)

    def _told(self, given: dict[str, Any], feedback: QgsProcessingFeedback) -> dict[str, Any]:
        if self._rasters is None:
            raise LinkError(tr("not prepared"))
        events: SimpleQueue[Mapping[str, Any]] = SimpleQueue()

        def is_cancelled() -> bool:
            # What the worker tells comes on a thread of the client's; feedback is for this one.
            while not events.empty():
                hear(events.get())
            return feedback.isCanceled()

        hear = _listener(feedback)
        allow_remote = self._own.get("allow_remote") is True
        reader = Reader(self._connection, self, is_cancelled, feedback.pushWarning, allow_remote)
        before, after = (raster.parameter(reader) for raster in self._rasters)
        client = self._connection.client(is_cancelled)
        asked = {"before": before, "after": after, **given}
        told = client.ask(self.method, asked, events.put, is_cancelled)
        is_cancelled()
        return told

    def _options(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        return {
            "model": self.parameterAsString(parameters, MODEL, context),
            "device": self.parameterAsString(parameters, DEVICE, context),
            "tile_size_px": self.parameterAsInt(parameters, TILE_SIZE, context),
            "aoi": self._aoi,
            **self.options(parameters, context),
            **self._own,
        }

    def _other_options(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        text = self.parameterAsString(parameters, OPTIONS, context).strip()
        try:
            own = json.loads(text) if text else {}
        except ValueError as error:
            raise QgsProcessingException(
                tr("The other options are no JSON: {}").format(error)
            ) from error
        if not isinstance(own, dict):
            raise QgsProcessingException(tr('The other options must be like {"align": "off"}'))
        return own

    def _pair_parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        yield helped(
            QgsProcessingParameterRasterLayer(BEFORE, tr("Image before")),
            tr("The earlier image: any raster layer."),
        )
        yield helped(
            QgsProcessingParameterRasterLayer(AFTER, tr("Image after")),
            tr("The later image of the same place."),
        )
        yield helped(
            QgsProcessingParameterExtent(EXTENT, tr("Area"), optional=True),
            tr("Only this part is looked at; all that the images share when empty."),
        )
        yield helped(
            QgsProcessingParameterString(MODEL, tr("Model"), "builtin"),
            tr(
                "builtin (wants red, green and blue), irmad or cva (any bands), or NAME:SOURCE, "
                "such as deltavlm:FOLDER or openai:URL#NAME."
            ),
        )

    def _advanced(self) -> Iterable[QgsProcessingParameterDefinition]:
        whole = QgsProcessingParameterNumber.Type.Integer
        yield advanced(
            QgsProcessingParameterString(DEVICE, tr("Device"), "auto"),
            tr("Where the model runs: auto, cpu, cuda, mps."),
        )
        yield advanced(
            QgsProcessingParameterNumber(TILE_SIZE, tr("Tile size, px"), whole, 256, minValue=32),
            tr("Side of the squares that the model is shown."),
        )
        yield advanced(
            QgsProcessingParameterString(
                OPTIONS,
                tr('Other options as JSON, such as {"align": "off"}'),
                "",
                optional=True,
            ),
            tr(
                "Whatever geochg analyze takes, by the names of AnalyzeOptions: align, bands, "
                "classes, overlap_px, refine, ... They win over the parameters above."
            ),
        )


class RunAlgorithm(PairAlgorithm):
    """An algorithm that writes files, and may go on where it was stopped."""

    method = "analyze"

    def options(self, given: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """Whether it goes on."""
        return {
            "resume": self.parameterAsBool(given, RESUME, context),
            "overwrite": self.parameterAsBool(given, OVERWRITE, context),
        }

    def _advanced(self) -> Iterable[QgsProcessingParameterDefinition]:
        yield from super()._advanced()
        yield advanced(
            QgsProcessingParameterBoolean(RESUME, tr("Go on with an unfinished run"), False),
            tr(
                "A run that was stopped keeps what is done beside its output, in NAME.journal. "
                "With this, the same run with the same output goes on there."
            ),
        )
        yield advanced(
            QgsProcessingParameterBoolean(
                OVERWRITE, tr("Replace what geochg did not write"), False
            ),
            tr(
                "Results of earlier runs are replaced in any case. With this, so are other files, "
                "and other layers of the same name in a GeoPackage."
            ),
        )


def helped(
    parameter: QgsProcessingParameterDefinition, text: str
) -> QgsProcessingParameterDefinition:
    """A parameter with its help."""
    parameter.setHelp(text)
    return parameter


def advanced(
    parameter: QgsProcessingParameterDefinition, text: str
) -> QgsProcessingParameterDefinition:
    """A parameter with its help, folded away."""
    flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    parameter.setFlags(parameter.flags() | flag)
    return helped(parameter, text)


def _listener(feedback: QgsProcessingFeedback) -> Callable[[Mapping[str, Any]], None]:
    """Passes on what the worker tells while it works."""
    pace = Pace()

    def hear(event: Mapping[str, Any]) -> None:
        if event.get("kind") == "progress":
            feedback.setProgress(pace.standing(event).percent)
        elif event.get("kind") == "notice":
            say = feedback.pushWarning if event.get("warning") else feedback.pushInfo
            say(said_by_worker(event))

    return hear


def _exception(error: LinkError) -> QgsProcessingException:
    """What Processing shows: what is wrong, what to do, and what else is known."""
    told = worded(error)
    parts = (f"{told.message}. {told.hint}" if told.hint else told.message, told.detail)
    return QgsProcessingException("\n".join(part for part in parts if part))
