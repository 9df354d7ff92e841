"""The base of all algorithms: what Processing asks each of them, and the hooks behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingOutputDefinition,
    QgsProcessingParameterDefinition,
)

from geochg_qgis.algorithms.worker_request import setup_help
from geochg_qgis.connection import Connection


class WorkerAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that sends the worker one request.

    A subclass sets the class attributes and overrides the hooks, from `title_and_help` to
    `results`.

    Args:
        connection: The connection to the worker.

    Attributes:
        algorithm_name: Name of the algorithm behind that of the provider.
        method: The worker's method, as docs/worker.md names it.
    """

    algorithm_name = ""
    method = ""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm, in the user's language."""
        raise NotImplementedError

    def input_help(self) -> str:
        """A paragraph of the help about what is analysed; may be empty."""
        return ""

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """Parameters of this algorithm, each with its help."""
        return ()

    def all_parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """Those, and the ones that all algorithms of its kind have."""
        return self.parameters()

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """Outputs besides layers and files."""
        return ()

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The algorithm's outputs, by name, of the worker's answer."""
        raise NotImplementedError

    def name(self) -> str:
        """Name of the algorithm behind that of the provider."""
        return self.algorithm_name

    def createInstance(self) -> QgsProcessingAlgorithm:
        """A new instance for a run."""
        return type(self)(self._connection)

    def displayName(self) -> str:
        """Title of the algorithm in lists."""
        return self.title_and_help()[0]

    def shortHelpString(self) -> str:
        """Help beside the dialog; that of each parameter is with the parameter."""
        paragraphs = (self.title_and_help()[1], self.input_help(), setup_help())
        return "\n\n".join(filter(None, paragraphs))

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:
        """Adds parameters and outputs."""
        for parameter in self.all_parameters():
            self.addParameter(parameter)
        for output in self.output_definitions():
            self.addOutput(output)
