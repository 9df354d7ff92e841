"""`geochg:assess`: how right a change layer is, by a sample that people judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterVectorLayer,
)

from geochg_qgis.algorithms.layer_algorithm import (
    OVERWRITE,
    LayerAlgorithm,
    changes_parameter,
    overwrite_parameter,
)
from geochg_qgis.algorithms.pair_parameters import OUTPUT, documented_parameter
from geochg_qgis.i18n import tr
from geochg_qgis.link.absolute_paths import absolute_path
from geochg_qgis.link.output_paths import ASSESSMENT_KINDS

SAMPLE, VERDICTS = "SAMPLE", "VERDICTS"
_ESTIMATES = {"OVERALL": "value", "OVERALL_LOW": "low", "OVERALL_HIGH": "high"}


class AssessAlgorithm(LayerAlgorithm):
    """Assesses a change layer."""

    algorithm_name, method = "assess", "assess_sample"
    _output = ""

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm."""
        return tr("Assess a change layer by a judged sample"), tr(
            "Estimates accuracies and areas of a change layer by a sample that was judged, each "
            "with its 95 % interval, after Olofsson et al. (2014) and Stehman (2014). OVERALL is "
            "the overall accuracy, OVERALL_LOW and OVERALL_HIGH the ends of its interval."
        )

    def parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The sample, the layer, and the file."""
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        yield documented_parameter(
            QgsProcessingParameterVectorLayer(SAMPLE, tr("Sample"), [polygons]),
            tr("The sample, its columns reference_class and reference_change filled."),
        )
        yield changes_parameter(
            tr("The change layer that it was drawn of, reviewed and filtered as it was then.")
        )
        yield documented_parameter(
            QgsProcessingParameterFile(
                VERDICTS, tr("Judgements in a table"), extension="csv", optional=True
            ),
            tr(
                "A table with the columns id, reference_class and reference_change, whose "
                "judgements stand in place of those of the sample."
            ),
        )
        yield overwrite_parameter()
        yield documented_parameter(
            QgsProcessingParameterFileDestination(
                OUTPUT, tr("Assessment"), ASSESSMENT_KINDS, optional=True, createByDefault=True
            ),
            tr("Matrix, accuracies and areas: .html, .md or .json."),
        )

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """The overall accuracy with the ends of its interval."""
        yield QgsProcessingOutputNumber("OVERALL", tr("Overall accuracy"))
        yield QgsProcessingOutputNumber("OVERALL_LOW", tr("Lower end of its interval"))
        yield QgsProcessingOutputNumber("OVERALL_HIGH", tr("Upper end of its interval"))

    def inputs(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """Both layers, and the table where one is named."""
        verdicts = absolute_path(self.parameterAsFile(parameters, VERDICTS, context))
        return {
            **super().inputs(parameters, context),
            "sample": self.source(parameters, SAMPLE, context) or "",
            **({"verdicts": verdicts} if verdicts else {}),
        }

    def request(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The file of the assessment."""
        self._output = absolute_path(self.parameterAsFileOutput(parameters, OUTPUT, context))
        overwrite = self.parameterAsBool(parameters, OVERWRITE, context)
        return {"overwrite": overwrite, **({"output": self._output} if self._output else {})}

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The overall accuracy, and the file."""
        overall = {name: answer["overall"][key] for name, key in _ESTIMATES.items()}
        return {**overall, **({OUTPUT: self._output} if self._output else {})}
