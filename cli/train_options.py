"""The options of fine-tuning, made from the fields of `TuneOptions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import click
from click.core import ParameterSource

from geochg.training.finetune.options import (
    NOT_QUANTIZED,
    Metric,
    Schedule,
    TuneOptions,
    preset,
    presets,
)

from .shared_options import Command, CommaSeparated

_HELP = {
    "lora": "Parts that get low-rank adapters: names or regular expressions, with commas.",
    "full": "Parts whose own weights are trained, and no adapters unless they are named too; a "
    "whole model comes out.",
    "rank": "Of the adapters.",
    "alpha": "Of the adapters.",
    "dropout": "Of the adapters' inputs, 0-1.",
    "quantize": "Hold frozen weights in 4 bits (NF4) or 8; none over a preset that does.",
    "prune": "Share of the language model's weights to cut, 0-1; a whole model comes out.",
    "epochs": "Passes over the rows.",
    "steps": "Steps, instead of --epochs.",
    "batch_size": "Rows at once, in each process.",
    "accumulate": "Batches a step.",
    "learning_rate": "Highest, after the warm-up.",
    "weight_decay": "Of AdamW.",
    "warmup": "Steps of the warm-up: a share of all below 1, else their number.",
    "schedule": "How the learning rate goes on after the warm-up.",
    "clip": "Largest norm of a gradient; 0 for any.",
    "samples": "Rows to learn from, evenly from all tasks; all by default.",
    "validation_share": "Share of the pairs that is held out, 0-1.",
    "evaluate_steps": "Steps between evaluations; 0 for none. The best weights are kept.",
    "metric": "What tells the best weights.",
    "patience": "Evaluations without a better one after which to stop; 0 for never.",
    "save_steps": "Steps between checkpoints.",
    "keep": "Checkpoints to keep.",
    "crop": "Least share of the side that random crops keep; 1 for no crops.",
    "rotate_deg": "Greatest angle of random turns, in degrees.",
    "seeing": "Weight of the dense head's loss, where masks lie beside the pictures.",
    "bf16": "Compute in bfloat16; by default where that is fast.",
    "checkpointing": "Compute activations again to save memory.",
    "max_tokens": "Most tokens of a row's text.",
    "merge": "Write a whole model, not an adapter.",
    "seed": "Of all that is drawn.",
    "processes": "Processes that must be there under torchrun; with --dry-run, that would be.",
    "device": "auto, cpu, cuda or mps.",
    "resume": "Go on with a run that was stopped.",
}
"""One line for each field; a test holds that none is missing."""

_CHOICES = {
    "quantize": [NOT_QUANTIZED, "4bit", "8bit"],
    "metric": [str(metric) for metric in Metric],
    "schedule": [str(schedule) for schedule in Schedule],
}
_TYPES: Mapping[str, Any] = {"tuple[str, ...]": CommaSeparated(), "int | None": int}
_FLAGS = {"rotate_deg": "--rotate"}


def tune_options(command: Command) -> Command:
    """Adds the options of fine-tuning."""
    for field in reversed(fields(TuneOptions)):
        command = _option(field.name, str(field.type), field.default)(command)
    names = click.Choice(list(presets()))
    return click.option("--preset", type=names, help="A published recipe; other options win.")(
        command
    )


def given_options(ctx: click.Context) -> dict[str, Any]:
    """The preset's options, and over them those given by hand; for `TuneOptions.from_user`."""
    name = ctx.params.get("preset")
    found = preset(name) if name else {}
    for field in fields(TuneOptions):
        if ctx.get_parameter_source(field.name) is ParameterSource.COMMANDLINE:
            found[field.name] = ctx.params[field.name]
    return found


def _option(name: str, kind: str, default: Any) -> Callable[[Command], Command]:  # noqa: ANN401
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    if name in ("checkpointing", "merge", "resume"):
        return click.option(flag, name, is_flag=True, help=_HELP[name])
    if name == "bf16":
        return click.option("--bf16/--no-bf16", name, default=None, help=_HELP[name])
    if name in _CHOICES:
        given: Any = click.Choice(_CHOICES[name])
    else:
        given = _TYPES.get(kind) or type(default)
    shown = ",".join(default) if isinstance(default, tuple) else default
    if name in _CHOICES:
        shown = str(default)
    return click.option(
        flag,
        name,
        type=given,
        default=None if shown == "" else shown,
        show_default=shown not in (None, ""),
        help=_HELP[name],
    )
