"""The options of the backend `trees`."""

from dataclasses import dataclass

from geochg.option_fields import ModelOptions, option


@dataclass(frozen=True)
class TreesOptions(ModelOptions):
    """The options of `trees`."""

    threshold: float | None = option(
        None,
        "A tile has changed when that is likelier than this (0-1); None for the threshold that its"
        " card names, and `geochg evaluate --fit-threshold` finds another.",
        least=0,
        greatest=1,
    )
    model: str = option(
        "",
        "The model whose features the trees read, as --model names it, where it lies elsewhere than"
        " when they learned: `clip:FOLDER`. It must be the same model.",
    )
