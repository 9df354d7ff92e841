"""The parameter for the model: a choice of those that the worker named last, or any text."""

from __future__ import annotations

from qgis.core import QgsProcessingParameterString

from geochg_qgis.i18n import tr

MODEL = "MODEL"

_WIDGET = "geochg_qgis.algorithms.model_choice_widget.ModelChoiceWrapper"
"""By name, because it needs Processing's dialogs, which `qgis_process` does without."""


def model_parameter() -> QgsProcessingParameterString:
    """The parameter, with a widget of its own in the dialogs of Processing."""
    parameter = QgsProcessingParameterString(MODEL, tr("Model"), "builtin")
    parameter.setMetadata({"widget_wrapper": {"class": _WIDGET}})
    return parameter
