"""What the algorithms share: the pair, the options, and the talk with the worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsGeometry,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from geochg_qgis.connection import Connection
from geochg_qgis.layers.grounds import aoi_text, overlap_of
from geochg_qgis.layers.rasters import Raster, raster_of
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.progress import Pace
from geochg_qgis.words import tr

BEFORE, AFTER, EXTENT = "BEFORE", "AFTER", "EXTENT"
MODEL, DEVICE, TILE_SIZE, OPTIONS = "MODEL", "DEVICE", "TILE_SIZE", "OPTIONS"


class PairAlgorithm(QgsProcessingAlgorithm):
    """An algorithm about a pair.

    Args:
        connection: Where the worker is.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._rasters: tuple[Raster, Raster] | None = None
        self._aoi: str | None = None

    def createInstance(self) -> QgsProcessingAlgorithm:
        """A fresh one for a run."""
        return type(self)(self._connection)

    def add_pair_parameters(self) -> None:
        """Adds what all of them ask for."""
        for name, text in ((BEFORE, tr("Image before")), (AFTER, tr("Image after"))):
            self.addParameter(QgsProcessingParameterRasterLayer(name, text))
        self.addParameter(QgsProcessingParameterExtent(EXTENT, tr("Area"), optional=True))
        self.addParameter(QgsProcessingParameterString(MODEL, tr("Model"), "builtin"))
        self._add_advanced(QgsProcessingParameterString(DEVICE, tr("Device"), "auto"))
        whole = QgsProcessingParameterNumber.Type.Integer
        self._add_advanced(
            QgsProcessingParameterNumber(TILE_SIZE, tr("Tile size, px"), whole, 256, minValue=32)
        )
        self._add_advanced(
            QgsProcessingParameterString(
                OPTIONS,
                tr('Other options as JSON, such as {"align": "off"}'),
                "",
                optional=True,
            )
        )

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Reads the layers, which belong to the main thread."""
        before = self.parameterAsRasterLayer(parameters, BEFORE, context)
        after = self.parameterAsRasterLayer(parameters, AFTER, context)
        if before is None or after is None:
            missing = BEFORE if before is None else AFTER
            raise QgsProcessingException(self.invalidRasterError(parameters, missing))
        try:
            shared, crs = overlap_of(before, after), before.crs()
            bounds = shared
            if parameters.get(EXTENT):
                wanted = self.parameterAsExtent(parameters, EXTENT, context, crs)
                self._aoi = aoi_text(QgsGeometry.fromRect(wanted), crs, shared, crs)
                bounds = wanted.intersect(shared)
            self._rasters = (raster_of(before, bounds, crs), raster_of(after, bounds, crs))
        except LinkError as error:
            raise QgsProcessingException(str(error)) from error
        for raster in self._rasters:
            if raster.note:
                feedback.pushWarning(raster.note)
        return True

    def ask(
        self,
        method: str,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
        more_options: Mapping[str, Any] | None = None,
        **more: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Asks the worker about the pair, and passes on what it says meanwhile.

        Raises:
            QgsProcessingException: If it fails.
        """
        if self._rasters is None:
            raise QgsProcessingException(tr("not prepared"))
        pace = Pace()

        def hear(event: Mapping[str, Any]) -> None:
            if event.get("kind") == "progress":
                feedback.setProgress(pace.standing(event).percent)
            elif event.get("warning"):
                feedback.pushWarning(str(event.get("message", "")))
            elif event.get("kind") == "notice":
                feedback.pushInfo(str(event.get("message", "")))

        options = {**self._options(parameters, context), **(more_options or {})}
        try:
            before, after = (each.parameter(feedback.isCanceled) for each in self._rasters)
            client = self._connection.client(feedback.isCanceled)
            given = {"before": before, "after": after, "options": options, **more}
            return client.ask(method, given, hear, feedback.isCanceled)
        except LinkError as error:
            detail = f"\n{error.detail}" if error.detail else ""
            raise QgsProcessingException(f"{error}{detail}") from error

    def _options(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        text = self.parameterAsString(parameters, OPTIONS, context).strip()
        try:
            own = json.loads(text) if text else {}
        except ValueError as error:
            raise QgsProcessingException(
                tr("The other options are no JSON: {}").format(error)
            ) from error
        if not isinstance(own, dict):
            raise QgsProcessingException(tr('The other options must be like {"align": "off"}'))
        return {
            "model": self.parameterAsString(parameters, MODEL, context),
            "device": self.parameterAsString(parameters, DEVICE, context),
            "tile_size_px": self.parameterAsInt(parameters, TILE_SIZE, context),
            "aoi": self._aoi,
            **own,
        }

    def _add_advanced(self, parameter: QgsProcessingParameterDefinition) -> None:
        flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
        parameter.setFlags(parameter.flags() | flag)
        self.addParameter(parameter)
