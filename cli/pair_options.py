"""The options of commands that read a pair, made of the fields of `AnalyzeOptions`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from geochg.errors import OptionError
from geochg.options import ANALYZE, MAPPING, AnalyzeOptions, Dtype, Quantize

from .shared_options import Command, option_of, path_option, prompts_option, with_options

_SHORT = ("revision", "adapter", "quantize", "dtype")
"""Options of models' own that can be written without `--model-option`."""


def pair_options(command_name: str) -> Callable[[Command], Command]:
    """Adds the rasters and the options of `AnalyzeOptions` that a command takes."""
    fields = [
        option_of(spec)
        for spec in AnalyzeOptions.specs()
        if spec.facts.commands is None or command_name in spec.facts.commands
    ]
    rasters = _SERIES if command_name in MAPPING else _RASTERS_AND_QUESTION
    if command_name in ANALYZE:
        rasters = _SERIES_OR_AREA
    # Behind the model stands what is a model's own.
    return with_options((*rasters, *fields[:2], *MODELS_OWN, *fields[2:], OPTIONS_FILE))


_RASTERS_AND_QUESTION = (
    click.argument("words", nargs=-1, required=True, metavar="BEFORE [AFTER] [QUESTION]"),
)
_SERIES = (click.argument("images", nargs=-1, required=True, metavar="BEFORE AFTER [LATER]..."),)
_SERIES_OR_AREA = (click.argument("images", nargs=-1, metavar="[BEFORE AFTER [LATER]...]"),)
MODELS_OWN = (
    click.option("--revision", help="Branch, tag or commit of a hub id."),
    click.option("--adapter", metavar="FOLDER", help="A PEFT adapter (LoRA) to put on the model."),
    click.option(
        "--quantize",
        type=click.Choice([kind.value for kind in Quantize]),
        help="Hold the model's weights in 4 or 8 bits; needs bitsandbytes.",
    ),
    click.option(
        "--dtype",
        type=click.Choice([kind.value for kind in Dtype]),
        help="Number type of the model's weights.",
    ),
    prompts_option,
)
OPTIONS_FILE = path_option(
    "--options",
    "Read options from a file; those given on the command line win.",
    "FILE.toml",
    "options_file",
)


def options_of(ctx: click.Context) -> AnalyzeOptions:
    """The options of a command: the file's, and over them what was given by hand.

    Raises:
        OptionError: If an option is unknown or makes no sense.
        InputError: If the options file cannot be read.
    """
    file = ctx.params.get("options_file")
    base = AnalyzeOptions.from_toml(file).to_dict() if file else {}
    for spec in AnalyzeOptions.specs():
        if ctx.get_parameter_source(spec.name) is ParameterSource.COMMANDLINE:
            value = ctx.params[spec.name]
            base[spec.name] = named_values(value) if spec.type == "object" else value
    short = {name: ctx.params[name] for name in _SHORT if ctx.params.get(name) is not None}
    if short:
        base["model_options"] = {**base.get("model_options", {}), **short}
    if ctx.params.get("prompts_file"):
        from geochg.tasks.prompts import read_prompts

        base["prompts"] = read_prompts(ctx.params["prompts_file"])
    return AnalyzeOptions.from_dict(base)


def named_values(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Options of a model's own, each given as `NAME=VALUE`.

    Raises:
        OptionError: If one has no value.
    """
    return dict(_model_option(pair) for pair in pairs)


def _model_option(pair: str) -> tuple[str, Any]:
    """`name=value`; the value as TOML where it is TOML (`3`, `true`, `[1, 2]`), else as text."""
    name, separator, text = pair.partition("=")
    if not separator:
        raise OptionError(f"model option {pair!r} has no value", "write it as NAME=VALUE")
    try:
        return name, tomllib.loads(f"value = {text}")["value"]
    # Beside TOML's own error: whole numbers of thousands of digits, and lists nested as deep.
    except (ValueError, RecursionError):
        return name, text
