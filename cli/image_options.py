"""The options of commands that read a single raster, made of the fields of `AnalyzeOptions`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from geochg.options import AnalyzeOptions, OptionSpec
from geochg.pipeline.scenes import SCENES_LAYER

from .pair_options import MODELS_OWN, OPTIONS_FILE
from .shared_options import Command, option_of, with_options

_FIELDS = (
    *("model", "model_options", "bands", "resolution", "crs", "aoi", "tile_size_px", "overlap_px"),
    *("nodata", "keep_collars", "allow_remote", "dates", "min_area_m2", "device", "batch_size"),
    *("workers", "layer", "tiles_layer", "allow_failed_tiles", "resume", "overwrite"),
)
_IN_OTHER_WORDS: dict[str, dict[str, Any]] = {
    "resolution": {"usual": "as IMAGE has it"},
    "crs": {"help": "CRS of the grid, such as EPSG:32633.", "usual": "as IMAGE has it"},
    "aoi": {"usual": "all of IMAGE"},
    "dates": {
        "help": "When the image was taken, such as `2020-06-01`; a month or a year will do.",
        "usual": "as tags of the file say, else its name",
    },
    "nodata": {
        "help": "The value that means no measurement; `none` where none does. It counts instead of "
        "what the file says.",
        "usual": "as the file says",
        "metavar": "VALUE",
    },
    "overlap_px": {"usual": "32"},
    "min_area_m2": {"usual": "0"},
}


def image_options(command: Command) -> Command:
    """Adds the raster and the options that say how one is read and described."""
    fields = [option_of(spec) for spec in _specs()]
    image = click.argument("image")
    return with_options((image, *fields[:2], *MODELS_OWN, *fields[2:], OPTIONS_FILE))(command)


def _specs() -> Iterator[OptionSpec]:
    by_name = {spec.name: spec for spec in AnalyzeOptions.specs()}
    for name in _FIELDS:
        spec = by_name[name]
        facts = replace(spec.facts, **_IN_OTHER_WORDS.get(name, {}))
        default = SCENES_LAYER if name == "layer" else spec.default
        yield replace(spec, facts=facts, default=default)
