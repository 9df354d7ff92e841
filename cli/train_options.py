"""The options of fine-tuning, made from the fields of `TuneOptions`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from geochg.training.finetune.options import NOT_QUANTIZED, QUANTIZED, TuneOptions, preset, presets

from .shared_options import Command, option_of


def tune_options(command: Command) -> Command:
    """Adds the options of fine-tuning."""
    for spec in reversed(TuneOptions.specs()):
        if spec.name == "quantize":
            # On a command line, nothing cannot be written.
            choices = click.Choice([NOT_QUANTIZED, *filter(None, QUANTIZED)])
            command = click.option(spec.flag, type=choices, help=spec.facts.help)(command)
        else:
            command = option_of(spec)(command)
    names = click.Choice(list(presets()))
    return click.option("--preset", type=names, help="A published recipe; other options win.")(
        command
    )


def options_by_user(ctx: click.Context) -> dict[str, Any]:
    """The preset's options, and over them those given by hand; for `TuneOptions.from_user`."""
    name = ctx.params.get("preset")
    by_hand = {
        spec.name: ctx.params[spec.name]
        for spec in TuneOptions.specs()
        if ctx.get_parameter_source(spec.name) is ParameterSource.COMMANDLINE
    }
    return {**(preset(name) if name else {}), **by_hand}
