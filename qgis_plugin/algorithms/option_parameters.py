"""Parameters of the algorithms for options of a run, made of what the worker tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from geochg_qgis.run_options import RunOption


def parameter_name(option: RunOption) -> str:
    """Name of the parameter that stands for an option: `MIN_AREA` for `min_area_m2`."""
    ending = {"px": "_px", "m²": "_m2", "m": "_m", "s": "_s", "°": "_deg"}.get(option.unit, "")
    name = option.name
    if ending and name.endswith(ending):
        name = name[: -len(ending)]
    return name.upper()


def option_parameter(option: RunOption) -> QgsProcessingParameterDefinition:
    """The parameter that stands for an option."""
    name = parameter_name(option)
    label = f"{option.label}, {option.unit}" if option.unit else option.label
    if option.kind == "boolean":
        return QgsProcessingParameterBoolean(name, label, bool(option.default))
    if option.choices:
        texts = [text for _, text in option.choices]
        return QgsProcessingParameterEnum(name, label, texts, defaultValue=0)
    if option.kind in ("integer", "number"):
        numbers = QgsProcessingParameterNumber.Type
        parameter = QgsProcessingParameterNumber(
            name,
            label,
            numbers.Integer if option.kind == "integer" else numbers.Double,
            option.default,
            optional=option.default is None,
        )
        if option.least is not None:
            parameter.setMinimum(option.least)
        if option.greatest is not None:
            parameter.setMaximum(option.greatest)
        return parameter
    default = option.default if isinstance(option.default, str) else ""
    return QgsProcessingParameterString(name, label, default, optional=True)


def chosen_options(
    algorithm: QgsProcessingAlgorithm,
    options: Iterable[RunOption],
    parameters: Mapping[str, Any],
    context: QgsProcessingContext,
) -> dict[str, Any]:
    """The options that parameters set to something else than their defaults.

    Args:
        algorithm: The algorithm that the parameters are of.
        options: The options that it has parameters for.
        parameters: What was given.
        context: The context of the run.
    """
    chosen_values = {}
    for option in options:
        if parameters.get(parameter_name(option)) is not None:
            value = _value(algorithm, option, dict(parameters), context)
            if value != option.default:
                chosen_values[option.name] = value
    return chosen_values


def _value(
    algorithm: QgsProcessingAlgorithm,
    option: RunOption,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
) -> Any:  # noqa: ANN401
    name = parameter_name(option)
    if option.kind == "boolean":
        return algorithm.parameterAsBool(parameters, name, context)
    if option.choices:
        return option.choices[algorithm.parameterAsEnum(parameters, name, context)][0]
    if option.kind == "integer":
        return algorithm.parameterAsInt(parameters, name, context)
    if option.kind == "number":
        return algorithm.parameterAsDouble(parameters, name, context)
    return option.parsed(algorithm.parameterAsString(parameters, name, context))
