"""The options of the backend `labels`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geochg.option_fields import ModelOptions, option


@dataclass(frozen=True)
class LabelsOptions(ModelOptions):
    """The options of `labels`."""

    class_list: Mapping[str, Any] = option(
        {}, "The labels of --classes or --classes-file, which set it."
    )
    model_options: Mapping[str, Any] = option(
        {}, 'Options of the model that tells the labels, as `{answers = "words"}`.'
    )
    threshold: float = option(
        0.25,
        "A label is gained or lost where that is likelier than this (0-1): the probability that it"
        " is there at one date, times that it is not at the other. With .25 or less, wherever it is"
        " told at one date only; `geochg evaluate --fit-threshold` finds it.",
        least=0,
        greatest=1,
    )
