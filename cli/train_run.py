"""`geochg train run`: fine-tunes a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from geochg.errors import OptionError
from geochg.extras import require_packages
from geochg.training.finetune.options import NOT_QUANTIZED, QUANTIZED, TuneOptions, preset, presets

from .new_folder import check_apart, check_new_folder
from .shared_options import (
    PATH,
    Command,
    images_option,
    json_option,
    option_of,
    output_option,
    path_option,
    setting,
)
from .terminal import echo
from .train_work import Sources, card_text, dry_run_text, plan_sweep, run_dry, run_sweep, tune_model

NEEDED = ("torch", "transformers", "peft", "accelerate", "tensorboard", "psutil", "scipy")


def _tune_options(command: Command) -> Command:
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


def _options_by_user(ctx: click.Context) -> dict[str, Any]:
    """The preset's options, and over them those given by hand; for `TuneOptions.from_user`."""
    name = ctx.params.get("preset")
    by_hand = {
        spec.name: ctx.params[spec.name]
        for spec in TuneOptions.specs()
        if ctx.get_parameter_source(spec.name) is ParameterSource.COMMANDLINE
    }
    return {**(preset(name) if name else {}), **by_hand}


@click.command()
@click.argument("data", type=PATH)
@setting("--model", "builtin", "What is tuned: builtin, deltavlm:FOLDER or vlm:FOLDER.")
@click.option("--revision", default="", help="Branch, tag or commit of a hub id.")
@output_option(
    "The folder to make: an adapter or a model; with --sweep, the folder of all its runs."
)
@path_option(
    "--work",
    "Folder of checkpoints and TensorBoard logs; OUTPUT.work by default.",
    field="work_dir",
)
@images_option("The folder that image names in DATA start from.")
@path_option("--validation", "Rows to evaluate on; else a share of DATA is held out.")
@path_option("--sweep", "Do all runs of a grid; those that are done are kept.", "FILE.toml")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Tell parameters, memory, steps and time, or the runs of a sweep; train nothing.",
)
@json_option("what was made or measured")
@_tune_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    data: Path,
    model: str,
    revision: str,
    output: Path | None,
    work_dir: Path | None,
    images: Path | None,
    validation: Path | None,
    sweep: Path | None,
    dry_run: bool,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Fine-tune a change model on the rows of DATA.

    DATA is a file of rows, or a folder that `geochg dataset` made: docs/training.md. What comes
    out goes with `geochg analyze`: an adapter with --adapter, a model with --model.

    Ctrl-C saves a checkpoint; the same command with --resume goes on from it.

    \b
    Examples:
      geochg train rows.json --model builtin --lora language,dense --dry-run
      geochg train rows.json --model builtin --lora language,dense -o adapter
      geochg train rows.json --model vlm:llava-7b --preset geollava --prune 0.05 -o model
      torchrun --nproc-per-node 2 -m geochg_cli train rows.json --processes 2 -o adapter
    """
    require_packages("train", *NEEDED)
    given_options = _options_by_user(ctx)
    if output is None and not dry_run:
        raise OptionError("there is nowhere to write to", "add -o FOLDER, or --dry-run")
    sources = Sources(data, images, validation, model, revision)
    if sweep is not None:
        if ctx.params.get("preset"):
            raise OptionError(
                "a sweep takes its preset from its file", 'write preset = "NAME" there'
            )
        if work_dir is not None:
            raise OptionError(
                "--work does not go with --sweep", "each run's lies beside its folder under -o"
            )
        _sweep(sources, sweep, given_options, None if dry_run else output, as_json)
        return
    options = TuneOptions.from_user(given_options)
    if dry_run or output is None:
        report = run_dry(sources, options)
        echo(json.dumps(report.to_dict()) if as_json else dry_run_text(report))
        return
    check_new_folder(output)
    work_dir = work_dir or output.with_name(f"{output.name}.work")
    check_apart(output, work_dir)
    card = tune_model(sources, options, output, work_dir)
    if card:
        echo(json.dumps(card) if as_json else card_text(card))


def _sweep(
    sources: Sources,
    file: Path,
    given_options: Mapping[str, Any],
    output: Path | None,
    as_json: bool,
) -> None:
    from geochg.training.finetune.sweep import markdown_table

    if output is None:
        rows = plan_sweep(sources, file, given_options)
    else:
        rows = run_sweep(sources, file, given_options, output)
    echo(json.dumps(rows) if as_json else markdown_table(rows), nl=as_json)
