"""The base of algorithms about a change layer, and the parameters that they share."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterVectorLayer,
)

from geochg_qgis.algorithms.pair_parameters import advanced_parameter, documented_parameter
from geochg_qgis.algorithms.worker_algorithm import WorkerAlgorithm
from geochg_qgis.algorithms.worker_request import WorkerRequest, processing_error
from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.result_layers import readable_source
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link_messages import worker_text

CHANGES, OVERWRITE = "CHANGES", "OVERWRITE"


class LayerAlgorithm(WorkerAlgorithm):
    """An algorithm that sends the worker one request about a change layer.

    A subclass overrides `inputs` where it reads more than the layer, and `request`.

    Args:
        connection: The connection to the worker.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._inputs: dict[str, Any] = {}

    def inputs(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The worker's parameters of what is read, called on the main thread.

        Raises:
            LinkError: If a layer is no file that the worker can read.
        """
        return {"features": self.source(parameters, CHANGES, context)}

    def request(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The worker's other parameters, called on the algorithm's thread.

        Raises:
            LinkError: If a layer cannot be exported.
        """
        raise NotImplementedError

    def source(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> str | None:
        """A vector layer as the worker takes it; None where it is left out.

        Raises:
            LinkError: If it is no file that the worker can read.
        """
        layer = self.parameterAsVectorLayer(parameters, name, context)
        return None if layer is None else readable_source(layer)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Reads the layers, which belong to the main thread."""
        try:
            self._inputs = self.inputs(parameters, context)
        except LinkError as error:
            raise processing_error(error) from error
        if self._inputs.get("features", "") is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, CHANGES))
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Sends the request and waits for the answer, on a thread."""
        worker = WorkerRequest(self._connection, feedback)
        try:
            request = {**self._inputs, **self.request(parameters, context)}
            answer = worker.answer(self.method, request)
        except LinkError as error:
            raise processing_error(error) from error
        for text in (*answer.get("warnings", ()), *answer.get("remarks", ())):
            feedback.pushWarning(worker_text(text))
        return self.results(answer, context)


def changes_parameter(text: str) -> QgsProcessingParameterDefinition:
    """The parameter for a change layer.

    Args:
        text: What is done with it.
    """
    polygons = QgsProcessing.SourceType.TypeVectorPolygon
    return documented_parameter(
        QgsProcessingParameterVectorLayer(CHANGES, tr("Changes"), [polygons]), text
    )


def overwrite_parameter() -> QgsProcessingParameterDefinition:
    """The parameter that lets the output replace any file."""
    return advanced_parameter(
        QgsProcessingParameterBoolean(OVERWRITE, tr("Replace what geochg did not write"), False),
        tr("Files that geochg wrote are replaced in any case. With this, so are others."),
    )
